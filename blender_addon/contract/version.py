# SPDX-License-Identifier: GPL-3.0-or-later
"""The version numbers, each in one place."""

VERSION = "0.1.0"
"""Version of Mien: the package, the add-on and the backend carry the same one."""

PROTOCOL = 4
"""Version of the messages. Both ends must have the same; any change of a message raises it."""

TAKE_SCHEMA = 2
"""Version of the take file. A reader refuses takes with a schema it does not know."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Many shots at once: on the cores of one machine, or on the machines of a farm."""

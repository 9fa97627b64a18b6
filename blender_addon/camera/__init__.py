# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera that took the photo, and the photo behind the head."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera drives the head while it runs."""

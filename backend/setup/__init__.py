# SPDX-License-Identifier: GPL-3.0-or-later
"""Making the Python environments that Mien runs in. Standard library only: this runs before anything is installed."""

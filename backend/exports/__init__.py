# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes to files of other programs, and such files to takes."""

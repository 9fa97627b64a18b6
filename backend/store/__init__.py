# SPDX-License-Identifier: GPL-3.0-or-later
"""What a capture of a clip has done so far, on disk, so that a killed one goes on where it was."""

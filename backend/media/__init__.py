# SPDX-License-Identifier: GPL-3.0-or-later
"""Media files: pictures and, later, videos and folders as plain pixels with what the files say about the camera."""

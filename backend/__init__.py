# SPDX-License-Identifier: GPL-3.0-or-later
"""The reconstruction side of Mien: media to takes. Never imports bpy."""

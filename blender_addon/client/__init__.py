# SPDX-License-Identifier: GPL-3.0-or-later
"""Talks to the backend: its process, the connection, jobs. Free of bpy;
a timer in Blender, and tests directly, call `Client.pump`.
"""

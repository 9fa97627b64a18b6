# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender and the backend agree on: errors, places, files, heads, takes, options and messages.

Both processes import these modules from here. They need the standard library and numpy; only `wire` needs msgpack.
Nothing here imports bpy, torch or zmq, and importing this package imports none of its modules.
"""

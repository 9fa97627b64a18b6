# SPDX-License-Identifier: GPL-3.0-or-later
"""The open head: a free (CC0) head in FLAME's layout, its builder and the built asset."""

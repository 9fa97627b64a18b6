# SPDX-License-Identifier: GPL-3.0-or-later
"""From per-frame parameters to one performance: identity, camera, smoothing."""

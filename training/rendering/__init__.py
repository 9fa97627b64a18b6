# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of posed heads with gradients, for losses."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Random faces with known truth: what training and its tests run on where there is no licensed data."""

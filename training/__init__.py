# SPDX-License-Identifier: GPL-3.0-or-later
"""Training and judging EMOCA and its emotion networks. Nothing that captures faces imports it."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of weights and heads: finding, checking, reading."""

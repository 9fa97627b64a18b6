# SPDX-License-Identifier: GPL-3.0-or-later
"""The perception study: people say which emotion photos and renders show, and how well the two agree."""

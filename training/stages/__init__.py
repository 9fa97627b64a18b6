# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of training: what is trained, what is frozen, and which losses say how."""

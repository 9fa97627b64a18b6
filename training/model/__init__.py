# SPDX-License-Identifier: GPL-3.0-or-later
"""What is trained: encoders, codes, and the differentiable way from codes to vertices, landmarks and a lit render."""

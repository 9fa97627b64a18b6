# SPDX-License-Identifier: GPL-3.0-or-later
"""What training makes small: each a function of tensors that gives a scalar, with the reduction of the published code.

All gradients are finite, also where points meet, features are constant or masks are empty.
"""

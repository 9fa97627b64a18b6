# SPDX-License-Identifier: GPL-3.0-or-later
"""The published face networks as plain torch modules; their tensors are named as in the official files."""

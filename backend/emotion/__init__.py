# SPDX-License-Identifier: GPL-3.0-or-later
"""What a face expresses, as networks read it."""

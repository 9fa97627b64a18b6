# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of EMOCA's training on synthetic faces, small enough for a CPU; `training/RESULTS.md` is what it found."""

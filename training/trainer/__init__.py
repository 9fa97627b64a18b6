# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a stage: configuration, data, checkpoints, logs."""

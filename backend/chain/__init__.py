# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways through: a photo, a clip. `backend.pipeline` chooses."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way through: media, faces, engine, solve, take. Command line, service and tests all call this."""

from __future__ import annotations

from backend.chain.photo import capture_photo
from backend.chain.result import CaptureResult, draw_overlay, posed_vertices

__all__ = ["CaptureResult", "capture_photo", "draw_overlay", "posed_vertices"]

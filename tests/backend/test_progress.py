# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress that nobody watches, and what a cancel looks like."""

from __future__ import annotations

from backend.progress import cancelled, no_progress
from blender_addon.contract.errors import ErrorCode


def test_nobody_watching_never_stops_the_work() -> None:
    no_progress("stage", 0.5, "message")
    assert no_progress.check_cancelled() is None


def test_a_cancel_has_its_own_code() -> None:
    assert cancelled().code is ErrorCode.CANCELLED

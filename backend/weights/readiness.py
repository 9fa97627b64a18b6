# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engines and heads are ready, and what the others lack. Needs no torch."""

from __future__ import annotations

from backend.heads import load_head
from blender_addon.contract.messages import Models
from blender_addon.contract.models import EngineStatus, HeadStatus


def models() -> Models:
    """All engines, heads and parts that Mien knows of, as the data folder is now."""
    head = load_head("open")
    open_head = HeadStatus(
        head.id, "Open Head", head.sha256, head.revision, head.licence, head.commercial_use, ready=True
    )
    fit = EngineStatus("fit", "Landmark Fit", True, "", "", "GPL-3.0-or-later", "yes", ("open",))
    return Models((fit,), (open_head,), ())

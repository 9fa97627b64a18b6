# SPDX-License-Identifier: GPL-3.0-or-later
"""What stand-in backends say they can work with."""

from __future__ import annotations

from blender_addon.contract.messages import Models
from blender_addon.contract.models import EngineStatus, HeadStatus


def fake_models(head_sha256: str) -> Models:
    """The landmark fit on an open head with this hash."""
    fit = EngineStatus("fit", "Landmark Fit", True, "", "", "GPL-3.0-or-later", "yes", ("open",))
    head = HeadStatus("open", "Open Head", head_sha256, "", "CC0-1.0", "yes", True)
    return Models((fit,), (head,), ())

# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a take comes from, as the one table that every export carries inside or beside it."""

from __future__ import annotations

from .take import TakeMeta
from .version import VERSION

PROVENANCE = "mien"
"""The name under which formats with named entries carry the table."""


def provenance(meta: TakeMeta) -> dict[str, object]:
    """The head, the engine, the versions and the licences of a take, JSON-able.

    Args:
        meta: The take's description.

    Returns:
        `mien`, the version that wrote the export, and by their names in the take: `head_id`, `head_sha256`, `engine`,
        `versions`, `licences`, `commercial_use`, `source`, `person`, `rate`.
    """
    return {
        "mien": VERSION,
        "head_id": meta.head_id,
        "head_sha256": meta.head_sha256,
        "engine": meta.engine,
        "versions": dict(meta.versions),
        "licences": list(meta.licences),
        "commercial_use": meta.commercial_use,
        "source": meta.source,
        "person": meta.person,
        "rate": meta.rate,
    }

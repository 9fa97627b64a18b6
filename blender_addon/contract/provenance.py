# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a take comes from and what may be done with it, as a plain table that goes into exports or beside them."""

from __future__ import annotations

from .take import TakeMeta


def provenance(meta: TakeMeta) -> dict[str, object]:
    """Head, engine, versions, licences and source of a take, JSON-able."""
    return {
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

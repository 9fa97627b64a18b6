# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a take comes from, for exports."""

from __future__ import annotations

import json

from blender_addon.contract.provenance import provenance
from blender_addon.contract.version import VERSION
from tests.fake_takes import small_meta


def test_everything_that_a_take_knows_of_its_origin():
    meta = small_meta(2, commercial_use="unclear", rate=25.0)
    table = provenance(meta)
    assert table.pop("mien") == VERSION
    assert set(table) == set(meta.to_json()) - {"channels", "displacement", "smoothing", "schema"}
    assert table == {name: meta.to_json()[name] for name in table}


def test_it_is_plain_json():
    table = provenance(small_meta())
    assert json.loads(json.dumps(table)) == table

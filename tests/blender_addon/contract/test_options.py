# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.options import CaptureOptions


@given(
    st.builds(
        CaptureOptions,
        source=st.text(min_size=1).filter(lambda text: "\0" not in text),
        face=st.none() | st.integers(1, 100),
        focal_mm=st.none() | st.floats(5, 2000) | st.integers(5, 2000),
        device=st.sampled_from(["auto", "cpu", "cuda", "cuda:3", "mps"]),
    )
)
def test_json_round_trip(options):
    assert CaptureOptions.from_json(json.loads(json.dumps(options.to_json()))) == options


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"source": ""},
        {"source": "a\0b"},
        {"source": 1},
        {"source": "a", "face": 0},
        {"source": "a", "face": True},
        {"source": "a", "face": 1.0},
        {"source": "a", "face": 1, "all_faces": True},
        {"source": "a", "all_faces": 1},
        {"source": "a", "engine": "magic"},
        {"source": "a", "engine": ["fit"]},
        {"source": "a", "head": 3},
        {"source": "a", "head": "\0"},
        {"source": "a", "weights": "\0"},
        {"source": "a", "identity": "guess"},
        {"source": "a", "eyelid_space": "none"},
        {"source": "a", "boxes": "sfd"},
        {"source": "a", "displacement": -1},
        {"source": "a", "displacement": True},
        {"source": "a", "focal_mm": 0},
        {"source": "a", "focal_mm": float("nan")},
        {"source": "a", "focal_mm": True},
        {"source": "a", "focal_mm": "50"},
        {"source": "a", "device": "tpu"},
        {"source": "a", "device": None},
        {"source": "a", "device": "cuda:1; rm"},
        {"source": "a", "more": 1},
        [],
    ],
    ids=str,
)
def test_bad_options_are_refused(values):
    with pytest.raises(MienError) as caught:
        CaptureOptions.from_json(values)
    assert caught.value.code is ErrorCode.USAGE


@pytest.mark.parametrize(("engine", "head"), [("fit", "open"), ("emoca", "flame2020"), ("smirk", "flame2020")])
def test_each_engine_has_a_head_of_its_own(engine, head):
    assert CaptureOptions("a.jpg", engine=engine).head == head
    assert CaptureOptions("a.jpg", engine=engine, head="mine.pkl").head == "mine.pkl"

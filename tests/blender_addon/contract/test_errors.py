# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pickle

import pytest

from blender_addon.contract.errors import EXIT_CODES, ErrorCode, MienError


def test_exit_codes_are_distinct_and_leave_zero_to_success():
    assert set(EXIT_CODES) == set(ErrorCode)
    assert len(set(EXIT_CODES.values())) == len(ErrorCode)
    assert min(EXIT_CODES.values()) == 1
    assert EXIT_CODES[ErrorCode.INTERNAL] == 1
    assert EXIT_CODES[ErrorCode.USAGE] == 2
    assert EXIT_CODES[ErrorCode.NO_FACE] == 3


def test_text_is_the_message_and_what_to_do():
    error = MienError(ErrorCode.NO_FACE, "No face in a.jpg.", "Use another photo.", {"path": "a.jpg"})
    assert str(error) == "No face in a.jpg. Use another photo."
    assert error.exit_code == EXIT_CODES[ErrorCode.NO_FACE]
    assert error.details == {"path": "a.jpg"}


def test_unknown_codes_are_refused():
    with pytest.raises(ValueError):
        MienError("no_such_code", "a", "b")


def test_an_error_survives_copying_between_processes():
    error = pickle.loads(pickle.dumps(MienError(ErrorCode.NO_SPACE, "Full.", "Free some.", {"free": 3})))
    assert (error.code, error.message, error.remedy, error.details) == ("no_space", "Full.", "Free some.", {"free": 3})

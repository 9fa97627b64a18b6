# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import sys

import pytest
import zmq

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.keys import is_key, kept_key_pair


def test_a_pair_is_made_once_and_only_its_owner_reads_it(tmp_path):
    path = tmp_path / "keys" / "a.json"
    pair = kept_key_pair(path, zmq.curve_keypair)
    assert is_key(pair.public) and is_key(pair.secret) and pair.public != pair.secret
    assert kept_key_pair(path, zmq.curve_keypair) == pair
    assert pair.secret not in repr(pair)
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("content", ["", "[]", '{"public": "a", "secret": "b"}', "\xff"])
def test_damaged_key_files_are_not_replaced_silently(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(MienError) as caught:
        kept_key_pair(path, zmq.curve_keypair)
    assert caught.value.code is ErrorCode.SETUP_FAILED
    assert path.read_text(encoding="latin-1") == content


@pytest.mark.parametrize("text", ["", "a" * 39, "a" * 41, "a" * 39 + " ", "a" * 39 + "'", None, 3])
def test_what_is_no_key(text):
    assert not is_key(text)

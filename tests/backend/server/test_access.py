# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
import zmq

from backend.server.access import ZAP_ENDPOINT, Gate, KeysFile, OneClient, check_keys
from blender_addon.contract.errors import ErrorCode, MienError
from tests.backend.server.raw import new_keys

KEY, OTHER = (zmq.curve_keypair()[0] for _ in range(2))
RAW_KEY = zmq.utils.z85.decode(KEY)


def test_keys_are_added_and_removed_while_it_runs(tmp_path):
    path = tmp_path / "clients.txt"
    admit = KeysFile(path)
    key, other = KEY.decode(), OTHER.decode()
    assert not admit(key)
    path.write_text(f"# {other}\n\n{key} Ann's laptop\nnonsense\n")
    assert admit(key)
    assert not admit(other)
    assert not admit("nonsense")
    path.write_text("")
    assert not admit(key)


def test_an_unreadable_list_admits_nobody(tmp_path):
    assert not KeysFile(tmp_path)(KEY.decode())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_list_from_a_windows_editor_ends_nothing(tmp_path, encoding):
    (tmp_path / "clients.txt").write_text(f"{KEY.decode()} Zoë\n", encoding=encoding)
    assert KeysFile(tmp_path / "clients.txt")(KEY.decode()) is (encoding == "utf-8-sig")


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ([b"1.0", b"1", b"mien", b"127.0.0.1", b"", b"CURVE", RAW_KEY], b"200"),
        ([b"1.0", b"1", b"mien", b"127.0.0.1", b"", b"CURVE", zmq.utils.z85.decode(OTHER)], b"400"),
        ([b"1.0", b"1", b"mien", b"127.0.0.1", b"", b"CURVE", RAW_KEY[:-1]], b"400"),
        ([b"1.0", b"1", b"other", b"127.0.0.1", b"", b"CURVE", RAW_KEY], b"400"),
        ([b"1.0", b"1", b"mien", b"127.0.0.1", b"", b"NULL"], b"400"),
        ([b"1.0", b"1", b"mien", b"127.0.0.1", b"", b"PLAIN", b"user", b"password"], b"400"),
        ([b"2.0", b"1", b"mien", b"127.0.0.1", b"", b"CURVE", RAW_KEY], b"400"),
        ([b"1.0"], b"400"),
    ],
)
def test_the_gate_answers_as_the_standard_says(question, code):
    context = zmq.Context()
    try:
        gate = Gate(context, OneClient(KEY.decode()))
        asker = context.socket(zmq.REQ)
        asker.connect(ZAP_ENDPOINT)
        asker.send_multipart(question)
        gate.answer()
        version, sequence, status, _, user, metadata = asker.recv_multipart()
        assert (version, status, metadata) == (b"1.0", code, b"")
        assert sequence == (question[1] if len(question) > 1 else b"")
        assert bool(user) == (code == b"200")
    finally:
        context.destroy(linger=0)


def test_the_keys_of_the_parent():
    server, client = new_keys(), new_keys()
    fields = {"server_public": server.public, "server_secret": server.secret, "client_public": client.public}
    assert check_keys(fields) == (server, client.public)
    for name in fields:
        with pytest.raises(MienError) as caught:
            check_keys(fields | {name: "short"})
        assert caught.value.code is ErrorCode.USAGE
        assert server.secret not in str(caught.value)

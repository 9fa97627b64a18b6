# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import http.client
import json
import socket
from html.parser import HTMLParser
from threading import Thread

import pytest

from blender_addon.contract.errors import ErrorCode, MienError
from training.study.desk import Desk
from training.study.order import trials
from training.study.records import ANSWERS, read_records
from training.study.server import StudyServer, page_of

JSON = {"Content-Type": "application/json"}


class Client:
    """One connection to a server, kept open as browsers do."""

    def __init__(self, server: StudyServer) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)

    def get(self, path: str, **headers: str):
        self.connection.request("GET", path, headers=headers)
        return self._reply()

    def post(self, path: str, values: object, headers: dict[str, str] = JSON):
        body = values if isinstance(values, bytes) else json.dumps(values).encode()
        self.connection.request("POST", path, body, headers)
        return self._reply()

    def begin(self) -> dict:
        return json.loads(self.post("/begin", {"consent": True})[1])

    def _reply(self):
        reply = self.connection.getresponse()
        return reply.status, reply.read(), reply.headers


@pytest.fixture
def client(made, served) -> Client:
    made()
    return Client(served())


def _answer(state: dict, position: int = 0, answer: str = "sad") -> dict:
    return {"participant": state["participant"], "position": position, "answer": answer, "intensity": None,
            "seconds": 1.5}  # fmt: skip


def test_a_participant_goes_through_the_whole_study(client, tmp_path):
    state = client.begin()
    pressed = {"classification": "happy", "consistency": "4", "comparison": "left"}
    for position, trial in enumerate(state["trials"]):
        status, said, _ = client.post("/answer", _answer(state, position, pressed[trial["task"]]))
        assert (status, json.loads(said)) == (200, {"kept": True})
    status, said, _ = client.get(f"/state?participant={state['participant']}")
    assert status == 200
    assert [trial["answer"] for trial in json.loads(said)["trials"]] == [
        pressed[trial["task"]] for trial in state["trials"]
    ]
    assert len((tmp_path / ANSWERS).read_text().splitlines()) == 1 + len(state["trials"])


def test_pictures_are_those_of_the_trials(client, made, tmp_path):
    study = made()
    state = client.begin()
    shown = trials(study, 0)
    for trial, told in zip(shown, state["trials"], strict=True):
        assert len(told["pictures"]) == len(trial.item.pictures)
    for place in range(len(shown)):
        if shown[place].item.task == "consistency":
            for picture, address in zip(shown[place].item.pictures, state["trials"][place]["pictures"], strict=True):
                status, content, headers = client.get(address)
                assert status == 200 and headers["Content-Type"] == "image/png"
                assert content == (tmp_path / picture.path).read_bytes()


@pytest.mark.parametrize(
    "path",
    ["/study.json", "/answers.csv", "/photos/a.png", "/../study.json", "/picture/../study.json",
     "/picture/..%2f..%2fetc", "/picture/%2e%2e/study.json", "//etc/passwd", "/picture/", "/picture/" + "0" * 24,
     "/picture/" + "g" * 24, "/picture/photos/a.png", "/begin", "/%00", "/favicon.ico"],
)  # fmt: skip
def test_nothing_else_is_served(client, path):
    status, content, _ = client.get(path)
    assert status == 404 and set(json.loads(content)) == {"error"}


def test_a_path_is_not_followed_out_of_the_folder(client, tmp_path):
    # Without a client that would tidy the path up first.
    with socket.create_connection(("127.0.0.1", client.connection.port), timeout=60) as raw:
        raw.sendall(b"GET /picture/../../../../../../etc/passwd HTTP/1.1\r\n")
        raw.sendall(b"Host: localhost\r\nConnection: close\r\n\r\n")
        reply = b"".join(iter(lambda: raw.recv(4096), b""))
    assert reply.startswith(b"HTTP/1.1 404") and b"root:" not in reply


@pytest.mark.parametrize(
    ("change", "status"),
    [({"participant": "ZZZZZZ"}, 400), ({"participant": 7}, 400), ({"participant": ""}, 400), ({"position": 999}, 400),
     ({"position": -1}, 400), ({"answer": "joy"}, 400), ({"answer": None}, 400), ({"intensity": 2}, 400),
     ({"seconds": "soon"}, 400), ({"seconds": -2}, 400), ({}, 200)],
)  # fmt: skip
def test_answers_are_checked(client, tmp_path, change, status):
    state = client.begin()
    found, said, _ = client.post("/answer", _answer(state) | change)
    assert found == status
    assert ("error" in json.loads(said)) == (status != 200)
    assert len((tmp_path / ANSWERS).read_text().splitlines()) == (2 if status == 200 else 1)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [(b"not json", JSON, 400), (b"[1]", JSON, 400), (b"[" * 9000, JSON, 400), (b"x" * 20000, JSON, 413),
     (b'{"consent": true}', {"Content-Type": "text/plain"}, 400), (b"{}", JSON, 400), (b'{"consent": 1}', JSON, 400),
     (b"\xff\xfe", JSON, 400)],
)  # fmt: skip
def test_nobody_begins_without_consent_or_from_another_site(client, body, headers, status):
    assert client.post("/begin", body, headers)[0] == status
    assert client.get("/state?participant=")[0] == 400


def test_pages_of_other_sites_do_not_reach_it(client):
    assert client.get("/", Host="example.org")[0] == 403
    for host in ("localhost", "127.0.0.1", f"127.0.0.1:{client.connection.port}"):
        assert Client.get(client, "/", Host=host)[0] == 200


def test_the_page_stands_for_itself_and_says_where_answers_go(client):
    status, content, headers = client.get("/")
    page = content.decode()
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and policy.split("nonce-")[1].split("'")[0] in page
    assert "stored on this machine only" in page

    class Addresses(HTMLParser):
        found: list[str] = []

        def handle_starttag(self, tag, attributes):
            self.found += [value for name, value in attributes if name in ("src", "href", "action")]

    Addresses().feed(page)
    assert Addresses.found == ["data:,"]
    assert "http://" not in page and "https://" not in page
    other = client.get("/")[2]["Content-Security-Policy"]
    assert other != policy


def test_titles_and_words_are_text_never_markup(made):
    hostile = "</script><script>alert(1)</script>\"'&"
    page = page_of(made(title=hostile, scale=(hostile, "b")), "n")

    class Scripts(HTMLParser):
        count, text = 0, ""

        def handle_starttag(self, tag, attributes):
            self.count += tag == "script"

        def handle_data(self, data):
            self.text += data

    scripts = Scripts()
    scripts.feed(page)
    assert scripts.count == 2 and hostile in scripts.text


def test_many_take_part_at_once(client, made, tmp_path):
    study = made()
    server_port = client.connection.port
    failures: list[object] = []

    def take_part() -> None:
        try:
            one = Client.__new__(Client)
            one.connection = http.client.HTTPConnection("127.0.0.1", server_port, timeout=60)
            state = one.begin()
            for position in range(10):
                assert one.post("/answer", _answer(state, position))[0] == 200
        except Exception as error:  # noqa: BLE001  # told by the test
            failures.append(error)

    threads = [Thread(target=take_part) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = read_records(tmp_path, study)
    assert not failures and not records.problems
    assert sorted(person.number for person in records.participants.values()) == list(range(8))
    assert len(records.answers) == 80 and len(records.latest()) == 80


def test_a_full_disk_is_told_and_the_answer_can_be_given_again(client, monkeypatch, tmp_path):
    from training.study import records

    state = client.begin()
    with monkeypatch.context() as patched:
        patched.setattr(records.os, "fsync", lambda file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        status, said, _ = client.post("/answer", _answer(state))
        assert status == 500 and "No space" in json.loads(said)["error"]
        assert json.loads(client.get(f"/state?participant={state['participant']}")[1])["trials"][0]["answer"] is None
    assert client.post("/answer", _answer(state))[0] == 200
    assert len((tmp_path / ANSWERS).read_text().splitlines()) == 2


def test_a_port_that_is_taken_and_an_address_that_is_not_ours(made, tmp_path):
    made()
    with Desk(tmp_path) as desk, StudyServer(desk) as first:
        with pytest.raises(MienError) as error:
            StudyServer(desk, port=first.server_port)
        assert error.value.code == ErrorCode.PORT_TAKEN
        with pytest.raises(MienError) as error:
            StudyServer(desk, "192.0.2.1")
        assert error.value.code == ErrorCode.USAGE
        assert first.address == f"http://127.0.0.1:{first.server_port}/"


def test_other_machines_may_name_it_as_they_like_where_it_is_open_to_them(made, tmp_path):
    made()
    with Desk(tmp_path) as desk, StudyServer(desk, "0.0.0.0") as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        assert Client(server).get("/", Host="lab-pc")[0] == 200
        server.shutdown()
        thread.join()

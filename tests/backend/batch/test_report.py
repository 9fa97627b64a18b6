# SPDX-License-Identifier: GPL-3.0-or-later
"""The table and the page of a batch."""

from __future__ import annotations

import csv
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from PIL import Image

from backend.batch.progress_file import Running
from backend.batch.record import Failure
from backend.batch.report import BatchReport
from tests.backend.batch.conftest import with_options


class Page(HTMLParser):
    """What a browser would make of it, as far as tests ask."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str, name: str) -> list[str]:
        return [attributes[name] or "" for found, attributes in self.tags if found == tag and name in attributes]


@pytest.fixture
def shots(common):
    return [replace(with_options(common, source=f"/shots/{name}.mov"), name=name) for name in ("a", "sub/anna", "c")]


@pytest.fixture
def page(tmp_path, shots):
    def page(records, running=None, over=True) -> Page:
        BatchReport(tmp_path, shots).write(records, running or {}, over)
        return Page((tmp_path / "batch.html").read_text(encoding="utf-8"))

    return page


def test_the_page_stands_for_itself(page, tmp_path, record):
    (tmp_path / "sub" / "anna").mkdir(parents=True)
    Image.new("RGB", (32, 24)).save(tmp_path / "sub" / "anna" / "anna.thumb.jpg")
    record = replace(record, files={"anna.take.npz": 3, "anna.thumb.jpg": 9, "anna.overlay #1.mp4": 1})
    found = page({"sub/anna": record})
    (picture,) = found.all("img", "src")
    assert picture.startswith("data:image/jpeg;base64,")
    assert found.all("a", "href") == ["batch.csv", "sub/anna/anna.take.npz", "sub/anna/anna.overlay%20%231.mp4"]
    assert not found.all("script", "src") and not found.all("link", "href")
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in found.tags
    for word in ("landmark error 1.0 %", "confidence 0.90", "Green", "node7", "2.0 s", "20.0 frames a second"):
        assert word in found.text


def test_names_and_reasons_are_text_never_markup(page, record, shots):
    hostile = "<script>alert(1)</script>\"'&"
    failure = Failure("capture", "bad_clip", hostile, hostile)
    record = replace(record, reasons=(hostile,), failures=(failure,), machine=hostile, doubts=(hostile,))
    found = page({"a": record}, {"c": Running(hostile, 0.5, hostile, hostile)}, over=False)
    assert "script" not in {tag for tag, _ in found.tags}
    assert hostile in found.text


def test_the_page_goes_on_while_the_batch_does(page, record):
    found = page({"a": record}, {"c": Running("faces", 0.25, "12 of 48 frames", "node2")}, over=False)
    assert found.all("meta", "http-equiv") == ["refresh"]
    assert "12 of 48 frames" in found.text and "Waiting" in found.text
    assert found.all("progress", "value") == ["0.250"]
    assert not page({"a": record}).all("meta", "http-equiv")


def test_what_needs_looking_at_comes_first(page, record):
    red = replace(record, quality="red", state="failed", reasons=("Bad.",), seconds=None)
    found = page({"a": record, "sub/anna": red})
    order = found.all("article", "class")
    assert order == ["red", "green", ""]


def test_the_table_has_a_row_for_each_shot(page, tmp_path, record):
    bad = replace(record, state="failed", failures=(Failure("capture", "no_face", "No.", "Yes."),), seconds=None)
    page({"sub/anna": replace(record, reasons=('a "b", c', "d")), "c": bad})
    with open(tmp_path / "batch.csv", encoding="utf-8", newline="") as file:
        one, two, three = csv.DictReader(file)
    assert (one["name"], one["state"]) == ("a", "waiting")
    assert (two["state"], two["quality"], two["reasons"]) == ("finished", "green", 'a "b", c d')
    assert (two["take"], two["landmark_error"], two["frames_per_second"]) == ("sub/anna/anna.take.npz", "0.01", "20.0")
    assert three["failures"] == "capture:no_face"

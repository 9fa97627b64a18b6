# SPDX-License-Identifier: GPL-3.0-or-later
"""The page in a browser: every button and key as a participant uses them, and what ends up in the table."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser import Page, browser
from training.study.design import Study, Task
from training.study.order import Trial, trials
from training.study.records import Answer, read_records

SHOWN = "document.querySelector('main > section:not([hidden])').id"
READY = "document.querySelector('#trial:not([hidden]) .answers button:enabled')"
EMOTION_KEYS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt", "none")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as page:
        page.size(1280, 800)
        yield page


@pytest.fixture(autouse=True)
def no_complaints(page: Page) -> Iterator[None]:
    page.complaints.clear()
    yield
    assert page.complaints == []


def _begin(page: Page, address: str) -> str:
    """Consent and begin; returns the code."""
    page.open(address)
    assert page.value("document.querySelector('#begin').disabled")
    page.click("#consent")
    page.click("#begin")
    page.wait(f"{SHOWN} !== 'welcome'")
    return page.text("#code")


def _start(page: Page, task: str) -> None:
    page.wait(f"{SHOWN} === 'about-{task}'")
    page.click(f"#about-{task} .understood")
    page.wait(READY)


def _latest(folder: Path, study: Study, code: str) -> dict[str, Answer]:
    return {item: answer for (person, item), answer in read_records(folder, study).latest().items() if person == code}


def _given(trial: Trial, number: int) -> tuple[str, str]:
    """What to press for a trial, and what is kept of it."""
    if trial.item.task == "classification":
        return EMOTION_KEYS[number % 9], EMOTION_KEYS[number % 9]
    if trial.item.task == "consistency":
        return str(number % 5 + 1), str(number % 5 + 1)
    pressed = ("left", "right", "equal", "neither")[number % 4]
    return pressed, {"left": trial.sides[0], "right": trial.sides[1]}.get(pressed, pressed)


def test_a_whole_study_with_the_mouse(page, made, served, tmp_path):
    study = made(faces="abcd", labels={"a": "happy", "b": "sad", "c": "fear", "d": "happy"})
    code = _begin(page, served().address)
    shown = trials(study, 0)
    for number, trial in enumerate(shown):
        if number == 0 or shown[number - 1].item.task != trial.item.task:
            _start(page, trial.item.task)
        page.wait(f"position === {number} && {READY}")
        assert page.text("#count") == f"{number} of {len(shown)}"
        assert page.value("document.querySelectorAll('#trial img').length") == len(trial.item.pictures)
        if trial.item.instruction:
            assert trial.item.instruction in page.text("#trial")
        page.click(f"#trial .answers button[data-value='{_given(trial, number)[0]}']")
    page.wait(f"{SHOWN} === 'done'")
    assert page.value("document.querySelector('.bar').getAttribute('aria-valuenow')") == "100"
    answers = _latest(tmp_path, study, code)
    assert {trial.item.id: _given(trial, number)[1] for number, trial in enumerate(shown)} == {
        item: answer.answer for item, answer in answers.items()
    }
    assert all(0 < answer.seconds < 60 for answer in answers.values())


def test_keys_back_and_going_on(page, made, served, tmp_path):
    study = made(faces="abc", tasks=[Task("classification"), Task("consistency")])
    code = _begin(page, served().address)
    page.wait(f"{SHOWN} === 'about-classification'")
    page.press("Enter")
    shown = trials(study, 0)
    for number in range(4):
        page.wait(f"position === {number} && {READY}")
        page.press(str(number + 1))
    page.wait(f"position === 4 && {READY}")
    page.press("ArrowLeft")
    page.wait(f"position === 3 && {READY}")
    assert page.value("document.querySelector('.answers [aria-pressed=true]').dataset.value") == "surprise"
    page.click("#back")
    page.wait(f"position === 2 && {READY}")
    page.press("9")
    page.wait(f"position === 3 && {READY}")
    page.press("ArrowRight")
    page.wait(f"position === 4 && {READY}")
    page.press("0")
    page.press("x")
    assert page.value("position") == 4
    kept = [_latest(tmp_path, study, code)[trial.item.id].answer for trial in shown[:4]]
    assert kept == ["neutral", "happy", "none", "surprise"]
    assert len(read_records(tmp_path, study).answers) == 5


def test_a_page_that_was_closed_goes_on_where_it_stopped(page, made, served, tmp_path):
    study = made(faces="abc", tasks=[Task("consistency")])
    server = served()
    code = _begin(page, server.address)
    _start(page, "consistency")
    page.press("5")
    page.wait(f"position === 1 && {READY}")
    page.press("4")
    page.wait(f"position === 2 && {READY}")
    page.open("about:blank")
    page.open(server.address)
    page.value(f"document.querySelector('#known').value = '{code.lower()}'")
    page.click("#go-on")
    _start(page, "consistency")
    assert page.value("position") == 2 and page.text("#count") == f"2 of {len(trials(study, 0))}"
    page.open(f"{server.address}?participant={code}")  # as after a reload
    _start(page, "consistency")
    assert page.value("position") == 2
    assert len(read_records(tmp_path, study).participants) == 1


def test_the_intensity_is_asked_after_the_emotion(page, made, served, tmp_path):
    study = made(faces="abc", tasks=[Task("classification", intensity=True)])
    code = _begin(page, served().address)
    _start(page, "classification")
    page.click("#trial .answers button[data-value='sad']")
    page.wait("chosen === 'sad'")
    assert "Sadness" in page.text("#trial h2")
    page.press("ArrowLeft")
    page.wait(f"chosen === null && {READY}")
    page.press("5")
    page.wait("chosen === 'fear'")
    page.click("#trial .answers button[data-value='4']")
    page.wait(f"position === 1 && {READY}")
    page.press("1")  # neutral has none
    page.wait(f"position === 2 && {READY}")
    kept = _latest(tmp_path, study, code)
    first, second = (kept[trial.item.id] for trial in trials(study, 0)[:2])
    assert (first.answer, first.intensity, second.answer, second.intensity) == ("fear", 4, "neutral", None)


def test_sides_are_as_the_order_says(page, made, served, tmp_path):
    study = made(faces="ab", tasks=[Task("comparison")], samples=0)
    _begin(page, served().address)
    _start(page, "comparison")
    for number, trial in enumerate(trials(study, 0)):
        page.wait(f"position === {number} && {READY}")
        left, photo, right = page.value("Promise.all([...document.querySelectorAll('#trial img')].map(async (image) => "
                                        "(await (await fetch(image.src)).arrayBuffer()).byteLength))")  # fmt: skip
        sizes = {picture.source: (tmp_path / picture.path).stat().st_size for picture in trial.item.pictures}
        assert (left, photo, right) == (sizes[trial.sides[0]], sizes["photo"], sizes[trial.sides[1]])
        page.press("1")
    page.wait(f"{SHOWN} === 'done'")


def test_what_cannot_be_stored_is_told_and_nothing_moves_on(page, made, served, tmp_path, monkeypatch):
    from training.study import records

    study = made(faces="abc", tasks=[Task("consistency")])
    _begin(page, served().address)
    _start(page, "consistency")
    with monkeypatch.context() as patched:
        patched.setattr(records.os, "fsync", lambda file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        page.press("3")
        page.wait("document.querySelector('#trial .trouble:not([hidden])')")
        assert "No space" in page.text("#trial .trouble")
        assert page.value("position") == 0
    page.wait(READY)
    page.press("3")
    page.wait(f"position === 1 && {READY}")
    assert len(read_records(tmp_path, study).answers) == 1
    page.complaints[:] = [each for each in page.complaints if "500" not in each]  # the failure that was asked for


def test_an_unknown_code_is_told(page, made, served):
    made(faces="abc", tasks=[Task("consistency")])
    page.open(served().address)
    page.value("document.querySelector('#known').value = 'ZZZZZZ'")
    page.click("#go-on")
    page.wait("document.querySelector('#welcome .trouble:not([hidden])')")
    assert "no participant" in page.text("#welcome .trouble")
    page.complaints[:] = [each for each in page.complaints if "400" not in each]


@pytest.mark.parametrize("size", [(1280, 720), (1024, 768), (1920, 1080), (390, 844)])
def test_everything_fits_the_window(page, made, served, size):
    made(faces="abc")
    page.size(*size)
    address = served().address
    for only in ("classification", "consistency", "comparison"):
        _begin(page, address)
        page.value(f"go(trials.findIndex((trial) => trial.task === '{only}' && trial.pictures.length))")
        _start(page, only)
        boxes = page.value("[...document.querySelectorAll('#trial img, #trial .answers button, #trial .foot')]"
                           ".map((each) => each.getBoundingClientRect()).map((box) => "
                           "[box.left, box.top, box.right, box.bottom])")  # fmt: skip
        low, high = np.min(boxes, axis=0), np.max(boxes, axis=0)
        assert low[0] >= 0 and low[1] >= 0 and high[2] <= size[0] and high[3] <= size[1]
        picture = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
        left, top, right, bottom = (round(edge) for edge in boxes[0])
        inside = picture[(top + bottom) // 2, (left + right) // 2]
        assert tuple(inside) != tuple(picture[5, 5])  # the photo is drawn, not its frame
    page.size(1280, 800)

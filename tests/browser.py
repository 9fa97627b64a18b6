# SPDX-License-Identifier: GPL-3.0-or-later
"""A headless Chromium that tests drive as a person would, over the DevTools protocol on pipes; no driver is needed."""

from __future__ import annotations

import base64
import itertools
import json
import os
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.setup.test_run import BROWSERS

VARIABLE = "MIEN_CHROMIUM"
"""Environment variable that names the browser's program."""
_SECONDS = 60.0
_OPTIONS = (
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-gpu",
    "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--mute-audio", "--no-proxy-server",
    "--no-sandbox",
)  # fmt: skip
"""Without its sandbox, which neither root nor most containers can have: it sees our own page alone."""
_KEYS = {"ArrowLeft": 37, "ArrowRight": 39, "Enter": 13, "Tab": 9, " ": 32}


def program() -> str:
    """The browser; the test is skipped where there is none."""
    named = os.environ.get(VARIABLE)
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip(f"no Chromium is on the PATH ({', '.join(BROWSERS)}), and {VARIABLE} names none")
    if sys.platform == "win32":
        pytest.skip("the browser's pipes are numbered as on Linux and macOS")
    return found


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """Start a browser with an empty page.

    Args:
        profile: An empty folder for its files.
    """
    command = [program(), *_OPTIONS, f"--user-data-dir={profile}", "about:blank"]
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()

    def numbered() -> None:
        kept = [os.dup(end) for end in (theirs_in, theirs_out)]  # or one would be written over
        os.dup2(kept[0], 3)
        os.dup2(kept[1], 4)

    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, pass_fds=(3, 4), preexec_fn=numbered, **quiet)
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        page = Page(ours_in, ours_out)
        yield page
        page.call("Browser.close", of_page=False)
        process.wait(_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours_in)
        os.close(ours_out)


class Page:
    """The browser's only page.

    Attributes:
        complaints: What the page reported as errors: exceptions, failed loads, refused styles and scripts.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._numbers = itertools.count(1)
        self._left = b""
        self._session = ""
        self.complaints: list[str] = []
        targets = self.call("Target.getTargets", of_page=False)["targetInfos"]
        target = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self.call("Target.attachToTarget", of_page=False, targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, of_page: bool = True, **parameters: object) -> dict:
        """Call a method of the DevTools protocol and wait for what it returns."""
        number = next(self._numbers)
        message: dict[str, object] = {"id": number, "method": method, "params": parameters}
        if of_page:
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while True:
            said = self._message()
            if said.get("id") == number:
                assert "error" not in said, f"{method}: {said['error']}"
                return said["result"]
            self._heard(said)

    def open(self, address: str) -> None:
        """Load an address and wait for its scripts."""
        self.call("Page.navigate", url=address)
        self.wait(f"location.href.startsWith({json.dumps(address)}) && document.readyState === 'complete'")

    def size(self, width: int, height: int) -> None:
        """Set the size of the window's content, CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def value(self, expression: str) -> object:
        """What an expression is on the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true on the page."""
        end = time.monotonic() + _SECONDS
        while not self.value(f"!!({expression})"):
            assert time.monotonic() < end, f"not within {_SECONDS} s: {expression}; the page says: {self.complaints}"
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        """Click with the mouse in the middle of an element, once it can be clicked there."""
        name = json.dumps(selector)
        inside = f"""(() => {{ const found = document.querySelector({name}); if (!found || found.disabled) return null;
            found.scrollIntoView({{block: "nearest"}}); const box = found.getBoundingClientRect();
            const place = [box.x + box.width / 2, box.y + box.height / 2];
            const top = document.elementFromPoint(...place);
            return top && (found === top || found.contains(top)) ? place : null; }})()"""
        self.wait(f"{inside} !== null")
        x, y = self.value(inside)  # type: ignore[misc]  # a list of two numbers
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            pressed = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **pressed)

    def press(self, key: str) -> None:
        """Press a key: a character, or a name such as ArrowLeft."""
        code = _KEYS.get(key) or ord(key.upper())
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        known = {"key": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **known)
        self.call("Input.dispatchKeyEvent", type="keyUp", **known)

    def text(self, selector: str) -> str:
        """The text of an element as it is shown."""
        return str(self.value(f"document.querySelector({json.dumps(selector)}).innerText"))

    def screenshot(self) -> bytes:
        """The window as a PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def _message(self) -> dict:
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._reading, selectors.EVENT_READ)
            while b"\0" not in self._left:
                assert waiting.select(_SECONDS), "the browser says nothing"
                more = os.read(self._reading, 1 << 16)
                assert more, "the browser has ended"
                self._left += more
        first, _, self._left = self._left.partition(b"\0")
        return json.loads(first)

    def _heard(self, said: dict) -> None:
        parameters = said.get("params", {})
        if said.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))
        elif said.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.complaints.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")

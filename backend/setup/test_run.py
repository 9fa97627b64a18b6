# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole test run: environments, system libraries, style, and pytest in each environment."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.terminal import TerminalProgress, guarded
from blender_addon.contract.errors import ErrorCode, MienError

from . import system_libraries
from .bpy_environments import BPY_4_2, NEWEST_FOR_TESTS, BpyRelease, choose_release, ensure_bpy
from .pip_runner import clean_environment
from .runtime import FAN_LOCK, ONNX_LOCK, RAY_LOCK, TRAIN_LOCK, ensure_runtime

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / ".envs"

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
"""Programs that tests of web pages can drive; the first is also the name of its Debian package."""
_NO_TESTS = 5  # pytest's exit status when it collected none


@dataclass(frozen=True)
class Counts:
    """How many tests ended how."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"

    @property
    def status(self) -> int:
        """Exit status: good only when something ran and nothing failed."""
        return 0 if self.passed and not self.failed else 1


@dataclass(frozen=True)
class Suite:
    """Tests that run in one environment.

    Attributes:
        name: What it is called in the output.
        python: Interpreter of the environment.
        arguments: What pytest is told to collect.
        variables: Environment variables of the run.
    """

    name: str
    python: str
    arguments: tuple[str, ...]
    variables: Mapping[str, str]


def main(arguments: Sequence[str]) -> int:
    """Run all tests.

    Args:
        arguments: Command line; what is not ours goes to pytest.

    Returns:
        Exit status: 0 when tests ran and none failed.
    """
    parser = argparse.ArgumentParser(prog="test.py", description="Run all tests; other arguments go to pytest.")
    parser.add_argument("--fast", action="store_true", help="leave out the tests marked slow")
    options, for_pytest = parser.parse_known_args(arguments)
    if options.fast:
        for_pytest = ["-m", "not slow", *for_pytest]
    total = Counts()

    def run() -> None:
        nonlocal total
        suites = _prepare()
        total += check_style(suites[0].python)
        for suite in suites:
            total += run_suite(suite, for_pytest)

    started = time.monotonic()
    failure = guarded(run)
    _heading(f"all done in {time.monotonic() - started:.0f} s")
    if failure:
        total += Counts(failed=1)
    print(total, flush=True)
    return failure or total.status


def _prepare() -> list[Suite]:
    """Make the environments; returns the suites to run in them, the backend's first."""
    _heading("environments")
    with TerminalProgress() as progress:
        _ensure_system_libraries()
        _ensure_browser()
        backend = ensure_runtime(ROOT, progress, ("test.txt", RAY_LOCK, TRAIN_LOCK, ONNX_LOCK, FAN_LOCK))
        blenders = [(release, _ensure_bpy(release, progress)) for release in _releases()]
    shared = {"MIEN_HOME": os.environ.get("MIEN_HOME") or str(ENVIRONMENTS / "mien-home")}
    main_variables = shared | {"MIEN_BLENDER": blenders[0][1]}
    # Training has a process of its own: both load large networks, and what one keeps of them is not the other's.
    rest = ("tests", "--ignore=tests/blender", "--ignore=tests/training")
    suites = [
        Suite("backend", backend, rest, main_variables),
        Suite("training", backend, ("tests/training",), main_variables),
    ]
    for release, python in blenders:
        variables = shared | {"MIEN_BACKEND_PYTHON": backend}
        suites.append(Suite(release.name, python, ("tests/blender",), variables))
    return suites


def _releases() -> list[BpyRelease]:
    newest, _ = choose_release(NEWEST_FOR_TESTS)
    if newest is not NEWEST_FOR_TESTS[0]:
        wanted = NEWEST_FOR_TESTS[0]
        python = ".".join(map(str, wanted.python))
        print(f"No Python {python} was found, so {newest.name} stands in for {wanted.name}.", flush=True)
    return [BPY_4_2, newest]


def _ensure_bpy(release: BpyRelease, progress: TerminalProgress) -> str:
    _, interpreter = choose_release([release])
    return ensure_bpy(release, interpreter, ROOT, ENVIRONMENTS, progress, ("bpy-test.txt",))


def _ensure_system_libraries() -> None:
    """Install missing shared libraries where we may, else say which.

    Raises:
        MienError: SETUP_FAILED.
    """
    absent = system_libraries.absent_libraries(system_libraries.ALL_LIBRARIES)
    if not absent:
        return
    packages = system_libraries.packages_of(absent)
    if not system_libraries.has_apt() or os.geteuid() != 0:
        message = f"These system libraries are missing: {', '.join(absent)}."
        raise MienError(ErrorCode.SETUP_FAILED, message, system_libraries.install_remedy(absent))
    _install_packages(packages)


def _ensure_browser() -> None:
    """Install the Chromium that tests of web pages drive, where we may; without one those tests are skipped."""
    if any(map(shutil.which, BROWSERS)) or not system_libraries.has_apt() or os.geteuid() != 0:
        return
    try:
        _install_packages([BROWSERS[0]])
    except MienError as error:
        print(f"{error.message} Tests of web pages are skipped.", flush=True)


def _install_packages(packages: Sequence[str]) -> None:
    """Install Debian packages.

    Raises:
        MienError: SETUP_FAILED.
    """
    print(f"Installing {' '.join(packages)}", flush=True)
    install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    for command in (["apt-get", "update"], install):
        quiet = {"stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        done = subprocess.run(command, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, **quiet)
        if done.returncode != 0:
            message = f"'{' '.join(command)}' failed."
            raise MienError(ErrorCode.SETUP_FAILED, message, "Install these packages and run the tests again.")


def check_style(python: str) -> Counts:
    """Run ruff over the sources; it counts as one test."""
    _heading("style")
    done = subprocess.run([python, "-m", "ruff", "check", "--output-format", "concise", "."], cwd=ROOT)
    return Counts(passed=1) if done.returncode == 0 else Counts(failed=1)


def run_suite(suite: Suite, for_pytest: Sequence[str]) -> Counts:
    """Run pytest in the environment of a suite.

    Args:
        suite: What to run where.
        for_pytest: Further arguments for pytest.
    """
    _heading(f"{suite.name}: {suite.python}")
    with tempfile.TemporaryDirectory(prefix="mien-tests-") as folder:
        results = Path(folder) / "results.xml"
        command = [suite.python, "-m", "pytest", *suite.arguments, f"--junitxml={results}", *for_pytest]
        environment = clean_environment() | dict(suite.variables)
        done = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL)
        counts = read_results(results, done.returncode)
    print(f"{suite.name}: {counts}", flush=True)
    return counts


def read_results(results: Path, status: int) -> Counts:
    """Count the tests of a finished pytest.

    Args:
        results: The JUnit file that it was told to write.
        status: Its exit status. A bad one that the file does not explain (a crash) counts as a failure.
    """
    counts = Counts()
    if results.exists():
        for suite in ElementTree.parse(results).getroot().iter("testsuite"):
            tests, failures, errors, skipped = (
                int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")
            )
            counts += Counts(tests - failures - errors - skipped, failures + errors, skipped)
    if status not in (0, _NO_TESTS) and not counts.failed:
        counts += Counts(failed=1)
    return counts


def _heading(text: str) -> None:
    print(f"\n== {text}", flush=True)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What pip says, in words for a user."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.setup.pip_runner import _describe, clean_environment, explain_failure, modules_to_load, pinned_packages
from blender_addon.contract.errors import ErrorCode

RETRYING = (
    "WARNING: Retrying (Retry(total=4, connect=None, read=None, redirect=None, status=None)) after connection broken "
    "by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object>: Failed to establish a new "
    "connection: [Errno -3] Temporary failure in name resolution')': /simple/numpy/"
)
NONE_FOUND = [
    "ERROR: Could not find a version that satisfies the requirement numpy==2.4.6 (from versions: none)",
    "ERROR: No matching distribution found for numpy==2.4.6",
]


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        ([RETRYING, *NONE_FOUND], ErrorCode.NO_NETWORK, "cannot be reached"),
        (NONE_FOUND, ErrorCode.SETUP_FAILED, "no build of numpy==2.4.6"),
        (
            ["ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"],
            ErrorCode.NO_SPACE,
            "disk is full",
        ),
        (
            ["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated ..."],
            ErrorCode.WRONG_HASH,
            "hash differs",
        ),
        (
            ["ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/opt/x'"],
            ErrorCode.NOT_PERMITTED,
            "permission denied",
        ),
        (["Collecting a", "ERROR: Cannot install a.", "more words"], ErrorCode.SETUP_FAILED, "Cannot install a."),
        ([], ErrorCode.SETUP_FAILED, "no output"),
    ],
)
def test_failures_are_told_apart(lines, code, said):
    error = explain_failure(lines, Path("pip.log"))
    assert error.code is code
    assert said in error.message
    assert error.remedy.endswith(".")
    assert ".." not in str(error)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Collecting torch==2.13.0 (from -r locks/runtime.txt (line 3))", "looking for torch==2.13.0"),
        (
            "Downloading opencv_contrib_python-5.0.0.93-cp37-abi3-win_amd64.whl (45.5 MB)",
            "downloading opencv-contrib-python 5.0.0.93 (45.5 MB)",
        ),
        ("Downloading pillow-13.0.0-cp311-cp311-win_amd64.whl.metadata (9.3 kB)", ""),
        ("Using cached numpy-2.4.6-cp311-cp311-win_amd64.whl (12.3 MB)", "reading numpy 2.4.6 (12.3 MB)"),
        ("Processing /place-2/wheels-1/torch-2.13.0-cp311-none-any.whl (from -r x (line 3))", "reading torch 2.13.0"),
        ("Requirement already satisfied: numpy==2.4.6 in /env/lib", ""),
        (RETRYING, "the network does not answer, trying again"),
    ],
)
def test_progress_names_the_package(line, message):
    assert _describe(line) == message


def test_settings_that_lead_astray_are_left_out(monkeypatch):
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("PIP_INDEX_URL", "https://example.invalid/simple")
    kept = clean_environment()
    assert "PIP_TARGET" not in kept
    assert "PYTHONPATH" not in kept
    assert kept["PIP_INDEX_URL"] == "https://example.invalid/simple"  # the user's own index is theirs to choose


def test_reading_a_lock(tmp_path):
    lock = tmp_path / "lock.txt"
    lock.write_text("# about\n# loads: one two.three\none==1.0  # why\n\ntwo==2\n", encoding="utf-8")
    assert pinned_packages(lock) == ["one==1.0", "two==2"]
    assert modules_to_load(lock) == ["one", "two.three"]

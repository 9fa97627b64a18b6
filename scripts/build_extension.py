# SPDX-License-Identifier: GPL-3.0-or-later
"""Build and validate the Blender extension: `python scripts/build_extension.py [--output dist]`.

The zip holds the manifest, the content of `blender_addon/`, the licence and the wheels of `locks/extension-wheels.txt`,
fetched by pip and checked by hash. Standard library only.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = "blender_manifest.toml"
WHEEL_LOCK = ROOT / "locks" / "extension-wheels.txt"
LEFT_OUT = ("__pycache__", "*.pyc", "headless.py")  # headless.py is run from the sources, never inside Blender's add-on

PLATFORMS = ("linux-x64", "macos-arm64", "macos-x64", "windows-x64")
PYTHONS = ("cp311", "cp313", "cp314")
PERMISSIONS = ("files", "network", "clipboard", "camera", "microphone")
TAGS = frozenset(
    "3D View,Add Curve,Add Mesh,All,Animation,Bake,Camera,Compositing,Development,Game Engine,Geometry Nodes,"
    "Grease Pencil,Import-Export,Lighting,Material,Mesh,Modeling,Node,Object,Paint,Physics,Pipeline,Render,Rigging,"
    "Scene,Sculpt,Sequencer,System,Text Editor,Tracking,UV,User Interface".split(",")
)
_TEXT_LIMIT = 64
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # fixed, so that the same sources give the same file
_WHEEL = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)-(?P<python>cp\d+)-(?P<abi>[^-]+)-(?P<platform>.+)\.whl")


class ExtensionError(Exception):
    """The extension cannot be built; the text says why and what to do."""


def read_wheel_lock(path: Path = WHEEL_LOCK) -> dict[str, str]:
    """File name -> sha256 of every wheel that goes into the zip."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return {name: sha256 for sha256, name in map(str.split, lines)}


def fetch_wheels(cache: Path, lock: Mapping[str, str]) -> list[Path]:
    """Make sure that every locked wheel lies in the cache, with the right content.

    Raises:
        ExtensionError: pip could not fetch one, or its hash is wrong.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for name, sha256 in lock.items():
        if not (cache / name).is_file() or _sha256(cache / name) != sha256:
            _download(name, sha256, cache)
    return [cache / name for name in lock]


def _download(name: str, sha256: str, cache: Path) -> None:
    tags = _wheel_tags(name)
    with tempfile.TemporaryDirectory() as folder:
        requirement = Path(folder) / "requirement.txt"
        requirement.write_text(f"{tags['name']}=={tags['version']} --hash=sha256:{sha256}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--require-hashes"]
        command += ["--implementation", "cp", "--python-version", tags["python"][2:], "--abi", tags["abi"]]
        for platform in tags["platform"].split("."):
            command += ["--platform", platform]
        done = subprocess.run([*command, "--dest", folder, "-r", str(requirement)], capture_output=True, text=True)
        fetched = Path(folder) / name
        if done.returncode or not fetched.is_file():
            raise ExtensionError(f"{name} cannot be fetched: {done.stderr.strip() or 'pip chose another file'}")
        if _sha256(fetched) != sha256:
            raise ExtensionError(f"{name} has not the hash that is locked. Fetch it again.")
        shutil.move(fetched, cache / name)


def _wheel_tags(name: str) -> dict[str, str]:
    match = _WHEEL.fullmatch(name)
    if match is None:
        raise ExtensionError(f"{name} is not the name of a wheel for one Python.")
    return match.groupdict()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest's values.

    Raises:
        ExtensionError: It cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ExtensionError(f"{path} cannot be read: {error}") from error


def manifest_problems(manifest: Mapping[str, Any], version: str, wheels: Iterable[str]) -> list[str]:
    """What is wrong with a manifest, beyond what Blender's own validation finds.

    Args:
        manifest: Its values.
        version: The version it must have.
        wheels: File names of the wheels it must list.

    Returns:
        One sentence for each problem; none when it is right.
    """
    problems = []
    if manifest.get("id") != "mien":
        problems.append("The id is not 'mien', by which the add-on is found.")
    if manifest.get("version") != version:
        problems.append(f"The version is {manifest.get('version')}, the project's is {version}.")
    if unknown := set(manifest.get("tags", ())) - TAGS:
        problems.append(f"Blender does not know the tag '{min(unknown)}'.")
    if sorted(manifest.get("platforms", ())) != sorted(PLATFORMS):
        problems.append(f"The platforms are not {', '.join(PLATFORMS)}.")
    if manifest.get("license") != ["SPDX:GPL-3.0-or-later"]:
        problems.append("The licence is not SPDX:GPL-3.0-or-later.")
    if manifest.get("blender_version_min") != "4.2.0":
        problems.append("The oldest Blender is not 4.2.0.")
    problems += _text_problems({"tagline": manifest.get("tagline", ""), **manifest.get("permissions", {})})
    if unknown := set(manifest.get("permissions", {})) - set(PERMISSIONS):
        problems.append(f"Blender does not know the permission '{min(unknown)}'.")
    listed = {PurePath(wheel).name for wheel in manifest.get("wheels", ())}
    if difference := listed ^ set(wheels):
        problems.append(f"The manifest and the lock disagree about the wheel {min(difference)}.")
    return problems + _coverage_problems(listed)


def _text_problems(texts: Mapping[str, str]) -> list[str]:
    long = [f"The text of '{name}' is longer than {_TEXT_LIMIT}." for name in texts if len(texts[name]) > _TEXT_LIMIT]
    ending = [f"The text of '{name}' ends in punctuation." for name, text in texts.items() if not text[-1:].isalnum()]
    return long + ending


def _coverage_problems(wheels: Iterable[str]) -> list[str]:
    """Every package needs a wheel for each platform and Python."""
    tags = [_wheel_tags(wheel) for wheel in wheels]
    problems = []
    for package in ("msgpack", "pyzmq"):
        for platform in PLATFORMS:
            for python in PYTHONS:
                if not any(t["name"] == package and _fits(t, platform, python) for t in tags):
                    problems.append(f"There is no wheel of {package} for {platform} and {python}.")
    return problems


def _fits(tags: Mapping[str, str], platform: str, python: str) -> bool:
    system = {
        "linux-x64": r"manylinux.*x86_64",
        "windows-x64": r"win_amd64",
        "macos-arm64": r"macosx_.*(arm64|universal2)",
        "macos-x64": r"macosx_.*(x86_64|universal2)",
    }[platform]
    exact = tags["python"] == python
    stable = tags["abi"] == "abi3" and int(tags["python"][2:]) <= int(python[2:])
    return bool(re.search(system, tags["platform"])) and (exact or stable)


def project_version() -> str:
    """The version of the project, read without importing it."""
    source = (ROOT / "blender_addon" / "contract" / "version.py").read_text(encoding="utf-8")
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", "") == "VERSION":
            return str(ast.literal_eval(statement.value))
    raise ExtensionError("blender_addon/contract/version.py has no VERSION.")


def stage(folder: Path, wheels: Sequence[Path] = ()) -> None:
    """Lay out the extension as Blender unpacks it.

    Args:
        folder: New folder.
        wheels: Wheels to include; without any, the manifest is written without wheels (a developer's installation,
            where Blender's Python has the packages already).
    """
    shutil.copytree(ROOT / "blender_addon", folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    manifest = (ROOT / MANIFEST).read_text(encoding="utf-8")
    if wheels:
        (folder / "wheels").mkdir()
        for wheel in wheels:
            shutil.copy2(wheel, folder / "wheels" / wheel.name)
    else:
        manifest = re.sub(r"^wheels = \[.*?^\]\n", "", manifest, flags=re.MULTILINE | re.DOTALL)
    (folder / MANIFEST).write_text(manifest, encoding="utf-8", newline="\n")
    licence = ROOT / "LICENSE"
    if licence.is_file():
        shutil.copy2(licence, folder / "LICENSE")


def write_zip(folder: Path, target: Path) -> None:
    """Pack a staged extension; the target is whole or absent."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _ZIP_TIME)
                    info.compress_type = zipfile.ZIP_STORED if path.suffix == ".whl" else zipfile.ZIP_DEFLATED
                    info.external_attr = 0o644 << 16
                    archive.writestr(info, path.read_bytes())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def blender_validator() -> Path | None:
    """Blender's own build tool: from the bpy module of this Python or of an environment of the tests."""
    pattern = "bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"
    folders = [Path(entry) for entry in sys.path if entry.endswith("site-packages")]
    folders += sorted((ROOT / ".envs").glob("*/lib/python3*/site-packages"))
    folders += sorted((ROOT / ".envs").glob("*/Lib/site-packages"))
    return next((found for folder in folders for found in sorted(folder.glob(pattern))), None)


def validate_with_blender(validator: Path, target: Path) -> None:
    """Let Blender's tool check the zip.

    Raises:
        ExtensionError: It refuses it.
    """
    done = subprocess.run([sys.executable, str(validator), "validate", str(target)], capture_output=True, text=True)
    if done.returncode:
        raise ExtensionError(f"Blender refuses {target}: {(done.stdout + done.stderr).strip()}")


def check_zip(target: Path, lock: Mapping[str, str]) -> None:
    """Check what a zip holds: manifest, package, licence, every wheel with its hash, nothing that does not belong.

    Raises:
        ExtensionError: It is not right.
    """
    with zipfile.ZipFile(target) as archive:
        names = set(archive.namelist())
        if missing := {MANIFEST, "__init__.py", "contract/version.py"} - names:
            raise ExtensionError(f"{target} lacks {min(missing)}.")
        if wrong := [name for name in names if "__pycache__" in name or name.startswith(("/", ".."))]:
            raise ExtensionError(f"{target} holds {wrong[0]}, which does not belong there.")
        manifest = tomllib.loads(archive.read(MANIFEST).decode("utf-8"))
        for wheel in manifest["wheels"]:
            name = wheel.removeprefix("./")
            if name not in names:
                raise ExtensionError(f"{target} lacks {name}.")
            if hashlib.sha256(archive.read(name)).hexdigest() != lock[PurePath(name).name]:
                raise ExtensionError(f"{name} in {target} has not the hash that is locked.")


def build(output: Path, cache: Path) -> Path:
    """Build and validate the zip.

    Returns:
        Its path.

    Raises:
        ExtensionError: Something is wrong; no zip is left then.
    """
    version, lock = project_version(), read_wheel_lock()
    if problems := manifest_problems(read_manifest(ROOT / MANIFEST), version, lock):
        raise ExtensionError("blender_manifest.toml is wrong. " + " ".join(problems))
    wheels = fetch_wheels(cache, lock)
    target = output / f"mien-{version}.zip"
    with tempfile.TemporaryDirectory() as folder:
        stage(Path(folder) / "mien", wheels)
        write_zip(Path(folder) / "mien", target)
    try:
        check_zip(target, lock)
        if validator := blender_validator():
            validate_with_blender(validator, target)
    except ExtensionError:
        target.unlink()
        raise
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Build and validate the Blender extension.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder for the zip")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "wheels", help="folder for fetched wheels")
    options = parser.parse_args(arguments)
    try:
        target = build(options.output, options.cache)
    except ExtensionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    checked = "Blender's own and our checks" if blender_validator() else "our checks (no bpy at hand for Blender's own)"
    print(f"{target}  {target.stat().st_size / 1e6:.1f} MB, passed {checked}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

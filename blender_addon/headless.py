# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a .blend, and files for other programs, from a head and takes, outside the user interface.

    blender -b --factory-startup -P blender_addon/headless.py -- --head HEAD.npz --take TAKE.npz --out FILE.blend
                                                                  [--export fbx=FILE.fbx --export mdd=FILE.mdd ...]
    python blender_addon/headless.py --head HEAD.npz --take TAKE.npz --out FILE.blend      (with the bpy module)

A line `Mien wrote NAME` follows each file that is whole, NAME being `blend` or the format of an export. The last line
printed is one JSON object: `{"ok": true, "blend": ..., "exports": {...}, "failed": {...}, "heads": [...], ...}` or
`{"ok": false, "error": {"code": ..., "message": ..., "remedy": ..., "details": {...}}}`; the exit status is that of the
`mien` command. A file that cannot be written stands in `failed` and does not keep the others from being written; where
it is the only one it is the error.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if __package__ in (None, ""):  # run as a file, by Blender or by Python: the package is the folder above
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import blender_addon  # noqa: F401

    __package__ = "blender_addon"

from .animation.timing import TIMINGS
from .contract.errors import ErrorCode, MienError
from .contract.files import file_error
from .contract.head import HeadDescription
from .contract.take import Take

if TYPE_CHECKING:
    from .scene import Captured


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sentence = f"{message[:1].upper()}{message[1:]}."
        raise MienError(ErrorCode.USAGE, sentence, "The top of headless.py says how to use it.")


def main(arguments: list[str]) -> int:
    """Build the file and print one line of JSON.

    Returns:
        Exit status: 0, or that of the error.
    """
    started = time.perf_counter()
    try:
        report = _build(_parse(arguments))
    except MienError as error:
        print(json.dumps({"ok": False, "error": _fields(error)}), flush=True)
        return error.exit_code
    report["seconds"] = round(time.perf_counter() - started, 3)
    print(json.dumps(report), flush=True)
    return 0


def _fields(error: MienError) -> dict[str, object]:
    details = {name: str(value) for name, value in error.details.items()}
    return {"code": error.code.value, "message": error.message, "remedy": error.remedy, "details": details}


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = _Parser(prog="headless.py", description="Build a .blend from a head and takes.")
    parser.add_argument("--head", required=True, metavar="HEAD.npz")
    parser.add_argument("--take", required=True, action="append", metavar="TAKE.npz", dest="takes")
    parser.add_argument("--source", metavar="PATH", help="photo, movie or numbered images to show behind the heads")
    parser.add_argument("--out", metavar="FILE.blend")
    parser.add_argument("--export", action="append", default=[], type=_export, metavar="NAME=PATH", dest="exports")
    parser.add_argument("--name", help="name of the heads; the source's by default")
    parser.add_argument("--identity-keys", action="store_true", help="keep identity as shape keys")
    parser.add_argument("--rotation", choices=("XYZ", "QUATERNION"), default="XYZ", help="how bones are keyed")
    parser.add_argument("--start", type=int, default=1, help="scene frame of the first sample")
    parser.add_argument("--timing", choices=TIMINGS, default="conform", help="see animation/timing.py")
    parser.add_argument("--rate", type=_positive, help="frames per second of the scene; that of Source timing")
    options = parser.parse_args(arguments)
    if not options.out and not options.exports:
        parser.error("--out or --export is needed")
    return options


def _export(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if not name or not path:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=PATH")
    return name, Path(path).absolute()


def _positive(text: str) -> float:
    value = float(text)
    if not 0.0 < value < 1000.0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of frames per second")
    return value


def _build(options: argparse.Namespace) -> dict[str, object]:
    head = HeadDescription.load(options.head)
    takes = [Take.load(path) for path in options.takes]
    target = Path(options.out).absolute() if options.out else None
    if target and not options.exports:
        _check_writable(target)
    import bpy  # only now: wrong files are reported without starting Blender's data

    from .animation.scene_time import set_frame_rate
    from .rig.build import BuildOptions
    from .scene import SceneOptions, add_captures

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    build = BuildOptions(identity_keys=options.identity_keys, rotation_mode=options.rotation)
    scene_options = SceneOptions(
        build=build,
        name=options.name,
        pack_photo=True,
        start=options.start,
        timing=options.timing,
        take_files=tuple(os.path.abspath(path) for path in options.takes),
    )
    scene = bpy.context.scene
    if options.rate is not None:
        set_frame_rate(scene, options.rate)
    captured = add_captures(head, takes, options.source, scene, scene_options)
    scene.frame_set(scene.frame_start)
    written = _write(captured, target, options.exports)
    heads = [{**asdict(item.head), "camera": item.camera, "action": item.action} for item in captured.heads]
    warnings = [*captured.warnings, *written.warnings]
    report = {"ok": True, "heads": heads, "warnings": warnings, "blender": bpy.app.version_string}
    return report | {"exports": written.exports, "failed": written.failed} | _saved(target, written)


def _saved(target: Path | None, written: _Written) -> dict[str, object]:
    return {"blend": str(target)} if target and "blend" not in written.failed else {}


@dataclass
class _Written:
    """What was written, by name, what failed, and sentences about what files do not have."""

    exports: dict[str, str] = field(default_factory=dict)
    failed: dict[str, dict[str, object]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def _write(captured: Captured, target: Path | None, exports: Sequence[tuple[str, Path]]) -> _Written:
    """Write all files; one that fails does not stop the others, but is raised where it is the only one."""
    import bpy

    from .exports.formats import export_heads

    written, scene = _Written(), bpy.context.scene
    meshes = [bpy.data.objects[item.head.mesh] for item in captured.heads]

    def export(name: str, path: Path) -> None:
        written.warnings += export_heads(name, scene, meshes, path)
        written.exports[name] = str(path)

    steps = [("blend", partial(_save, target))] if target else []
    steps += [(name, partial(export, name, path)) for name, path in exports]
    for name, step in steps:
        try:
            step()
        except MienError as error:
            if len(steps) == 1:
                raise
            written.failed[name] = _fields(error)
        else:
            print(f"Mien wrote {name}", flush=True)
    written.warnings = list(dict.fromkeys(written.warnings))
    return written


def _check_writable(target: Path) -> None:
    """Refuse a place that cannot be written before the work is done."""
    probe = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        probe.touch()
        probe.unlink()
        if target.is_dir():
            raise IsADirectoryError(21, "it is a folder")
    except OSError as error:
        raise file_error(target, error) from error


def _save(target: Path) -> None:
    """Save beside the target, then take its name, so that a failure leaves what was there."""
    import bpy

    temporary = target.with_name(f".{secrets.token_hex(8)}.blend")
    try:
        # Paths stay absolute: whoever called may move the file from here to where it belongs.
        bpy.ops.wm.save_as_mainfile(filepath=str(temporary), compress=True, check_existing=False, relative_remap=False)
        os.replace(temporary, target)
    except RuntimeError as error:  # what bpy.ops raises when Blender reports an error
        reason = str(error).strip().removeprefix("Error: ").splitlines()[0].rstrip(".")
        raise MienError(
            ErrorCode.NOT_PERMITTED, f"{target} cannot be written: {reason}.", "Check the space and permissions there."
        ) from error
    except OSError as error:
        raise file_error(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _end(status: int) -> NoReturn:
    """End the process. All is written and closed: bpy 4.2 as a Python module crashes when it is taken apart after
    Blender's glTF exporter was loaded, which would look like a failure of ours.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    app = sys.modules["bpy"].app if "bpy" in sys.modules else None
    if app is None or app.binary_path:
        sys.exit(status)
    own = os.path.normpath(app.tempdir)
    if os.path.basename(own).startswith("blender_"):  # not the system's own folder, which it may be
        shutil.rmtree(own, ignore_errors=True)
    os._exit(status)


if __name__ == "__main__":
    after = sys.argv.index("--") + 1 if "--" in sys.argv else 1
    _end(main(sys.argv[after:]))

# SPDX-License-Identifier: GPL-3.0-or-later
"""The `mien` command. Heavy modules are imported by the sub-command that needs them, so that help is instant."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from backend.arguments import add_device, add_engine, frame_range, named, positive
from backend.batch.command import add_batch
from backend.exports.command import add_export, add_import
from backend.retarget.command import add_convert
from backend.terminal import guarded
from backend.weights.command import add_models
from blender_addon.contract.errors import EXIT_CODES, ErrorCode, MienError
from blender_addon.contract.options import DEFAULT_SMOOTHING
from blender_addon.contract.version import VERSION


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sentence = f"{message[:1].upper()}{message[1:].rstrip('.')}."
        raise MienError(ErrorCode.USAGE, sentence, f"See '{self.prog} --help'.")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read a command line.

    Raises:
        MienError: USAGE; MISSING_FILE for a source that is not there.
        SystemExit: After --help and --version.
    """
    options = _build_parser().parse_args(arguments)
    if options.command == "capture":
        _require_source(options.source)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `mien` command.

    Args:
        arguments: Command line without the program's name; that of the process when None.

    Returns:
        Exit status: 0, or that of the error (see `mien --help`).
    """

    def work() -> int:
        options = parse(sys.argv[1:] if arguments is None else arguments)
        return options.run(options)

    return guarded(work)


def run() -> NoReturn:
    """The `mien` process: run the command of its command line and end."""
    _make_streams_take_everything()
    status = main()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # its reader has gone
            stream.flush()
    # All is written and closed; taking the large libraries apart, module by module, would cost up to a second.
    os._exit(status)


def _make_streams_take_everything() -> None:
    """Let standard output and error swallow text where they are closed, and escape the characters that they lack."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  # open until the process ends
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")


def _build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mien",
        description="Face capture for Blender: an animatable head from a photo, a performance from a video.",
        epilog=_exit_code_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mien {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_capture(commands)
    add_batch(commands)
    add_export(commands)
    add_import(commands)
    add_convert(commands)
    add_models(commands)
    _add_train(commands)
    _add_serve(commands)
    _add_setup(commands)
    check = commands.add_parser("check", help="say what is set up and what is missing")
    check.set_defaults(run=_check)
    return parser


def _exit_code_table() -> str:
    lines = [f"  {number:3}  {code.value.replace('_', ' ')}" for code, number in EXIT_CODES.items()]
    ordered = sorted(lines, key=lambda line: int(line.split()[0]))
    return "exit status: 0 when all went well, else\n" + "\n".join(ordered)


def _add_capture(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "capture",
        help="capture the face in a photo or a video",
        description="Capture the face in a photo or a video: NAME.take.npz, NAME.report.json, NAME.overlay.png or "
        "NAME.overlay.mp4 and, with --blend, a Blender scene with the head, its controls, its keyframes, a camera and "
        "the photo or the footage behind it.",
    )
    what = "a photo, a video, a folder of numbered images or a pattern of them (shot.####.png)"
    parser.add_argument("source", type=named, metavar="SOURCE", help=what)
    out = "folder for the results, made if missing; the source's by default"
    parser.add_argument("--out", type=named, metavar="DIR", help=out)
    blend = parser.add_argument_group("Blender")
    blend.add_argument("--blend", metavar="FILE", help="also save a .blend; a bare name goes to the other results")
    blend.add_argument("--blender", metavar="PATH", help="Blender 4.2 or newer for it; found or installed by default")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--face", "--person", type=positive, metavar="N", help="which one, the largest or most prominent is 1"
    )
    which.add_argument("--all-faces", "--all-people", action="store_true", help="capture every face or person")
    parser.add_argument("--focal", type=float, metavar="MM", help="35 mm equivalent focal length, if the file has none")
    clip = parser.add_argument_group("videos and numbered images")
    span = "frames to capture, by the clip's own numbers (a video's first is 1), both included; A: and :B are open"
    clip.add_argument("--range", type=frame_range, default=(None, None), metavar="A:B", help=span)
    rate = "frames per second of numbered images (24 by default); a video has times of its own"
    clip.add_argument("--fps", type=float, metavar="N", help=rate)
    smooth = f"how much curves are smoothed, 0 to 1 ({DEFAULT_SMOOTHING}); the raw ones stay in the take"
    clip.add_argument("--smoothing", type=float, default=DEFAULT_SMOOTHING, metavar="X", help=smooth)
    reference = "another photo or video of the same person, to learn the head's shape from; may be repeated"
    clip.add_argument("--reference", action="append", default=[], type=named, metavar="FILE", help=reference)
    timing = "with --blend: one scene frame for each of the clip (conform), or the clip's real time (source)"
    clip.add_argument("--timing", choices=("conform", "source"), default="conform", help=timing)
    clip.add_argument("--no-overlay", action="store_true", help="do not write the overlay video")
    add_engine(parser)
    add_device(parser)
    parser.add_argument("--json", action="store_true", help="print the report to stdout and nothing else there")
    parser.set_defaults(run=_capture)


def _add_train(commands: argparse._SubParsersAction) -> None:
    """The one place where the backend knows of training: the `mien` command is made of both."""
    from training.command import add_train

    add_train(commands)


def _add_serve(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("serve", help="run the backend that Blender talks to")
    parser.add_argument("--bind", metavar="tcp://HOST:PORT", help="address to listen on; port * takes a free one")
    parser.add_argument("--remote", action="store_true", help="serve other machines, with keys kept in the data folder")
    add_device(parser)
    parser.set_defaults(run=_serve)


def _add_setup(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("setup", help="fetch what captures need, and tell Blender where the backend is")
    parser.add_argument("--blend", action="store_true", help="also what --blend needs: bpy, where no Blender is found")
    parser.add_argument("--ray", action="store_true", help="also what 'batch --ray' needs: Ray")
    parser.add_argument("--onnx", action="store_true", help="also onnxruntime: DECA, EMOCA, SMIRK faster on a CPU")
    parser.add_argument("--train", action="store_true", help="also lightning and tensorboard, for 'mien train'")
    parser.add_argument("--fan", action="store_true", help="also face-alignment, for '--boxes fan'")
    parser.set_defaults(run=_setup)


def _require_source(source: str) -> None:
    """Refuse a missing source before gigabytes are installed to read it."""
    path = os.path.abspath(source)
    name = os.path.basename(path)
    if not os.path.exists(path) and ("#" in name or "%" in name):
        path = os.path.dirname(path)  # a pattern of numbered images
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise MienError(ErrorCode.MISSING_FILE, message, "Check the path.") from error
    except OSError:
        pass  # there, but out of reach: reading it tells why


def _capture(options: argparse.Namespace) -> int:
    from backend.commands import capture

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # being ended clears up just as Ctrl-C does
    capture(options)
    return 0


def _serve(options: argparse.Namespace) -> int:
    from backend.server.serve import serve

    return serve(bind=options.bind, remote=options.remote, device=options.device, threads=options.threads)


def _setup(options: argparse.Namespace) -> int:
    from backend.commands import set_up

    set_up(options)
    return 0


def _check(options: argparse.Namespace) -> int:
    from backend.check import check

    check()
    return 0


if __name__ == "__main__":
    run()

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person at a terminal sees: progress, and failures as one sentence. Only the standard library."""

from __future__ import annotations

import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from blender_addon.contract.errors import EXIT_CODES, ErrorCode, MienError

if TYPE_CHECKING:  # both need numpy, which the first use has to install first
    from blender_addon.contract.status import FrameCount
    from blender_addon.contract.take import Take

_BAR_WIDTH = 20
_CLEAR = "\r\x1b[K"


class TerminalProgress:
    """Progress on stderr: one line that changes on a terminal, a line for each new step elsewhere.

    Use it as a context manager, so that the changing line is cleared when the work ends.

    Args:
        stream: Where to write; stderr when None.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._last = ""
        self._count: FrameCount | None = None

    def __enter__(self) -> TerminalProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live and self._last:
            self._write(_CLEAR)

    def __call__(self, stage: str, done: float, message: str = "") -> None:
        """Show how far a stage is; `done` in 0..1."""
        share = min(max(done, 0.0), 1.0)
        step = f"{stage}: {message}" if message else stage
        if self._live:
            step += _told(self._count)
            filled = round(share * _BAR_WIDTH)
            line = f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {100 * share:3.0f}% {step}"
            self._write(_CLEAR + line[: shutil.get_terminal_size().columns - 1])
        elif step != self._last:
            self._write(f"{step}\n")
        self._last, self._count = step, None

    def check_cancelled(self) -> None:
        """Nothing to do: at a terminal Ctrl-C raises KeyboardInterrupt by itself."""

    def frames(self, count: FrameCount) -> None:
        """Remember how far a clip is, to show it with the next step."""
        self._count = count

    def wants_preview(self) -> bool:
        """A terminal shows no pictures."""
        return False

    def preview(self, takes: Sequence[Take]) -> None:
        """Nothing to do: a terminal shows no pictures."""

    def keep(self, take: Take) -> None:
        """Nothing to do: the command gets every take at the end."""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def say(error: MienError) -> None:
    """Write a failure to stderr: what happened and what to do."""
    sys.stderr.write(f"mien: {error}\n")


def put(text: str) -> None:
    """Print a result to standard output.

    Raises:
        MienError: NO_SPACE or NOT_PERMITTED.
        BrokenPipeError: Whoever read it has gone.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        from blender_addon.contract.files import file_error  # here: it needs numpy, and set-up starts without

        raise file_error("The standard output", error) from error


def guarded(work: Callable[[], int | None]) -> int:
    """Run work of a command and turn its failures into a sentence on stderr.

    Args:
        work: Returns an exit status, or None for 0.

    Returns:
        Exit status: that of the work, or that of the error's code.
    """
    try:
        return work() or 0
    except MienError as error:
        say(error)
        return error.exit_code
    except KeyboardInterrupt:
        message = "Stopped; nothing half-done was left."
        say(MienError(ErrorCode.CANCELLED, message, "Run the command again; a clip goes on where it was."))
        return EXIT_CODES[ErrorCode.CANCELLED]
    except BrokenPipeError:
        return EXIT_CODES[ErrorCode.INTERNAL]  # whoever read our output has gone, so there is nobody to tell
    except Exception as error:  # noqa: BLE001  # the last line of defence: a sentence for the user, the rest for the report
        traceback.print_exc()
        message = f"Mien made a mistake ({type(error).__name__}: {error})."
        say(MienError(ErrorCode.INTERNAL, message, "Please report it with the lines above."))
        return EXIT_CODES[ErrorCode.INTERNAL]


def _told(count: FrameCount | None) -> str:
    """How far a clip is, for the end of a line."""
    if count is None:
        return ""
    left = f", {count.seconds_left:.0f} s left" if count.seconds_left is not None else ""
    return f" ({count.done} of {count.total} frames, {count.per_second:.0f} a second{left})"

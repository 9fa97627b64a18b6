# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error a user ever sees: a code, what happened, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class ErrorCode(StrEnum):
    """Every kind of failure that reaches a user. The value travels in messages and JSON reports."""

    NO_FACE = "no_face"
    BAD_IMAGE = "bad_image"
    MISSING_FILE = "missing_file"
    NOT_PERMITTED = "not_permitted"
    NO_SPACE = "no_space"
    NO_NETWORK = "no_network"
    WRONG_HASH = "wrong_hash"
    PORT_TAKEN = "port_taken"
    BACKEND_DIED = "backend_died"
    VERSION_MISMATCH = "version_mismatch"
    CANCELLED = "cancelled"
    BLENDER_FAILED = "blender_failed"
    USAGE = "usage"
    WRONG_HEAD = "wrong_head"
    BAD_TAKE = "bad_take"
    UNKNOWN_SCHEMA = "unknown_schema"
    TOO_LARGE = "too_large"
    UNAUTHORISED = "unauthorised"
    NO_SUCH_JOB = "no_such_job"
    BAD_MESSAGE = "bad_message"
    BAD_HEAD = "bad_head"
    SETUP_FAILED = "setup_failed"
    INTERNAL = "internal"
    BAD_CLIP = "bad_clip"
    NO_CAMERA = "no_camera"
    CANNOT_EXPORT = "cannot_export"
    BAD_IMPORT = "bad_import"
    BAD_MANIFEST = "bad_manifest"
    SHOTS_FAILED = "shots_failed"
    BAD_PROFILE = "bad_profile"
    BAD_WEIGHTS = "bad_weights"
    BAD_STUDY = "bad_study"


def _exit_codes() -> dict[ErrorCode, int]:
    fixed = {ErrorCode.INTERNAL: 1, ErrorCode.USAGE: 2}
    others = [code for code in ErrorCode if code not in fixed]
    return fixed | {code: number for number, code in enumerate(others, start=3)}


EXIT_CODES: Mapping[ErrorCode, int] = MappingProxyType(_exit_codes())
"""Exit status of the `mien` command for each code: 1 internal, 2 usage, then 3, 4, ... in the order of `ErrorCode`."""


class MienError(Exception):
    """A failure that the user can understand and act on.

    Attributes:
        code: What kind of failure it is.
        message: One sentence naming the file or thing and the reason.
        remedy: One sentence saying what to do.
        details: Plain values for logs and programs (JSON-able), never needed to understand the message.
    """

    def __init__(self, code: ErrorCode, message: str, remedy: str, details: Mapping[str, object] | None = None) -> None:
        super().__init__(code, message, remedy, details)
        self.code = ErrorCode(code)
        self.message = message
        self.remedy = remedy
        self.details: dict[str, object] = dict(details or {})

    @property
    def exit_code(self) -> int:
        """Exit status of the `mien` command for this error."""
        return EXIT_CODES[self.code]

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}"

# SPDX-License-Identifier: GPL-3.0-or-later
"""CURVE key pairs: made once, kept readable by their owner only."""

from __future__ import annotations

import json
import os
import re
import string
from collections.abc import Callable
from dataclasses import dataclass, field

from .errors import ErrorCode, MienError
from .files import atomic_write, file_error, make_folder

_Z85 = re.compile("[" + re.escape(string.ascii_letters + string.digits + ".-:+=^!/*?&<>()[]{}@%$#") + "]{40}")


def is_key(text: object) -> bool:
    """Whether this is a CURVE key in Z85 (40 characters, ZeroMQ RFC 32)."""
    return isinstance(text, str) and _Z85.fullmatch(text) is not None


@dataclass(frozen=True)
class KeyPair:
    """A CURVE key pair in Z85; the secret half stays out of logs and representations."""

    public: str
    secret: str = field(repr=False)


def new_key_pair(curve_keypair: Callable[[], tuple[bytes, bytes]]) -> KeyPair:
    """Make a key pair with `zmq.curve_keypair`, which is handed in so that this module needs no zmq."""
    public, secret = curve_keypair()
    return KeyPair(public.decode("ascii"), secret.decode("ascii"))


def kept_key_pair(path: str | os.PathLike[str], curve_keypair: Callable[[], tuple[bytes, bytes]]) -> KeyPair:
    """The key pair of a file, made there at first use, readable by the owner only.

    Raises:
        MienError: SETUP_FAILED for a damaged file; NOT_PERMITTED, NO_SPACE or MISSING_FILE.
    """
    try:
        with open(path, encoding="ascii") as file:
            fields = json.load(file)
    except FileNotFoundError:
        pair = new_key_pair(curve_keypair)
        make_folder(os.path.dirname(os.path.abspath(path)), private=True)
        text = json.dumps({"public": pair.public, "secret": pair.secret})
        atomic_write(path, lambda file: file.write(text.encode()), private=True)
        return pair
    except OSError as error:
        raise file_error(path, error, "read") from error
    except ValueError as error:
        raise _damaged(path) from error
    if not isinstance(fields, dict) or not is_key(fields.get("public")) or not is_key(fields.get("secret")):
        raise _damaged(path)
    return KeyPair(fields["public"], fields["secret"])


def _damaged(path: str | os.PathLike[str]) -> MienError:
    remedy = "Delete it; a new one is made, whose public key the other side has to be told."
    return MienError(ErrorCode.SETUP_FAILED, f"The key file {path} is damaged.", remedy)

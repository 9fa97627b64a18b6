# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien train emotion-codes`: takes and files of codes become one file with their labels."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from backend.outputs import check_writable
from backend.terminal import TerminalProgress, put
from training.evaluation.measuring import read_codes
from training.evaluation.settings import MethodSettings


def gather_codes(options: argparse.Namespace) -> None:
    """Run `mien train emotion-codes`.

    Args:
        options: As `training.evaluation.command` parses them.

    Raises:
        MienError: What reading and writing raise; nothing is written then.
    """
    out = Path(options.out)
    check_writable(out)
    method = MethodSettings(options.method, tuple(options.paths), smoothed=options.smoothed)
    with TerminalProgress() as progress:
        table = read_codes(method, options.labels or "", lambda done, what: progress("codes", done, what))
    table.save(out)
    groups = dict(table.widths)
    if options.json:
        about = {"out": str(out), "method": table.method, "faces": len(table), "groups": groups}
        put(json.dumps(about | {"left_out": [asdict(each) for each in table.left_out]}, indent=2))
        return
    told = ", ".join(f"{group} {width}" for group, width in groups.items())
    lines = [f"{out}: {len(table)} faces of {table.method or 'a method without a name'}: {told}"]
    put("\n".join(lines + [f"  left out: {each}" for each in table.left_out]))

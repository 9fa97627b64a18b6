# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects whose pickles run something, which would leave a trace."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import numpy as np
import torch


class Runs:
    """Pickled, it calls a function."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


HOSTILE: dict[str, Callable[[str], object]] = {
    "system": lambda trace: Runs(os.system, f"touch {trace}"),
    "popen": lambda trace: Runs(subprocess.Popen, ["touch", trace]),
    "eval": lambda trace: Runs(eval, f"open({trace!r}, 'w')"),
    "exec": lambda trace: Runs(exec, f"open({trace!r}, 'w')"),
    "open": lambda trace: Runs(open, trace, "w"),
    "import": lambda trace: Runs(__import__, "antigravity"),
    "getattr": lambda trace: Runs(getattr, 1, "real"),
    "memmap": lambda trace: Runs(np.memmap, trace, "u1", "w+", 0, (1,)),
    "savetxt": lambda trace: Runs(np.savetxt, trace, [1.0]),
    "torch": lambda trace: Runs(torch.save, 1, trace),
    "nested": lambda trace: {"v_template": [np.ones(2), Runs(os.system, f"touch {trace}")]},
}
"""By what they call; each gets the path of its trace."""

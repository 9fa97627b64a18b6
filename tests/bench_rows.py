# SPDX-License-Identifier: GPL-3.0-or-later
"""How benchmarks print."""


def row(name: str, value: str, bound: str = "") -> None:
    """Print one measurement with its bound."""
    print(f"{name:<58} {value:>16}   {bound}", flush=True)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The shared libraries of the system that the Python packages load on Linux, and the Debian packages they are in."""

from __future__ import annotations

import ctypes
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from types import MappingProxyType

BPY_LIBRARIES: Mapping[str, str] = MappingProxyType(
    {
        "libX11.so.6": "libx11-6",
        "libXrender.so.1": "libxrender1",
        "libXfixes.so.3": "libxfixes3",
        "libXi.so.6": "libxi6",
        "libxkbcommon.so.0": "libxkbcommon0",
        "libSM.so.6": "libsm6",
        "libICE.so.6": "libice6",
        "libGL.so.1": "libgl1",
        "libEGL.so.1": "libegl1",
        "libEGL_mesa.so.0": "libegl-mesa0",
        "libXxf86vm.so.1": "libxxf86vm1",
        "libgomp.so.1": "libgomp1",
    }
)
"""What Blender as a Python module loads; libEGL_mesa is for rendering without a display."""

RUNTIME_LIBRARIES: Mapping[str, str] = MappingProxyType(
    {
        "libGL.so.1": "libgl1",
        "libEGL.so.1": "libegl1",
        "libGLESv2.so.2": "libgles2",
        "libglib-2.0.so.0": "libglib2.0-0",
        "libgthread-2.0.so.0": "libglib2.0-0",
        "libxcb.so.1": "libxcb1",
        "libX11.so.6": "libx11-6",
        "libSM.so.6": "libsm6",
        "libICE.so.6": "libice6",
        "libXext.so.6": "libxext6",
    }
)
"""What the landmark and video packages load."""

ALL_LIBRARIES: Mapping[str, str] = MappingProxyType({**RUNTIME_LIBRARIES, **BPY_LIBRARIES})
"""Every library that some part needs, and the Debian package it is in."""

_MISSING = re.compile(r"(lib[\w+.-]+\.so(?:\.\d+)*): cannot open shared object file")


def absent_libraries(libraries: Iterable[str]) -> list[str]:
    """Those of the libraries that this machine cannot load; none on systems other than Linux."""
    if not sys.platform.startswith("linux"):
        return []
    absent = []
    for library in libraries:
        try:
            ctypes.CDLL(library)
        except OSError:
            absent.append(library)
    return absent


def missing_library(text: str) -> str | None:
    """The library that an import error complains about; None when it is about something else."""
    found = _MISSING.search(text)
    return found[1] if found else None


def packages_of(libraries: Iterable[str]) -> list[str]:
    """Debian packages that hold the libraries, without repeats; libraries that we do not know are left out."""
    return sorted({ALL_LIBRARIES[library] for library in libraries if library in ALL_LIBRARIES})


def has_apt() -> bool:
    """Whether this is a Debian-like system, whose packages we know by name."""
    return shutil.which("apt-get") is not None


def install_remedy(libraries: Iterable[str]) -> str:
    """One sentence saying how to get the libraries, and all others of ours that are missing too."""
    wanted = {*libraries, *absent_libraries(ALL_LIBRARIES)}
    packages = packages_of(wanted)
    if packages and has_apt():
        return f"Install it with: sudo apt-get install {' '.join(packages)}"
    return f"Install {', '.join(sorted(wanted))} with your system's package manager and run the command again."


def venv_remedy(version: tuple[int, int]) -> str:
    """One sentence saying how to get the part of Python that makes environments."""
    if has_apt():
        return f"Install it with: sudo apt-get install python{version[0]}.{version[1]}-venv"
    return "Install a complete Python, 3.11 or newer, and run the command with it."

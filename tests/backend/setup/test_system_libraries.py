# SPDX-License-Identifier: GPL-3.0-or-later
"""Missing shared libraries are named together with the package that has them."""

from __future__ import annotations

from backend.setup import system_libraries
from backend.setup.system_libraries import absent_libraries, install_remedy, missing_library, packages_of


def test_reading_an_import_error():
    text = "ImportError: libXi.so.6: cannot open shared object file: No such file or directory"
    assert missing_library(text) == "libXi.so.6"
    assert missing_library("ImportError: libstdc++.so.6: cannot open shared object file") == "libstdc++.so.6"
    assert missing_library("ModuleNotFoundError: No module named 'bpy'") is None


def test_only_missing_libraries_are_named(monkeypatch):
    monkeypatch.setattr(system_libraries.sys, "platform", "linux")
    assert absent_libraries(["libnot-on-any-machine.so.9"]) == ["libnot-on-any-machine.so.9"]
    monkeypatch.setattr(system_libraries.sys, "platform", "darwin")
    assert absent_libraries(["libnot-on-any-machine.so.9"]) == []


def test_remedy_names_all_missing_packages_at_once(monkeypatch):
    monkeypatch.setattr(system_libraries, "has_apt", lambda: True)
    monkeypatch.setattr(system_libraries, "absent_libraries", lambda _: ["libSM.so.6", "libXi.so.6"])
    assert install_remedy(["libXi.so.6"]).endswith("sudo apt-get install libsm6 libxi6")


def test_remedy_without_apt_names_the_libraries(monkeypatch):
    monkeypatch.setattr(system_libraries, "has_apt", lambda: False)
    monkeypatch.setattr(system_libraries, "absent_libraries", lambda _: [])
    assert "libXi.so.6" in install_remedy(["libXi.so.6"])


def test_unknown_libraries_have_no_package():
    assert packages_of(["libunknown.so.1"]) == []
    assert packages_of(["libGL.so.1", "libEGL.so.1"]) == ["libegl1", "libgl1"]

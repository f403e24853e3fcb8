"""Fixtures of the panel's tests: `scene`, a fresh MRML scene without Qt, and `host`, a small Slicer with a window.

Both stand on slicer-core and PySide6 (`pip install -e .[host]`); where these, or the system's OpenGL libraries, are missing, every file here is skipped.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "Learn2Synth"), str(REPOSITORY)]


def _why_not() -> str:
    """What is missing for the test host; empty when nothing is, and then the names that module code imports are there."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    try:
        from Testing.Host.start import prepare

        prepare()
    except ImportError as error:
        return f"the test host needs slicer-core, PySide6-Essentials and the system's OpenGL libraries: {error}"
    return ""


WHY_NOT = _why_not()


class _Skipped(pytest.Module):
    def collect(self) -> list[Any]:
        pytest.skip(WHY_NOT, allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Skip whole files: their imports would fail before any fixture could."""
    return _Skipped.from_parent(parent, path=module_path) if WHY_NOT else None


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A fresh vtkMRMLScene with all module logics; it is `slicer.mrmlScene` during the test."""
    import slicer

    from Testing.Host.scene import make_scene

    for name in ("mrmlScene", "modules", "app"):
        monkeypatch.setattr(slicer, name, None, raising=False)
    scene = make_scene()
    yield scene
    scene.Clear(1)


@pytest.fixture(scope="session")
def _host() -> Any:
    """One application in a process: Qt allows no more."""
    from Testing.Host.start import start

    return start()


@pytest.fixture
def host(_host: Any) -> Iterator[Any]:
    """A `Testing.Host.host.Host` with an empty scene and no module. What goes wrong in a slot, or makes Qt warn, fails the test: see `host.errors`."""
    _host.reset()
    yield _host
    errors = list(_host.errors)
    _host.reset()
    assert not errors, "\n".join(errors)

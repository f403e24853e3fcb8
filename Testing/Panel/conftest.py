"""Fixtures of the panel's tests: `scene`, a fresh MRML scene without Qt, and `host`, a small Slicer with a window.

Both stand on slicer-core and PySide6 (`pip install -e .[host]`); where these, or the system's OpenGL libraries, are missing, every file here is skipped.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "Learn2Synth"), str(REPOSITORY)]


def _why_not() -> str:
    """What is missing for the test host; empty when nothing is."""
    try:
        import slicer  # noqa: F401
        from PySide6 import QtWidgets  # noqa: F401
    except ImportError as error:
        return f"the test host needs slicer-core, PySide6-Essentials and OpenGL libraries: {error}"
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

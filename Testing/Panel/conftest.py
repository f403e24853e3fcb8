"""Fixtures of the panel's tests: `scene`, a fresh MRML scene without Qt, and `host`, a small Slicer with a window.

Both stand on slicer-core and PySide6 (`pip install -e .[host]`); where these, or the system's OpenGL libraries, are missing, what needs them is skipped.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "Learn2Synth"), str(REPOSITORY)]
WHY_NOT = ""
try:
    from Testing.Host.application import install_names

    install_names()
except ImportError as error:
    WHY_NOT = f"the test host needs slicer-core, PySide6-Essentials and the system's OpenGL libraries: {error}"


class _File(pytest.Module):
    """Skipped as a whole where its imports fail for want of the host."""

    def collect(self) -> list[Any]:
        try:
            return list(super().collect())
        except self.CollectError as error:
            if isinstance(error.__cause__, ImportError):
                pytest.skip(WHY_NOT, allow_module_level=True)
            raise


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    return _File.from_parent(parent, path=module_path) if WHY_NOT else None


@pytest.fixture(scope="session")
def _there() -> None:
    if WHY_NOT:
        pytest.skip(WHY_NOT)


@pytest.fixture
def scene(_there: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A fresh vtkMRMLScene with all module logics; it is `slicer.mrmlScene` during the test."""
    import slicer

    from Testing.Host.scene import make_scene

    for name in ("mrmlScene", "modules", "app"):
        monkeypatch.setattr(slicer, name, None, raising=False)
    scene = make_scene()
    yield scene
    scene.Clear(1)


@pytest.fixture(scope="session")
def _host(_there: None) -> Any:
    """One application in a process: Qt allows no more."""
    from Testing.Host.start import start

    return start()


@pytest.fixture
def host(_host: Any) -> Iterator[Any]:
    """A `Testing.Host.host.Host` with an empty scene and no module. What goes wrong in a slot, or makes Qt or VTK warn, fails the test: see `host.errors`."""
    _host.reset()
    yield _host
    errors = list(_host.errors)
    _host.reset()
    assert not errors, "\n".join(errors)

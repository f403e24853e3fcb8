"""Benchmarks are programs beside the package; their modules are found from their own folder, as when they are run."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "Benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a module of Benchmarks/ by name."""
    if not FOLDER.is_dir():
        pytest.skip("Benchmarks/ is not here")
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module

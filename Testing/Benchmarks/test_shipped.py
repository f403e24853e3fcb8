"""A model that is shipped is trained in stages, by several machines if need be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.mark.parametrize(("there", "last"), [((), 0), ((1,), 1), ((3,), 3), ((1, 2), 2), ((4,), 0)])
def test_training_goes_on_after_the_last_stage_whose_model_is_there(
    benchmark: Callable[[str], ModuleType], there: tuple[int, ...], last: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for stage in there:
        Path(f"{stage}.l2s").touch()
    assert benchmark("shipped").trained_before(3) == last

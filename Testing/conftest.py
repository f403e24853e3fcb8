"""The real data for all tests, where it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The developers' data: environment variable LEARN2SYNTH_DATA, or ../shared/data beside the repository."""
    folder = Path(os.environ.get("LEARN2SYNTH_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data in {folder}; set LEARN2SYNTH_DATA")
    return folder

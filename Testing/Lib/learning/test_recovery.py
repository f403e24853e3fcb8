"""The paper's synthetic experiment in miniature: a planted noise level is found again. Benchmarks/recovery.py is the whole of it."""

import importlib
from pathlib import Path

import pytest

from Learn2SynthLib.learning.data import load_examples, preparation_for
from Learn2SynthLib.volume.cohort import Cohort

FILE = Path(__file__).parents[3] / "Benchmarks" / "recovery.py"
PLANTED = 0.1


@pytest.mark.skipif(not FILE.is_file(), reason="Benchmarks/ is not here")
def test_a_planted_noise_level_is_found_again(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    """From 0.42 to within a tenth. The paper's objective, which favours images that are hard to learn from, ends a third too high."""
    monkeypatch.syspath_prepend(str(FILE.parent))
    recovery = importlib.import_module("recovery")
    settings = ["grid.spacing_mm=[2,2,2]", "grid.shape=[24,24]", "network.features=[8,16]", "target=brain-sided"]
    config = recovery.make_config(200, *settings)
    preparation = preparation_for(config, ["freesurfer"])
    found = recovery.recover(config, preparation, load_examples(cohort.of("label_map"), preparation), {"noise": PLANTED}, seed=1)
    assert found["start"]["noise"] > 4 * PLANTED
    assert found["learned"]["noise"] == pytest.approx(PLANTED, rel=0.1)

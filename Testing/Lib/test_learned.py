"""What was learned, beside its prior, in words and figures."""

from __future__ import annotations

import pytest

from Learn2SynthLib import learned
from Learn2SynthLib.config import LEARNABLE, SEARCHABLE
from Learn2SynthLib.learned import interval, learned_ranges


def test_learned_ranges_pair_the_ends() -> None:
    prior = {"noise.low": 0.0, "noise.high": 0.1, "contrast_mean.brain stem.low": 0.0, "contrast_mean.brain stem.high": 1.0, "blur_mm": 1.5}
    after = {"noise.low": 0.02, "noise.high": 0.05, "contrast_mean.brain stem.low": 0.3, "contrast_mean.brain stem.high": 0.4, "blur_mm": 2.0}
    noise, stem, blur = learned_ranges(after, prior)
    assert (noise.prior, noise.learned, noise.bounds) == ((0.0, 0.1), (0.02, 0.05), (0, 0.5))
    assert (stem.group, stem.name) == ("mean intensity", "brain stem")
    assert (blur.title, blur.learned, blur.unit) == ("blur", (2.0, 2.0), "mm")
    assert stem.title == "mean intensity, brain stem"
    assert stem.change == pytest.approx(0.9)


def test_what_is_no_synthesis_parameter_is_left_out() -> None:
    assert learned_ranges({"residual": 1.0, "noise.low": 0.0}, {"residual": 0.0}) == []


def test_every_parameter_that_is_learned_or_searched_has_a_title() -> None:
    assert set(learned._TITLES) == {*LEARNABLE, *SEARCHABLE}


@pytest.mark.parametrize(("ends", "text"), [((0.1, 0.25), "0.10 to 0.25 mm"), ((2.0, 2.0), "2.00 mm"), ((-0.004, 0.2), "0.00 to 0.20 mm")])
def test_intervals_are_read_out(ends: tuple[float, float], text: str) -> None:
    assert interval(ends, "mm") == text

import pytest
import torch

from Learn2SynthLib.config import LEARNABLE, SynthesisConfig
from Learn2SynthLib.synthesis.classes import TissueClasses
from Learn2SynthLib.synthesis.ranges import Ranges


def make(classes: TissueClasses, **options: tuple[str, ...]) -> Ranges:
    return Ranges(SynthesisConfig(), classes, **options)


def test_before_learning_the_learned_range_is_the_prior(classes: TissueClasses) -> None:
    ranges = make(classes, learn=LEARNABLE)
    for name in LEARNABLE:
        positions = torch.rand(3, len(ranges.entries[name]))
        prior, learned = (ranges.value(name, positions, torch.tensor([flag] * 3)) for flag in (False, True))
        assert torch.allclose(prior, learned, atol=1e-5), name
    assert ranges.summary() == pytest.approx(ranges.prior_summary(), abs=1e-5)


def test_only_what_is_asked_for_is_learned_and_only_learned_draws_change(classes: TissueClasses) -> None:
    ranges = make(classes, learn=("noise",))
    assert list(ranges.ends) == ["noise"]
    with torch.no_grad():
        ranges.ends["noise"].fill_(0.4)
    values = ranges.value("noise", torch.tensor([[0.5], [0.5]]), torch.tensor([False, True]))
    assert values.flatten().tolist() == pytest.approx([0.04, 0.2])


def test_a_fixed_parameter_is_one_value(classes: TissueClasses) -> None:
    ranges = make(classes, learn=("noise",), fixed=("noise",))
    values = ranges.value("noise", torch.tensor([[0.0], [1.0]]), torch.tensor([True, True]))
    assert values[0] == values[1]
    assert list(ranges.summary()) == ["noise"] == list(ranges.prior_summary())


def test_projection_keeps_bounds_and_order(classes: TissueClasses) -> None:
    ranges = make(classes, learn=("bias",))
    with torch.no_grad():
        ranges.ends["bias"].copy_(torch.tensor([[0.8, -0.3, 0.2], [0.4, 0.5, 1.7]]))
    ranges.project()
    assert torch.allclose(ranges.ends["bias"], torch.tensor([[0.6, 0.0, 0.2], [0.6, 0.5, 1.0]]))


def test_names_say_what_a_parameter_is_about(classes: TissueClasses) -> None:
    names = set(make(classes, learn=("contrast_mean", "bias", "gamma")).summary())
    assert {"contrast_mean.cerebral cortex.low", "bias.80mm.high", "gamma.low"} <= names

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


def test_what_is_adopted_is_that_of_learned_draws_alone_and_learned_ends_are_not_to_be_adopted(classes: TissueClasses) -> None:
    ranges = make(classes, learn=("noise",))
    ranges.chances.copy_(torch.tensor([0.0, 1.0, 1.0, 0.0]))
    ranges.adopt({"bias": (0.5, 0.7), "thick_slices": 0.5})
    ranges.adopt({"flip": 0.25})
    low, high = (ranges.value("bias", torch.full((2, 3), part), torch.tensor([False, True])) for part in (0.0, 1.0))
    assert low.tolist() == [pytest.approx([0] * 3), pytest.approx([0.5] * 3)] and high.tolist() == [pytest.approx([0.3] * 3), pytest.approx([0.7] * 3)]
    taught = ranges.taught
    assert (taught.flip, taught.thick_slices, taught.skull_strip, taught.dark_background) == (0.25, 0.5, 1, 0)
    assert taught.scaling == ranges.config.scaling and (ranges.config.flip, ranges.config.thick_slices) == (0.5, 0.25)
    assert ranges.summary().keys() == {"noise.low", "noise.high", "bias.low", "bias.high", "thick_slices", "flip"} == ranges.prior_summary().keys()
    assert ranges.summary()["bias.high"] == 0.7 and ranges.prior_summary()["bias.high"] == 0.3
    with pytest.raises(AssertionError):
        ranges.adopt({"noise": (0.0, 0.1)})


def test_projection_keeps_bounds_and_order(classes: TissueClasses) -> None:
    ranges = make(classes, learn=("bias",))
    with torch.no_grad():
        ranges.ends["bias"].copy_(torch.tensor([[0.8, -0.3, 0.2], [0.4, 0.5, 1.7]]))
    ranges.project()
    assert torch.allclose(ranges.ends["bias"], torch.tensor([[0.6, 0.0, 0.2], [0.6, 0.5, 1.0]]))


def test_names_say_what_a_parameter_is_about(classes: TissueClasses) -> None:
    names = set(make(classes, learn=("contrast_mean", "bias", "gamma")).summary())
    assert {"contrast_mean.cerebral cortex.low", "bias.80mm.high", "gamma.low"} <= names


def test_what_is_learned_is_told_from_a_device_without_doubles(classes: TissueClasses, monkeypatch: pytest.MonkeyPatch) -> None:
    on_cpu: list[torch.Tensor] = []

    def cpu(tensor: torch.Tensor) -> torch.Tensor:
        on_cpu.append(tensor.clone())
        return on_cpu[-1]

    def double(tensor: torch.Tensor) -> torch.Tensor:
        assert any(tensor is moved for moved in on_cpu), "Cannot convert a MPS Tensor to float64"
        return tensor.to(torch.float64)

    ranges = make(classes, learn=("noise",))
    monkeypatch.setattr(torch.Tensor, "cpu", cpu)
    monkeypatch.setattr(torch.Tensor, "double", double)
    assert ranges.summary() == pytest.approx(ranges.prior_summary(), abs=1e-5)

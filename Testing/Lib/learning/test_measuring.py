"""What annotated scans show at once, and where learning begins by it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from Learn2SynthLib.config import RunConfig
from Learn2SynthLib.learning.data import Example
from Learn2SynthLib.learning.learn2synth import Learn2Synth
from Learn2SynthLib.learning.measuring import MARGIN, TEXTURE_MARGIN, measured_chances, measured_contrast, measured_texture
from Learn2SynthLib.learning.strategy import Task
from Learn2SynthLib.synthesis.appearance import mixture


def painted(example: Example, values: torch.Tensor, spread: float) -> Example:
    """The example with an image of one mean a tissue class and normal variation."""
    generator = torch.Generator().manual_seed(0)
    image = values[example.classes.long()] + spread * torch.randn(example.classes.shape, generator=generator)
    return replace(example, image=torch.where(example.classes > 0, image, values[0]))


def test_means_and_spreads_of_the_classes_are_found(tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    task = make_task(tiny(2))
    names = task.synthesizer.classes.names
    values = torch.linspace(0, 0.9, len(names))
    mean, spread = measured_contrast(painted(task.real[0], values, 0.02), len(names))
    present = [k for k in range(1, len(names)) if (task.real[0].classes == k).sum() >= 50]
    assert len(present) >= 3
    assert mean[present].tolist() == pytest.approx(values[present].tolist(), abs=0.01)
    assert spread[present].tolist() == pytest.approx([0.02] * len(present), rel=0.25)
    assert mean[[k for k in range(len(names)) if k not in present]].isnan().all()


def textured(example: Example, part: float, texture_mm: float) -> Example:
    """The example with an image in whose tissues `part` of the variance is smooth."""
    flat = torch.full((1, *example.classes.shape), 0.5)
    image = mixture(flat, 0.1 * flat, torch.tensor([[part]]), [0], [texture_mm / step for step in example.grid.spacing_mm])[0]
    return replace(example, image=image)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_how_much_of_the_variance_is_smooth_is_found(tiny: Callable[..., RunConfig], make_task: Callable[..., Task], part: float) -> None:
    task = make_task(tiny(2))
    scan = textured(task.real[0], part, 10.0)
    smooth = measured_texture(scan, *measured_contrast(scan, len(task.synthesizer.classes.names)), 10.0)
    assert smooth.nanmean().item() == pytest.approx(part, abs=0.1)
    assert smooth[0].isnan() and not smooth.isinf().any()


def test_texture_begins_about_that_of_the_scans(tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    task = make_task(tiny(2))
    task.real = [textured(task.real[0], 0.6, task.config.synthesis.texture_mm)]
    learned = Learn2Synth(task).learned()
    assert learned["texture.high"] - learned["texture.low"] == pytest.approx(2 * TEXTURE_MARGIN, abs=1e-6)
    assert (learned["texture.high"] + learned["texture.low"]) / 2 == pytest.approx(0.6, abs=0.1)


def test_without_variation_texture_stays_at_the_prior(tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    task = make_task(tiny(2))
    task.real = [painted(task.real[0], torch.linspace(0, 0.9, len(task.synthesizer.classes.names)), 0.0)]
    strategy = Learn2Synth(task)
    assert strategy.learned()["texture.low"] == pytest.approx(strategy.prior()["texture.low"], abs=1e-6)
    assert strategy.learned()["texture.high"] == pytest.approx(strategy.prior()["texture.high"], abs=1e-6)


def test_whether_the_skull_is_there_and_slices_are_thick_is_seen(tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    task = make_task(tiny(2))
    tissue, prior = task.synthesizer.classes, task.config.synthesis
    values = torch.full((len(tissue.names),), 0.5)
    whole = painted(task.real[0], values, 0.0)
    assert measured_chances(whole, tissue, prior)["skull_strip"] == measured_chances(whole, tissue, prior)["dark_background"] == 0
    values[0] = 0
    stripped = measured_chances(replace(painted(task.real[0], values, 0.0), thickness_mm=5.0), tissue, prior)
    assert stripped["skull_strip"] == stripped["dark_background"] == stripped["thick_slices"] == 1
    assert measured_chances(replace(whole, thickness_mm=1.0), tissue, prior)["thick_slices"] == 0


def test_learning_begins_at_what_the_scans_show_and_unknown_classes_at_the_prior(tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    task = make_task(tiny(2))
    task.real = [painted(task.real[0], torch.linspace(0, 0.9, len(task.synthesizer.classes.names)), 0.02)]
    learned = Learn2Synth(task).learned()
    row = task.synthesizer.classes.names.index("thalamus")
    middle = 0.9 * row / (len(task.synthesizer.classes.names) - 1)
    assert (learned["contrast_mean.thalamus.low"], learned["contrast_mean.thalamus.high"]) == pytest.approx((middle - MARGIN, middle + MARGIN), abs=0.01)
    assert (learned["contrast_mean.background.low"], learned["contrast_mean.background.high"]) == pytest.approx((0, 1))
    assert Learn2Synth(make_task(tiny(2, "learn2synth.begin=prior"))).learned() == pytest.approx(Learn2Synth(task).prior(), abs=1e-6)


def test_only_learned_draws_follow_the_chances_of_the_scans(tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    task = make_task(tiny(2, "synthesis.skull_strip=0", "synthesis.thick_slices=1"))
    task.real = [painted(task.real[0], torch.linspace(0, 0.9, len(task.synthesizer.classes.names)), 0.0)]
    task = Learn2Synth(task).task
    _, wide = task.synthetic(0, [False] * 20)
    _, learned = task.synthetic(0, [True] * 20)
    assert {draw.stripping for draw in wide} == {"none"} and "none" not in {draw.stripping for draw in learned}
    assert all(any(draw.thickness_mm) for draw in wide) and not any(any(draw.thickness_mm) for draw in learned)

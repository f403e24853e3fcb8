"""The promise of the method: real scans teach the synthesis and never the network."""

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from Learn2SynthLib.config import RunConfig
from Learn2SynthLib.learning.learn2synth import Learn2Synth
from Learn2SynthLib.learning.strategy import Task


def weights_after_a_step(task: Task) -> list[torch.Tensor]:
    Learn2Synth(task).step(0)
    return [weight.detach().clone() for weight in task.network.parameters()]


@pytest.mark.parametrize("method", ["exact", "one_sided", "central"])
def test_the_step_of_the_network_does_not_depend_on_the_real_images(method: str, tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    task = make_task(tiny(2, f"learn2synth.hypergradient={method}"))
    other = copy.deepcopy(task)
    other.real = [replace(example, image=torch.rand_like(example.image), target=example.target.flip(0)) for example in other.real]
    ends = [copy.deepcopy(task.synthesizer.ranges.ends.state_dict()) for _ in range(2)]
    for one, two in zip(weights_after_a_step(task), weights_after_a_step(other), strict=True):
        assert torch.equal(one, two)
    learned = [t.synthesizer.ranges.ends.state_dict() for t in (task, other)]
    assert any(not torch.equal(learned[0][name], learned[1][name]) for name in learned[0])
    assert any(not torch.equal(learned[0][name], ends[0][name]) for name in learned[0])


@pytest.mark.parametrize("share", [0.0, 0.5, 0.75])
def test_the_stated_part_of_each_batch_is_wide(share: float, tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    batch = Learn2Synth(make_task(tiny(2, f"learn2synth.share={share}")))._batch(0, teach=True)
    assert len(batch.wide_images) == round(4 * share) and batch.part == pytest.approx(1 - share)


@pytest.mark.parametrize(
    ("settings", "steps", "expected"),
    [
        (["learn2synth.start=0.2", "learn2synth.duration=0.3"], 10, [2, 3, 4]),
        (["learn2synth.every=3"], 100, [0, 3, 6]),
    ],
)
def test_the_synthesis_moves_in_its_time_and_every_so_many_steps_only(
    settings: list[str], steps: int, expected: list[int], tiny: Callable[..., RunConfig], make_task: Callable[..., Task]
) -> None:
    strategy = Learn2Synth(make_task(tiny(2, *settings, steps=steps)))
    moved = []
    for index in range(7):
        before = strategy.learned()
        strategy.step(index)
        if strategy.learned() != before:
            moved.append(index)
    assert moved == expected


def test_parameters_that_are_not_to_be_learned_keep_their_prior(tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    strategy = Learn2Synth(make_task(tiny(2, 'learn2synth.learn=["noise","bias"]')))
    strategy.step(0)
    assert {name.split(".")[0] for name in strategy.learned()} == {"noise", "bias"}


def test_learning_brings_the_contrast_towards_that_of_the_real_scans(tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    """In the made-up scans the thalamus is the brightest structure and white matter the darkest; both start at the same prior."""
    settings = ["learn2synth.share=0", "learn2synth.lr=0.05", "network.features=[8,16]", "batch_size=8", "optimiser.lr=5e-3"]
    strategy = Learn2Synth(make_task(tiny(2, *settings, 'learn2synth.learn=["contrast_mean","contrast_spread"]', steps=100)))
    for index in range(80):
        strategy.step(index)
    learned = strategy.learned()
    bright, dark = (learned[f"contrast_mean.{name}.low"] + learned[f"contrast_mean.{name}.high"] for name in ("thalamus", "cerebral white matter"))
    assert bright > dark + 0.2

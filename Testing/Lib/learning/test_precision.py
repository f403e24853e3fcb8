"""Plain steps in bfloat16: nearly the same training, of the same kind of weights; steps that teach a synthesis know nothing of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from Learn2SynthLib.config import RunConfig
from Learn2SynthLib.learning.learn2synth import Learn2Synth
from Learn2SynthLib.learning.randomised import Randomised
from Learn2SynthLib.learning.strategy import Strategy, Task

PRECISIONS = ("float32", "bfloat16")


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_step_in_bfloat16_is_nearly_the_same(ndim: int, tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    losses, steps = zip(*(a_step(Randomised(make_task(of(tiny, precision, "randomised", ndim)))) for precision in PRECISIONS), strict=True)
    assert losses[0] == pytest.approx(losses[1], abs=0.02)
    assert not torch.equal(*steps) and float(F.cosine_similarity(*steps, dim=0)) > 0.99
    assert all(step.dtype == torch.float32 for step in steps)


def test_a_step_that_teaches_the_synthesis_keeps_float32(tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    (_, one), (_, two) = (a_step(Learn2Synth(make_task(of(tiny, precision, "learn2synth", 2)))) for precision in PRECISIONS)
    assert torch.equal(one, two)


def of(tiny: Callable[..., RunConfig], precision: str, strategy: str, ndim: int) -> RunConfig:
    return tiny(ndim, f"optimiser.precision={precision}", "optimiser.name=sgd", strategy=strategy)


def a_step(strategy: Strategy) -> tuple[float, Tensor]:
    """The loss before the first step, and by what all weights changed."""
    before = weights(strategy)
    return strategy.step(0)["synthetic_loss"], weights(strategy) - before


def weights(strategy: Strategy) -> Tensor:
    return torch.cat([weight.detach().flatten().clone() for weight in strategy.task.network.parameters()])

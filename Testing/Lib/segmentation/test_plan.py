"""Plans: each takes less memory than the one before."""

from __future__ import annotations

import pytest
import torch

from Learn2SynthLib.config import NetworkConfig
from Learn2SynthLib.segmentation.plan import Demand, plans

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.parametrize(("window", "divisor"), [((128, 128, 96), 16), ((80, 96), 8), ((40, 200), 8)])
def test_plans_only_get_more_frugal_and_end_on_the_cpu(window: tuple[int, ...], divisor: int) -> None:
    demand = Demand(10**5, 10**5, 10, NetworkConfig("unet", (64, 128, 256)))
    found = list(plans(CUDA, window, divisor))
    assert found[0].window == window
    assert found[0].device == CUDA
    assert found[-1].device == CPU
    assert all(size % divisor == 0 for plan in found for size in plan.window)
    assert all(min(plan.window) >= min(*window, 48 if len(window) == 2 else 64) for plan in found)
    for device in (CPU, CUDA):
        needed = [demand.bytes_on(plan)[device] for plan in found if plan.device == device]
        assert needed == sorted(needed, reverse=True)


def test_the_estimate_grows_with_what_is_held() -> None:
    plan = next(plans(CPU, (96, 96, 96), 8))
    network = NetworkConfig("unet", (16, 32))
    small, large = Demand(10**6, 10**6, 15, network), Demand(10**6, 10**6, 15, network, keep_probabilities=True)
    assert large.bytes_on(plan)[CPU] - small.bytes_on(plan)[CPU] == 15 * 4 * 10**6


def test_taking_voxels_together_needs_less_memory() -> None:
    plan = next(plans(CPU, (96, 96, 96), 8))
    whole, patched = (Demand(10**6, 10**6, 15, NetworkConfig(name, (32, 64))).bytes_on(plan)[CPU] for name in ("unet", "patched-unet"))
    assert patched < whole

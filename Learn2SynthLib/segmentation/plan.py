"""Where, and in which windows, a volume is segmented: the memory is counted before it is taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from ..config import NetworkConfig

_SMALLEST = {2: 48, 3: 64}  # voxels of the smallest window: below, a network sees too little of the head
_BATCH = {("cuda", 2): 32, ("cuda", 3): 4, ("mps", 2): 16, ("mps", 3): 1, ("cpu", 2): 8, ("cpu", 3): 1}
_FLOAT = 4  # bytes
_MARGIN = 1.25  # the allocator's own loss, and the working space of convolutions
_SLAB_BYTES = 4 * 2**26  # slabs of 2**24 values on the way to the image's own grid, up to four at a time


@dataclass(frozen=True)
class Plan:
    """window: voxels along each axis of the network. batch_size: windows at once."""

    device: torch.device
    window: tuple[int, ...]
    batch_size: int

    def __str__(self) -> str:
        place = "the CPU" if self.device.type == "cpu" else str(self.device)
        return f"windows of {' x '.join(map(str, self.window))} voxels, {self.batch_size} at a time, on {place}"


@dataclass(frozen=True)
class Demand:
    """What a segmentation has to hold: voxels of the model's grid and of the image's own, the network and its classes."""

    model_voxels: int
    image_voxels: int
    classes: int
    network: NetworkConfig
    keep_probabilities: bool = False

    def bytes_on(self, plan: Plan) -> dict[torch.device, int]:
        """Peak memory on each device that the plan uses."""
        held = self.model_voxels * (self.classes + 2) * _FLOAT
        working = int(held + _MARGIN * max(self._window_bytes(plan), _SLAB_BYTES))
        # the image, its labels, and the copy that clean-up makes of them
        result = self.image_voxels * (3 + (self.classes if self.keep_probabilities else 0)) * _FLOAT
        host = torch.device("cpu")
        return {host: working + result} if plan.device.type == "cpu" else {plan.device: working, host: result}

    def _window_bytes(self, plan: Plan) -> int:
        """What a U-Net holds where it is largest, the last level: the skips, the upsampled features, both joined, three results; and the logits."""
        features, voxels = self.network.features, [scale ** len(plan.window) for scale in self.network.scales]
        finest, second = features[0], features[min(1, len(features) - 1)]
        coarser = sum(f / v for f, v in zip(features[1:], voxels[1:]))
        channels = (5 * finest + 2 * second) / voxels[0] + coarser + 4 * self.classes
        return int(plan.batch_size * torch.Size(plan.window).numel() * channels * _FLOAT)


def plans(device: torch.device, window: Sequence[int], divisor: int) -> Iterator[Plan]:
    """Plans from the fastest to the most frugal: fewer windows at once, smaller windows, and then the same on the CPU."""
    batch_size = _BATCH[device.type, len(window)]
    while batch_size > 1:
        yield Plan(device, tuple(window), batch_size)
        batch_size //= 2
    for smaller in _windows(tuple(window), divisor):
        yield Plan(device, smaller, 1)
    if device.type != "cpu":
        yield from plans(torch.device("cpu"), window, divisor)


def _windows(window: tuple[int, ...], divisor: int) -> Iterator[tuple[int, ...]]:
    """The window, then ever smaller ones that the network still divides."""
    smallest = -(-_SMALLEST[len(window)] // divisor) * divisor
    yield window
    while any(size > smallest for size in window):
        window = tuple(max(min(size, smallest), size * 3 // 4 // divisor * divisor) for size in window)
        yield window

"""How a volume lies in memory, and where in it there are labels: passes over millions of voxels are cheap in memory's order only."""

from __future__ import annotations

import numpy as np
import torch


def memory_order(data: torch.Tensor) -> tuple[int, ...]:
    """The axes of `data` from the slowest to the fastest: NIfTI files run x fastest, tensors made here z fastest."""
    return tuple(sorted(range(data.ndim), key=lambda axis: -data.stride()[axis]))


def in_memory_order(data: torch.Tensor) -> torch.Tensor:
    """All values, (N,), in memory's order: without a copy when `data` fills its memory, whatever the order of its axes."""
    return data.permute(memory_order(data)).reshape(-1)


def labelled_box(data: torch.Tensor) -> tuple[slice, slice, slice]:
    """The smallest box of a volume (X, Y, Z) that holds every voxel that is not 0; a box of no voxels when all are 0."""
    order = memory_order(data)
    stored = data.permute(order).cpu().numpy()
    plane = np.asarray(stored.any(axis=0))
    filled = [np.flatnonzero(stored.any(axis=(1, 2))), np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))]
    x, y, z = (_ends(filled[order.index(axis)]) for axis in range(3))
    return x, y, z


def _ends(places: np.ndarray) -> slice:
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)

"""What is known of anatomy, applied to a finished segmentation: some structures are one piece."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from scipy import ndimage

_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)  # voxels that share a corner are connected: thin structures stay whole


def keep_largest_components(labels: torch.Tensor, values: Iterable[int]) -> torch.Tensor:
    """`labels` (X, Y, Z), whole numbers, where each of `values` keeps its largest connected part; the rest becomes background, 0.

    Background and not the next most probable class, because a detached part is mostly tissue that is not in the table.
    """
    cleaned = labels.clone()
    voxels = cleaned.numpy()  # shares memory with `cleaned`
    for value in values:
        box = _box(voxels == value)
        if box is not None:
            voxels[box][_lesser_parts(voxels[box] == value)] = 0
    return cleaned


def keep_near_the_largest(labels: torch.Tensor, least: float = 0.1) -> torch.Tensor:
    """`labels` (X, Y, Z) without the connected parts of all structures together that are smaller than `least` of the largest part.

    For whole brains: what lies apart from them is skin, eye or neck. A large part may be brain that the field of view cuts off from the rest.
    """
    parts, count = ndimage.label(labels.numpy() > 0, _NEIGHBOURS)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    kept = torch.from_numpy(sizes >= least * sizes.max())
    return labels * kept[torch.from_numpy(parts).long()]


def _lesser_parts(mask: np.ndarray) -> np.ndarray:
    """The mask without its largest connected part."""
    parts, _ = ndimage.label(mask, _NEIGHBOURS)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return mask & (parts != sizes.argmax())


def _box(mask: np.ndarray) -> tuple[slice, ...] | None:
    found = ndimage.find_objects(mask.view(np.uint8))
    return found[0] if found else None

"""What is known of anatomy, applied to a finished segmentation: some structures are one piece."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from scipy import ndimage
from scipy.spatial import cKDTree

_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)  # voxels that share a corner are connected: thin structures stay whole
_FAR_MM = 25.0  # at 15 mm right parts were lost in half of twelve scans, at 25 mm hardly any


@torch.inference_mode()
def give_strays_away(posteriors: torch.Tensor, labels: torch.Tensor, classes: Iterable[int], spacing_mm: Sequence[float]) -> None:
    """Gives the parts of a structure that lie far from its largest part to the next most probable class, in place.

    A network that sees a window at a time calls a piece of the forehead cerebellum now and then. Nearer parts may be right, as a temporal horn.
    posteriors: (C, X, Y, Z), summing to 1. labels: (X, Y, Z), the most probable class of each voxel. classes: those whose parts lie near each other.
    """
    changed = torch.zeros(labels.shape, dtype=torch.bool)
    for structure in classes:
        stray = _far_parts((labels == structure).numpy(), spacing_mm)
        if stray is not None:
            mask = torch.from_numpy(ndimage.binary_dilation(stray))  # nor may a rim of it come back on a finer grid
            posteriors[structure].masked_fill_(mask.to(posteriors.device), 0)
            changed |= mask
    where = changed.to(posteriors.device)
    left = posteriors[:, where]
    posteriors[:, where] = left / left.sum(0).clamp(min=1e-12)


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
    kept = torch.from_numpy(sizes >= least * np.max(sizes))
    return labels * kept[torch.from_numpy(parts).long()]


def _far_parts(mask: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray | None:
    """The connected parts of the mask of which no voxel is within `_FAR_MM` of its largest part; None where there is none."""
    box = _box(mask)
    others = _lesser_parts(mask[box]) if box else mask
    if box is None or not others.any():
        return None
    largest = mask[box] & ~others
    surface = largest & ~ndimage.binary_erosion(largest)
    distances, _ = cKDTree(np.argwhere(surface) * spacing_mm).query(np.argwhere(others) * spacing_mm)
    parts, count = ndimage.label(others, _NEIGHBOURS)
    nearest = ndimage.minimum(distances, parts[others], np.arange(count + 1))
    far = np.zeros_like(mask)
    far[box] = others & (nearest > _FAR_MM)[parts]
    return far if far.any() else None


def _lesser_parts(mask: np.ndarray) -> np.ndarray:
    """The mask without its largest connected part."""
    parts, _ = ndimage.label(mask, _NEIGHBOURS)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return mask & (parts != np.argmax(sizes))


def _box(mask: np.ndarray) -> tuple[slice, ...] | None:
    found = ndimage.find_objects(mask.view(np.uint8))
    return found[0] if found else None

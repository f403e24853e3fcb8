"""Intensity scaling: the one rule that real and synthetic images share."""

from __future__ import annotations

import torch
from torch import Tensor

from .layout import labelled_box

LOW, HIGH = 0.5, 99.5
_ENOUGH = 1 << 16  # values from which a percentile is known to well under a grey level


def normalise(images: Tensor, low: float = LOW, high: float = HIGH) -> Tensor:
    """Images (B, C, *spatial) with their `low` and `high` percentiles moved to 0 and 1, and clamped there.

    Where both are the same, because nearly all is background, they are those of what is brighter. Differentiable almost everywhere; a constant image
    becomes 0.
    """
    flat = images.flatten(1)
    if flat.shape[1] >= 2 * _ENOUGH:
        flat = flat[:, _places(flat.shape[1]).to(flat.device)]
    ordered = flat.sort(dim=1).values
    bottom, top = (_percentile(ordered, p) for p in (low, high))
    if (bottom == top).any():
        rows = [_brighter(row) if same else row for row, same in zip(ordered, bottom == top)]
        bottom, top = (torch.cat([_percentile(row[None], p) for row in rows]) for p in (low, high))
    bottom, top = (end.reshape(-1, *[1] * (images.ndim - 1)) for end in (bottom, top))
    return ((images - bottom) / (top - bottom).clamp(min=1e-6)).clamp(0, 1)


def normalise_volume(volume: Tensor, low: float = LOW, high: float = HIGH) -> Tensor:
    """One image (X, Y, Z), normalised by what lies in the box about all that is not its darkest intensity, which becomes 0.

    A border of background, as padding adds and cropping takes away, then changes nothing.
    """
    box = labelled_box(volume > volume.min())
    normalised = torch.zeros_like(volume)
    if volume[box].numel():
        normalised[box] = normalise(volume[box][None, None], low, high)[0, 0]
    return normalised


def _brighter(ordered: Tensor) -> Tensor:
    """The sorted values (N) above the lowest; all where there are none."""
    above = ordered[ordered > ordered[0]]
    return above if len(above) else ordered


def _places(count: int) -> Tensor:
    """`_ENOUGH` of `count` voxels, always the same: one at random of each stretch, because a regular stride may meet one plane of a volume alone."""
    within = torch.rand(_ENOUGH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return ((torch.arange(_ENOUGH) + within) * (count / _ENOUGH)).long().clamp(max=count - 1)


def _percentile(ordered: Tensor, percent: float) -> Tensor:
    """Linear interpolation between the sorted values (B, N), as numpy's default."""
    position = (ordered.shape[1] - 1) * percent / 100
    index, fraction = int(position), position - int(position)
    following = ordered[:, min(index + 1, ordered.shape[1] - 1)]
    return torch.lerp(ordered[:, index], following, fraction)

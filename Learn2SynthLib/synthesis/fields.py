"""Smooth random fields: cubic B-splines through random control points, the common root of warps, bias fields and texture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from ..randomness import stream_seed


def normal(seeds: Sequence[int], purpose: str, shape: Sequence[int], like: Tensor) -> Tensor:
    """Standard normal numbers (B, *shape), each image's from its own seed, on the device of `like`."""
    images = []
    for seed in seeds:
        generator = torch.Generator(like.device).manual_seed(stream_seed(seed, purpose))
        images.append(torch.randn(tuple(shape), generator=generator, device=like.device, dtype=torch.float32))
    return torch.stack(images).to(like.dtype)


def smooth_field(seeds: Sequence[int], purpose: str, shape: Sequence[int], control: Sequence[float], like: Tensor) -> Tensor:
    """Unit-variance smooth fields (B, *shape); `control`: distance of the control points along each axis, in voxels."""
    bases = [spline_basis(size, step).to(like) for size, step in zip(shape, control)]
    points = normal(seeds, purpose, [basis.shape[1] for basis in bases], like)
    return along_axes(points, [_of_unit_variance(basis) for basis in bases])


def neighbour_correlation(control: float) -> float:
    """Correlation of neighbours in a smooth field whose control points are `control` voxels apart, the mean over where they may lie between these."""
    rows = _of_unit_variance(spline_basis(math.ceil(4 * control) + 1, control))
    return float((rows[1:] * rows[:-1]).sum(1).mean())


def _of_unit_variance(basis: Tensor) -> Tensor:
    """The basis, scaled so that standard normal control points give every voxel a variance of 1."""
    return basis / basis.square().sum(1, keepdim=True).sqrt()


def along_axes(values: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Applies one matrix (n_out, n_in), or a batch of them (B, n_out, n_in), along each of the last axes of (B, *n_in)."""
    first = values.ndim - len(matrices)
    for axis, matrix in enumerate(matrices, start=first):
        moved = values.movedim(axis, -1)
        flat = moved.reshape(moved.shape[0], -1, moved.shape[-1])
        values = (flat @ matrix.mT).reshape(*moved.shape[:-1], matrix.shape[-2]).movedim(-1, axis)
    return values


@lru_cache(maxsize=256)
def spline_basis(size: int, control: float) -> Tensor:
    """Uniform cubic B-spline weights (size, points) of control points `control` voxels apart; every row sums to 1."""
    points = math.floor((size - 1) / control) + 4
    distance = (torch.arange(size, dtype=torch.float64)[:, None] / control - torch.arange(-1, points - 1, dtype=torch.float64)).abs()
    near = 2 / 3 - distance.square() + distance**3 / 2
    far = (2 - distance).clamp(min=0) ** 3 / 6
    return torch.where(distance < 1, near, far)

"""Deformation: where in the source each output voxel is taken from; affine after a diffeomorphic warp.

The warp is the flow of a stationary velocity field (Arsigny et al. 2006), a cubic B-spline on coarse control points,
integrated by scaling and squaring. Everything is in millimetres about the centre of the window.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .fields import along_axes, normal, spline_basis

SQUARINGS = 5
COARSENESS = 2  # the flow is integrated on every second voxel: control points are many voxels apart


@dataclass(frozen=True)
class Window:
    """The voxels to fill: shape and spacing in mm of its n axes."""

    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]


def source_positions(values: Mapping[str, Tensor], seeds: Sequence[int], window: Window) -> Tensor:
    """Positions (B, *shape, n) in mm from the centre of the source, one for each voxel of the window.

    values: `rotation_degrees` (B, 1 or 3), `scaling` (B, n), `shear` (B, 1 or 3), `translation_mm` (B, n), `warp_mm` (B, 1),
    `warp_spacing_mm` (B, 1) and `flip` (B, 1; 1 mirrors left and right). Differentiable in all but the last two.
    """
    scaling = values["scaling"]
    start = voxel_positions(window, scaling)
    moved = start + displacement(values["warp_mm"], values["warp_spacing_mm"], seeds, window)
    matrix = affine_matrices(values["rotation_degrees"], scaling, values["shear"], values["flip"])
    flat = moved.reshape(len(scaling), -1, len(window.shape)) @ matrix.mT + values["translation_mm"][:, None, :]
    return flat.reshape(moved.shape)


def take(source: Tensor, positions: Tensor, spacing_mm: tuple[float, ...], mode: str = "bilinear", outside: str = "zeros") -> Tensor:
    """Source (B, C, *size) at `positions` (B, *shape, n) in mm from its centre -> (B, C, *shape); `outside` it zeros, or what is at its border.

    mode `bilinear` is linear in every number of axes and differentiable in the positions; `nearest` serves labels.
    """
    extent = positions.new_tensor([max(size - 1, 1) * step / 2 for size, step in zip(source.shape[2:], spacing_mm)])
    return F.grid_sample(source, (positions / extent).flip(-1), mode=mode, padding_mode=outside, align_corners=True)


def affine_matrices(rotation_degrees: Tensor, scaling: Tensor, shear: Tensor, flip: Tensor) -> Tensor:
    """(B, n, n): rotation x shear x scaling, the first axis mirrored where `flip` is 1."""
    n = scaling.shape[1]
    matrix = torch.diag_embed(scaling)
    sheared = torch.eye(n, dtype=scaling.dtype, device=scaling.device).repeat(len(scaling), 1, 1)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    for k, (i, j) in enumerate(pairs):
        sheared = sheared + shear[:, k, None, None] * _unit(n, i, j, scaling)
    matrix = sheared @ matrix
    for k, (i, j) in enumerate(pairs):
        matrix = _rotation(rotation_degrees[:, k] * (math.pi / 180), i, j, n) @ matrix
    mirror = torch.cat([1 - 2 * flip, torch.ones_like(scaling[:, 1:])], 1)
    return torch.diag_embed(mirror) @ matrix


def displacement(strength_mm: Tensor, control_mm: Tensor, seeds: Sequence[int], window: Window) -> Tensor:
    """Displacements (B, *shape, n) in mm of a diffeomorphic warp.

    Its velocity has standard deviation `strength_mm` (B, 1) at control points `control_mm` (B, 1) apart. Differentiable in the strength.
    """
    n = len(window.shape)
    coarse = tuple(max(2, -(-size // COARSENESS)) for size in window.shape)
    spacing = tuple(size * step / few for size, step, few in zip(window.shape, window.spacing_mm, coarse))
    controls = control_mm.flatten().tolist()
    bases = {mm: [spline_basis(size, max(1.0, mm / step)).to(strength_mm) for size, step in zip(coarse, spacing)] for mm in set(controls)}
    velocity = torch.cat([_unit_velocity(seed, bases[mm]) for seed, mm in zip(seeds, controls)]) * strength_mm.reshape(-1, *[1] * (n + 1))
    return _to_window(integrate(velocity, Window(coarse, spacing)), window.shape)


def _unit_velocity(seed: int, bases: Sequence[Tensor]) -> Tensor:
    """A velocity (1, n, *shape) of standard normal control points."""
    points = normal([seed], "warp", [len(bases), *[basis.shape[1] for basis in bases]], bases[0])
    return along_axes(points, bases)


def integrate(velocity: Tensor, window: Window) -> Tensor:
    """The flow (B, n, *shape) of `velocity` at time 1, by scaling and squaring."""
    flow = velocity / 2**SQUARINGS
    start = voxel_positions(window, velocity)
    extent = velocity.new_tensor([(size - 1) * step / 2 for size, step in zip(window.shape, window.spacing_mm)])
    for _ in range(SQUARINGS):
        there = ((start + flow.movedim(1, -1)) / extent).flip(-1)
        flow = flow + F.grid_sample(flow, there, padding_mode="border", align_corners=True)
    return flow


def _to_window(flow: Tensor, shape: tuple[int, ...]) -> Tensor:
    mode = "bilinear" if len(shape) == 2 else "trilinear"
    return F.interpolate(flow, size=shape, mode=mode, align_corners=False).movedim(1, -1)


def voxel_positions(window: Window, like: Tensor) -> Tensor:
    """(*shape, n): each voxel's place in mm from the centre of the window."""
    axes = [(torch.arange(size, device=like.device, dtype=like.dtype) - (size - 1) / 2) * step for size, step in zip(window.shape, window.spacing_mm)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)


def _rotation(angle: Tensor, i: int, j: int, n: int) -> Tensor:
    """(B, n, n): rotation by `angle` (B,) in the plane of axes i and j."""
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    fixed = torch.eye(n, dtype=angle.dtype, device=angle.device) - _unit(n, i, i, angle) - _unit(n, j, j, angle)
    return fixed + cos * (_unit(n, i, i, angle) + _unit(n, j, j, angle)) + sin * (_unit(n, j, i, angle) - _unit(n, i, j, angle))


def _unit(n: int, i: int, j: int, like: Tensor) -> Tensor:
    """The n x n matrix that is 1 at (i, j) and 0 elsewhere."""
    axes = torch.eye(n, dtype=like.dtype, device=like.device)
    return torch.outer(axes[i], axes[j])

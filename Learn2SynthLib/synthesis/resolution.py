"""Resolution: point spread and thick slices, as one small matrix along each axis.

A row of the matrix says which voxels an output voxel is made of, so blurring, slice selection and interpolation back to the
grid are three matrix products for a volume, in any direction, and differentiable in the width of the blur.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .fields import along_axes

FWHM = 2 * math.sqrt(2 * math.log(2))  # full width at half maximum of a Gaussian of standard deviation 1


def degrade(images: Tensor, blur_mm: Tensor, thickness_mm: Tensor, spacing_mm: tuple[float, ...]) -> Tensor:
    """Images (B, *spatial) as acquired with an isotropic blur and slices of a given thickness.

    blur_mm: (B,) full width at half maximum. thickness_mm: (B, n), one per axis; 0 where slices are not thick.
    """
    matrices = []
    for axis, spacing in enumerate(spacing_mm):
        size = images.shape[axis + 1]
        blurred = _blur_matrix(size, spacing, blur_mm)
        thick = thickness_mm[:, axis]
        sliced = _slice_matrix(size, spacing, thick.clamp(min=spacing)) @ blurred
        matrices.append(torch.where((thick > spacing)[:, None, None], sliced, blurred))
    return along_axes(images, matrices)


def _blur_matrix(size: int, spacing: float, fwhm: Tensor) -> Tensor:
    """(B, size, size): Gaussian weights, rows summing to 1; the identity for widths far below the spacing."""
    position = torch.arange(size, device=fwhm.device, dtype=fwhm.dtype) * spacing
    return _gaussian(position[:, None] - position, fwhm)


def _slice_matrix(size: int, spacing: float, thickness: Tensor) -> Tensor:
    """(B, size, size): Gaussian slice profiles every `thickness` mm, then linear interpolation between the slices."""
    extent = (size - 1) * spacing
    index = torch.arange(size, device=thickness.device, dtype=thickness.dtype)
    position = index * spacing
    centres = extent / 2 + (index - (size - 1) / 2) * thickness[:, None]  # (B, size); those beyond the edge repeat the edge
    profile = _gaussian(centres.clamp(0, extent)[:, :, None] - position, thickness)
    hat = (1 - (position[:, None] - centres[:, None, :]).abs() / thickness[:, None, None]).clamp(min=0)
    return hat @ profile


def _gaussian(distance: Tensor, fwhm: Tensor) -> Tensor:
    """Row-normalised Gaussian weights of `distance` (..., m, n) in mm; (B, m, n)."""
    variance = (fwhm / FWHM).square()[:, None, None] + 1e-4
    return torch.softmax(-distance.square() / (2 * variance), dim=-1)

"""Appearance: from tissue classes to intensities, and what a scanner does to them.

Each stage takes images (B, *spatial) with one parameter per image, and carries gradients in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .fields import normal, smooth_field

_DARKEST = 1e-4  # keeps powers and roots differentiable at black


def paint(classes: Tensor, table: Tensor) -> Tensor:
    """Each class's row of `table` (B, K, channels) at every voxel of `classes` (B, *spatial): (B, channels, *spatial)."""
    flat = classes.flatten(1).long()[:, :, None].expand(-1, -1, table.shape[2])
    return table.gather(1, flat).mT.reshape(len(classes), table.shape[2], *classes.shape[1:])


def mixture(mean: Tensor, spread: Tensor, texture: Tensor, seeds: Sequence[int], texture_voxels: Sequence[float]) -> Tensor:
    """A Gaussian about `mean` with standard deviation `spread`; the part `texture` (B, 1) of its variance is smooth."""
    grain = normal(seeds, "grain", mean.shape[1:], mean)
    smooth = smooth_field(seeds, "texture", mean.shape[1:], texture_voxels, mean)
    part = _per_image(texture, mean).clamp(_DARKEST, 1 - _DARKEST)
    return mean + spread * (part.sqrt() * smooth + (1 - part).sqrt() * grain)


def gamma(images: Tensor, exponent_log: Tensor) -> Tensor:
    """Intensities to the power exp(`exponent_log`) (B, 1); negative ones become black."""
    return images.clamp(min=_DARKEST) ** _per_image(exponent_log, images).exp()


def bias_field(images: Tensor, strengths: Tensor, seeds: Sequence[int], control_voxels: Sequence[Sequence[float]]) -> Tensor:
    """Images times the exponential of smooth fields, one per scale, of standard deviation `strengths` (B, scales)."""
    logarithm = torch.zeros_like(images)
    for scale, control in enumerate(control_voxels):
        field = smooth_field(seeds, f"bias {scale}", images.shape[1:], control, images)
        logarithm = logarithm + _per_image(strengths[:, scale : scale + 1], images) * field
    return images * logarithm.exp()


def noise(images: Tensor, level: Tensor, rician: Tensor, seeds: Sequence[int]) -> Tensor:
    """Noise of standard deviation `level` (B, 1): Gaussian, or where `rician` (B,) the magnitude of a complex signal."""
    level = _per_image(level, images)
    real = images + level * normal(seeds, "noise", images.shape[1:], images)
    imaginary = level * normal(seeds, "imaginary noise", images.shape[1:], images)
    magnitude = (real.square() + imaginary.square() + _DARKEST**2).sqrt()
    return torch.where(_per_image(rician[:, None], images), magnitude, real)


def _per_image(values: Tensor, images: Tensor) -> Tensor:
    """(B, 1) -> (B, 1, ..., 1), as many axes as the images have."""
    return values.reshape(-1, *[1] * (images.ndim - 1))

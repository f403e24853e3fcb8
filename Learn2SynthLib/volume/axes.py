"""Two grids that share their axes: where the voxels of one lie along each axis of the other, and interpolation along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

_FWHM_PER_SIGMA = 2.3548


@dataclass(frozen=True)
class MatchedAxes:
    """Target axis a runs along source axis source_axis[a], at source position scale[a] * index + offset[a]."""

    source_axis: tuple[int, ...]
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    source_shape: tuple[int, ...]  # in the order of the target's axes
    target_shape: tuple[int, ...]

    def positions(self, axis: int, shift: float = 0.0) -> np.ndarray:
        """Source positions of the target's indices, moved by `shift` target voxels."""
        return self.scale[axis] * (np.arange(self.target_shape[axis]) + shift) + self.offset[axis]

    def nearest(self, axis: int, shift: float = 0.0) -> np.ndarray:
        """Source index of the target's indices, -1 for those outside the source."""
        positions, size = self.positions(axis, shift), self.source_shape[axis]
        # The small step keeps positions half way between two voxels on one side, whatever the rounding of the affine.
        nearest = np.floor(positions + 0.5 - 1e-4).clip(0, size - 1).astype(np.int64)
        return np.where(_inside(positions, size), nearest, -1)

    def matrix(self, axis: int, smooth: bool = False) -> torch.Tensor:
        """(target size, source size) weights of linear interpolation, after smoothing where resolution is lost."""
        size = self.source_shape[axis]
        weights = _linear_weights(self.positions(axis), size)
        sigma = smoothing_sigma(abs(self.scale[axis])) if smooth else 0.0
        return torch.from_numpy(weights @ gaussian_weights(size, sigma) if sigma else weights).float()

    def interpolate(self, volume: torch.Tensor, axis: int) -> torch.Tensor:
        """What `matrix` does without smoothing, by the two neighbours of every position: less work than a matrix that is mostly 0."""
        positions, size = self.positions(axis), self.source_shape[axis]
        low, high, share = (torch.from_numpy(part).to(volume.device) for part in _neighbours(positions, size))
        outside = torch.from_numpy(np.flatnonzero(~_inside(positions, size))).to(volume.device)
        weight = share.to(volume.dtype).view(-1, *[1] * (volume.ndim - axis - 1))
        return torch.lerp(volume.index_select(axis, low), volume.index_select(axis, high), weight).index_fill_(axis, outside, 0)


def matched_axes(affine: np.ndarray, source_shape: tuple[int, ...], target_shape: tuple[int, ...]) -> MatchedAxes | None:
    """None when some axis of the target crosses more than a hundredth of a source voxel of another axis."""
    steps = affine[:3, :3]
    source_axis = np.abs(steps).argmax(axis=0)
    if sorted(source_axis) != [0, 1, 2]:
        return None
    along = np.zeros((3, 3), dtype=bool)
    along[source_axis, range(3)] = True
    if np.abs(np.where(along, 0, steps) * target_shape).max() > 1e-2:
        return None
    # The small crossings are shared out evenly: they are taken at the target's centre.
    crossing = np.where(along, 0, steps) @ ((np.array(target_shape) - 1) / 2)
    return MatchedAxes(
        tuple(int(a) for a in source_axis),
        tuple(float(steps[s, a]) for a, s in enumerate(source_axis)),
        tuple(float(affine[s, 3] + crossing[s]) for s in source_axis),
        tuple(source_shape[s] for s in source_axis),
        tuple(target_shape),
    )


def _inside(positions: np.ndarray, size: int) -> np.ndarray:
    margin = 0.5 + 1e-4  # a voxel whose centre is on the border of the field of view belongs to it
    return (positions >= -margin) & (positions <= size - 1 + margin)


def _neighbours(positions: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Index below and above each position, and the share of the one above."""
    clamped = positions.clip(0, size - 1)
    low = np.minimum(clamped.astype(np.int64), max(size - 2, 0))
    return low, np.minimum(low + 1, size - 1), clamped - low


def _linear_weights(positions: np.ndarray, size: int) -> np.ndarray:
    weights = np.zeros((len(positions), size))
    low, high, share = _neighbours(positions, size)
    rows = np.arange(len(positions))
    weights[rows, low] += 1 - share
    weights[rows, high] += share
    weights[~_inside(positions, size)] = 0
    return weights


def smoothing_sigma(ratio: float) -> float:
    """Sigma in source voxels that takes a voxel's point spread to one `ratio` times as wide (Cardoso et al. 2015)."""
    return float(np.sqrt(max(ratio**2 - 1, 0.0)) / _FWHM_PER_SIGMA) if ratio > 1.01 else 0.0


def gaussian_weights(size: int, sigma: float) -> np.ndarray:
    """(size, size) smoothing matrix; rows sum to 1, so the edges are not darkened."""
    distance = np.arange(size)[:, None] - np.arange(size)
    weights = np.exp(-0.5 * (distance / sigma) ** 2) * (np.abs(distance) <= np.ceil(4 * sigma))
    return weights / weights.sum(axis=1, keepdims=True)


def along(volume: torch.Tensor, matrix: torch.Tensor, axis: int) -> torch.Tensor:
    """Apply a (new size, old size) matrix along one axis."""
    return torch.tensordot(volume, matrix, dims=([axis], [1])).movedim(-1, axis)

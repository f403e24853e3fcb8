"""Moving volumes between grids: the grid a network works on, and images, labels and probabilities resampled to it.

Most pairs of grids share their axes (a model grid is built on its image's own), so interpolation is one small matrix per
axis; anything else goes through the general affine. Voxel positions beyond the outer voxel centres, but inside the outer
voxels, take the value of the edge; positions outside the source are background.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import nibabel
import numpy as np
import torch
from torch.nn.functional import grid_sample

from .image import Grid, Image, LabelMap

Spacing = tuple[float, float, float]

_FWHM_PER_SIGMA = 2.3548
_VOTING_RATIO = 1.5  # target voxels this much larger than the source's hold a vote, smaller ones take the nearest label
_SLAB_VALUES = 2**24  # values computed at once where memory must stay bounded


def model_grid(grid: Grid, spacing_mm: Spacing) -> Grid:
    """The grid of the same field of view and centre, axes in the order and direction closest to RAS, with this spacing.

    An oblique grid keeps its own oblique axes. The field of view is covered to within a tenth of a voxel.
    """
    closest = nibabel.io_orientation(grid.affine)
    source_axis = np.argsort(closest[:, 0])  # source axis of every target axis
    directions = (grid.affine[:3, :3] / grid.spacing_mm)[:, source_axis] * closest[source_axis, 1]
    extent_mm = (np.array(grid.shape) * grid.spacing_mm)[source_axis]
    shape = np.maximum(1, np.ceil(extent_mm / spacing_mm - 0.1)).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = directions * np.array(spacing_mm)
    affine[:3, 3] = _centre(grid) - affine[:3, :3] @ ((shape - 1) / 2)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _centre(grid: Grid) -> np.ndarray:
    return grid.affine[:3, :3] @ ((np.array(grid.shape) - 1) / 2) + grid.affine[:3, 3]


def resample_image(image: Image, grid: Grid) -> Image:
    """Linear interpolation, smoothed first along axes that lose resolution; 0 outside the image."""
    if image.grid.matches(grid, 1e-4):
        return Image(image.data, grid)
    affine = voxel_to_voxel(grid, image.grid)
    matched = _matched_axes(affine, image.grid.shape, grid.shape)
    if matched is None:
        return Image(_sample_general(_smoothed(image.data, affine), affine, grid.shape), grid)
    volume = image.data.permute(matched.source_axis)
    for axis in range(3):
        volume = _along(volume, matched.matrix(axis, smooth=True).to(volume), axis)
    return Image(volume.contiguous(), grid)


def resample_labels(labels: LabelMap, grid: Grid) -> LabelMap:
    """Majority vote of 2x2x2 samples per voxel along axes that grow 1.5 times or more, nearest otherwise; 0 outside."""
    if labels.grid.matches(grid, 1e-4):
        return LabelMap(labels.data, grid, labels.table)
    affine = voxel_to_voxel(grid, labels.grid)
    matched = _matched_axes(affine, labels.grid.shape, grid.shape)
    growth = np.linalg.norm(affine[:3, :3], axis=0)
    offsets = _sample_offsets(growth)
    if matched is None:
        votes = [_nearest_general(labels.data, affine, grid.shape, offset) for offset in offsets]
    else:
        votes = [_nearest_matched(labels.data, matched, offset) for offset in offsets]
    return LabelMap(_majority(votes), grid, labels.table)


def resample_probabilities(
    probabilities: torch.Tensor, source: Grid, target: Grid, background: int | None = 0
) -> Iterator[tuple[int, torch.Tensor]]:
    """Linear interpolation of probabilities (C, X, Y, Z) on `source`, in slabs along the last axis of `target`.

    Yields (first slice, (C, X, Y, thickness)), so that the memory needed does not grow with the target. Voxels outside
    the source have probability 1 for channel `background`; with None all their channels are 0.
    """
    affine = voxel_to_voxel(target, source)
    matched = _matched_axes(affine, source.shape, target.shape)
    channels = probabilities.shape[0]
    thickness = max(1, _SLAB_VALUES // (channels * target.shape[0] * target.shape[1]))
    for start in range(0, target.shape[2], thickness):
        slices = range(start, min(start + thickness, target.shape[2]))
        slab = _matched_slab(probabilities, matched, slices) if matched else _general_slab(probabilities, affine, target.shape, slices)
        if background is not None:
            # Every voxel inside sums to 1, so what is missing is how far outside a voxel lies: all of it, or nothing.
            slab[background] += 1 - slab.sum(0)
        yield start, slab


def voxel_to_voxel(of: Grid, to: Grid) -> np.ndarray:
    """4x4 affine from voxel indices of grid `of` to voxel indices of grid `to`."""
    return np.linalg.inv(to.affine) @ of.affine


# --- grids that share their axes: one matrix per axis


@dataclass(frozen=True)
class _MatchedAxes:
    """Target axis a runs along source axis source_axis[a], at source position scale[a] * index + offset[a]."""

    source_axis: tuple[int, ...]
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    source_shape: tuple[int, ...]  # in the order of the target's axes
    target_shape: tuple[int, ...]

    def positions(self, axis: int, shift: float = 0.0) -> np.ndarray:
        """Source positions of the target's indices, moved by `shift` target voxels."""
        return self.scale[axis] * (np.arange(self.target_shape[axis]) + shift) + self.offset[axis]

    def matrix(self, axis: int, smooth: bool = False) -> torch.Tensor:
        """(target size, source size) weights of linear interpolation, after smoothing where resolution is lost."""
        size = self.source_shape[axis]
        weights = _linear_weights(self.positions(axis), size)
        sigma = _smoothing_sigma(abs(self.scale[axis])) if smooth else 0.0
        return torch.from_numpy(weights @ _gaussian_weights(size, sigma) if sigma else weights).float()


def _matched_axes(affine: np.ndarray, source_shape: tuple[int, ...], target_shape: tuple[int, ...]) -> _MatchedAxes | None:
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
    return _MatchedAxes(
        tuple(int(a) for a in source_axis),
        tuple(float(steps[s, a]) for a, s in enumerate(source_axis)),
        tuple(float(affine[s, 3] + crossing[s]) for s in source_axis),
        tuple(source_shape[s] for s in source_axis),
        tuple(target_shape),
    )


def _linear_weights(positions: np.ndarray, size: int) -> np.ndarray:
    weights = np.zeros((len(positions), size))
    clamped = positions.clip(0, size - 1)
    low = np.minimum(clamped.astype(int), max(size - 2, 0))
    rows = np.arange(len(positions))
    weights[rows, low] += 1 - (clamped - low)
    weights[rows, np.minimum(low + 1, size - 1)] += clamped - low
    weights[~_inside(positions, size)] = 0
    return weights


def _inside(positions: np.ndarray, size: int) -> np.ndarray:
    margin = 0.5 + 1e-4  # a voxel whose centre is on the border of the field of view belongs to it
    return (positions >= -margin) & (positions <= size - 1 + margin)


def _smoothing_sigma(ratio: float) -> float:
    """Sigma in source voxels that takes a voxel's point spread to one `ratio` times as wide (Cardoso et al. 2015)."""
    return float(np.sqrt(max(ratio**2 - 1, 0.0)) / _FWHM_PER_SIGMA) if ratio > 1.01 else 0.0


def _gaussian_weights(size: int, sigma: float) -> np.ndarray:
    """(size, size) smoothing matrix; rows sum to 1, so the edges are not darkened."""
    distance = np.arange(size)[:, None] - np.arange(size)
    weights = np.exp(-0.5 * (distance / sigma) ** 2) * (np.abs(distance) <= np.ceil(4 * sigma))
    return weights / weights.sum(axis=1, keepdims=True)


def _along(volume: torch.Tensor, matrix: torch.Tensor, axis: int) -> torch.Tensor:
    """Apply a (new size, old size) matrix along one axis."""
    return torch.tensordot(volume, matrix, dims=([axis], [1])).movedim(-1, axis)


def _matched_slab(probabilities: torch.Tensor, matched: _MatchedAxes, slices: range) -> torch.Tensor:
    volume = probabilities.permute(0, *(1 + a for a in matched.source_axis))
    across = matched.matrix(2)[slices.start : slices.stop]
    used = across.sum(0).nonzero().flatten()
    if not len(used):
        return volume.new_zeros((volume.shape[0], *matched.target_shape[:2], len(slices)))
    first, last = int(used[0]), int(used[-1]) + 1  # only the source slices that this slab needs
    volume = _along(volume[..., first:last], across[:, first:last].to(volume), 3)
    volume = _along(volume, matched.matrix(1).to(volume), 2)
    return _along(volume, matched.matrix(0).to(volume), 1)


def _nearest_matched(data: torch.Tensor, matched: _MatchedAxes, shift: tuple[float, ...]) -> torch.Tensor:
    volume = data.permute(matched.source_axis)
    for axis in range(3):
        positions, size = matched.positions(axis, shift[axis]), matched.source_shape[axis]
        volume = volume.index_select(axis, torch.from_numpy(_nearest(positions, size)).to(data.device))
        outside = np.flatnonzero(~_inside(positions, size))
        volume.index_fill_(axis, torch.from_numpy(outside).to(data.device), 0)
    return volume


def _nearest(positions: np.ndarray, size: int) -> np.ndarray:
    # The small step keeps positions half way between two voxels on one side, whatever the rounding of the affine.
    return np.floor(positions + 0.5 - 1e-4).clip(0, size - 1).astype(np.int64)


# --- majority vote


def _sample_offsets(growth: np.ndarray) -> list[tuple[float, ...]]:
    """Where, in target voxels from the centre, labels are sampled: two places along every axis that votes."""
    places = [(-0.25, 0.25) if ratio >= _VOTING_RATIO else (0.0,) for ratio in growth]
    return [(x, y, z) for x in places[0] for y in places[1] for z in places[2]]


def _majority(votes: list[torch.Tensor]) -> torch.Tensor:
    """The most frequent label. Ties take the first candidate in even voxels and the last in odd ones: fair to both sides."""
    if len(votes) == 1:
        return votes[0].contiguous()
    first, last = votes[0].clone(), votes[-1].clone()
    best_first, best_last = torch.zeros_like(first, dtype=torch.uint8), torch.zeros_like(first, dtype=torch.uint8)
    for candidate in votes:
        count = torch.zeros_like(best_first)
        for other in votes:
            count += candidate == other
        first = torch.where(count > best_first, candidate, first)
        best_first = torch.maximum(count, best_first)
        last = torch.where(count >= best_last, candidate, last)
        best_last = torch.maximum(count, best_last)
    return torch.where(_odd(first), last, first)


def _odd(like: torch.Tensor) -> torch.Tensor:
    x, y, z = (torch.arange(n, device=like.device) for n in like.shape)
    return (x[:, None, None] + y[:, None] + z) % 2 == 1


# --- any other pair of grids


def _slab_positions(affine: np.ndarray, shape: tuple[int, ...], slices: range, shift: tuple[float, ...] = (0, 0, 0)) -> list[torch.Tensor]:
    """Source positions along each source axis of the target voxels of some slices, each (X, Y, thickness)."""
    x = torch.arange(shape[0], dtype=torch.float64)[:, None, None] + shift[0]
    y = torch.arange(shape[1], dtype=torch.float64)[:, None] + shift[1]
    z = torch.arange(slices.start, slices.stop, dtype=torch.float64) + shift[2]
    return [row[0] * x + row[1] * y + row[2] * z + row[3] for row in affine[:3].tolist()]


def _slabs(shape: tuple[int, ...]) -> Iterator[range]:
    thickness = max(1, _SLAB_VALUES // 8 // (shape[0] * shape[1]))
    for start in range(0, shape[2], thickness):
        yield range(start, min(start + thickness, shape[2]))


def _general_slab(volume: torch.Tensor, affine: np.ndarray, shape: tuple[int, ...], slices: range) -> torch.Tensor:
    """Linear samples (C, X, Y, thickness) of a volume (C, x, y, z)."""
    positions = _slab_positions(affine, shape, slices)
    inside = torch.ones(positions[0].shape, dtype=torch.bool)
    unit = []
    for position, size in zip(positions, volume.shape[1:], strict=True):
        inside &= (position >= -0.5001) & (position <= size - 0.4999)
        unit.append((2 * position / max(size - 1, 1) - 1).to(volume))
    # grid_sample names the axes from the last to the first.
    places = torch.stack(unit[::-1], dim=-1)[None]
    samples = grid_sample(volume[None], places, mode="bilinear", padding_mode="border", align_corners=True)[0]
    return samples * inside.to(samples)


def _sample_general(volume: torch.Tensor, affine: np.ndarray, shape: tuple[int, ...]) -> torch.Tensor:
    slabs = [_general_slab(volume[None], affine, shape, slices)[0] for slices in _slabs(shape)]
    return torch.cat(slabs, dim=2)


def _smoothed(volume: torch.Tensor, affine: np.ndarray) -> torch.Tensor:
    """Smoothed along every source axis by how far one target voxel reaches along it."""
    for axis, reach in enumerate(np.linalg.norm(affine[:3, :3], axis=1)):
        sigma = _smoothing_sigma(float(reach))
        if sigma:
            volume = _along(volume, torch.from_numpy(_gaussian_weights(volume.shape[axis], sigma)).to(volume), axis)
    return volume


def _nearest_general(data: torch.Tensor, affine: np.ndarray, shape: tuple[int, ...], shift: tuple[float, ...]) -> torch.Tensor:
    slabs = []
    for slices in _slabs(shape):
        index, inside = torch.zeros((), dtype=torch.long), torch.ones((), dtype=torch.bool)
        for position, size in zip(_slab_positions(affine, shape, slices, shift), data.shape, strict=True):
            nearest = (position + 0.5 - 1e-4).floor().long()
            inside = inside & (nearest >= 0) & (nearest < size)
            index = index * size + nearest.clamp(0, size - 1)
        slabs.append(data.flatten()[index] * inside)
    return torch.cat(slabs, dim=2)

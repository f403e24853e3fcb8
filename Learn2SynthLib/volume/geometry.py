"""Moving volumes between grids: the grid a network works on, and images, labels and probabilities resampled to it.

Most pairs of grids share their axes (a model grid is built on its image's own), so interpolation goes axis by axis; anything
else goes through the general affine. Voxel positions beyond the outer voxel centres, but inside the outer
voxels, take the value of the edge; positions outside the source are background.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import nibabel
import numpy as np
import torch
from torch.nn.functional import grid_sample

from .axes import MatchedAxes, along, gaussian_weights, matched_axes, smoothing_sigma
from .image import Grid, Image, LabelMap
from .voting import majority, sample_places, vote_along_axes

Spacing = tuple[float, float, float]

_SLAB_VALUES = 2**23  # values computed at once where memory must stay bounded


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
    matched = matched_axes(affine, image.grid.shape, grid.shape)
    if matched is None:
        return Image(_sample_general(_smoothed(image.data, affine), affine, grid.shape), grid)
    volume = image.data.permute(matched.source_axis)
    for axis in range(3):
        volume = along(volume, matched.matrix(axis, smooth=True).to(volume), axis)
    return Image(volume.contiguous(), grid)


def resample_labels(labels: LabelMap, grid: Grid) -> LabelMap:
    """Majority vote of two or four samples a voxel along each axis that grows 1.5 times or more, nearest otherwise; 0 outside."""
    if labels.grid.matches(grid, 1e-4):
        return LabelMap(labels.data, grid, labels.table)
    affine = voxel_to_voxel(grid, labels.grid)
    matched = matched_axes(affine, labels.grid.shape, grid.shape)
    places = sample_places(np.linalg.norm(affine[:3, :3], axis=0))
    if matched:
        return LabelMap(vote_along_axes(labels.data, matched, places), grid, labels.table)
    data = labels.data.contiguous()
    votes = [_nearest_general(data, affine, grid.shape, offset) for offset in product(*places)]
    return LabelMap(majority(votes), grid, labels.table)


def resample_probabilities(
    probabilities: torch.Tensor, source: Grid, target: Grid, background: int | None = 0
) -> Iterator[tuple[int, torch.Tensor]]:
    """Linear interpolation of probabilities (C, X, Y, Z) on `source`, in slabs along the last axis of `target`.

    Yields (first slice, (C, X, Y, thickness)), so that the memory needed does not grow with the target. Voxels outside
    the source have probability 1 for channel `background`; with None all their channels are 0.
    """
    affine = voxel_to_voxel(target, source)
    matched = matched_axes(affine, source.shape, target.shape)
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


# --- grids that share their axes


def _matched_slab(probabilities: torch.Tensor, matched: MatchedAxes, slices: range) -> torch.Tensor:
    volume = probabilities.permute(0, *(1 + a for a in matched.source_axis))
    across = matched.matrix(2)[slices.start : slices.stop]
    used = across.sum(0).nonzero().flatten()
    shape = (len(volume), *matched.target_shape[:2], len(slices))
    if not len(used):
        return volume.new_zeros(shape)
    first, last = int(used[0]), int(used[-1]) + 1  # only the source slices that this slab needs
    weights = across[:, first:last].T.to(volume)  # so few that this matrix costs next to nothing
    slab = volume.new_empty(shape)
    for channel, result in zip(volume, slab):  # one at a time: what is in the making stays in the processor's cache
        thin = channel[..., first:last] @ weights
        result.copy_(matched.interpolate(matched.interpolate(thin, 1), 0))
    return slab


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
        sigma = smoothing_sigma(float(reach))
        if sigma:
            volume = along(volume, torch.from_numpy(gaussian_weights(volume.shape[axis], sigma)).to(volume), axis)
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

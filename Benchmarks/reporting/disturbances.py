"""What a scan may be like that a model should not mind: thick slices, noise, another contrast, a part of the head missing, axes stored in another order.

Each disturbance takes a scan on its own voxels and returns the image that it becomes, with how labels of the scan are brought onto the voxels of that image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from scipy.spatial.transform import Rotation
from shifts import SHIFTS, Shift, biased, brain_only, noisy
from torch import Tensor

from Learn2SynthLib.volume.geometry import model_grid, resample_image, resample_labels
from Learn2SynthLib.volume.image import Grid, Image, LabelMap
from Learn2SynthLib.volume.layout import labelled_box

from .scans import Scan

Volume = TypeVar("Volume", Image, LabelMap)
OBLIQUE_DEGREES = (15.0, -20.0, 25.0)


class Disturbed(NamedTuple):
    """image: what the model is given. labels: takes labels of the undisturbed scan onto the voxels of `image`."""

    image: Image
    labels: Callable[[LabelMap], LabelMap]


Disturbance = Callable[[Scan], Disturbed]


def unmoved(labels: LabelMap) -> LabelMap:
    return labels


def as_it_is(scan: Scan) -> Disturbed:
    return Disturbed(scan.image, unmoved)


def other_intensities(shift: Shift) -> Disturbance:
    return lambda scan: Disturbed(scan.shifted(shift), unmoved)


def thick(axis: int, thickness_mm: float) -> Disturbance:
    """As many slices fewer as they are thicker: the mean of the intensities over each, the most frequent label."""

    def disturbed(scan: Scan) -> Disturbed:
        step = round(thickness_mm / scan.image.grid.spacing_mm[axis])
        image = Image(in_slices(scan.image.data, axis, step).mean(axis + 1), slice_grid(scan.image.grid, axis, step))
        return Disturbed(image, lambda labels: replace(labels, data=in_slices(labels.data, axis, step).mode(axis + 1).values, grid=image.grid))

    return disturbed


def in_slices(data: Tensor, axis: int, step: int) -> Tensor:
    """The axis as two: slices, and `step` voxels in each. What is left at its end belongs to no slice."""
    size = data.shape[axis] // step
    return data.narrow(axis, 0, size * step).unflatten(axis, (size, step))


def slice_grid(grid: Grid, axis: int, step: int) -> Grid:
    affine, shape = grid.affine.copy(), list(grid.shape)
    affine[:3, 3] += affine[:3, axis] * (step - 1) / 2
    affine[:3, axis] *= step
    shape[axis] //= step
    return Grid((shape[0], shape[1], shape[2]), affine)


def cropped(axis: int, above: float = 0.0, below: float = 1.0) -> Disturbance:
    """The image ends at parts of the brain's extent along an axis; 0 and 1: not cut on that side."""

    def disturbed(scan: Scan) -> Disturbed:
        extent = labelled_box(scan.reference.data)[axis]
        first, last = (round(extent.start + part * (extent.stop - extent.start)) for part in (above, below))
        kept = range(first if above > 0 else 0, last if below < 1 else scan.image.grid.shape[axis])
        return Disturbed(cut(scan.image, axis, kept), lambda labels: cut(labels, axis, kept))

    return disturbed


def cut(volume: Volume, axis: int, kept: range) -> Volume:
    data, affine = volume.data.narrow(axis, kept.start, len(kept)), volume.grid.affine.copy()
    affine[:3, 3] += affine[:3, axis] * kept.start
    return replace(volume, data=data.contiguous(), grid=Grid(shape_of(data), affine))


def stored(orientation: str) -> Disturbance:
    """The same scan, its voxels stored along other axes, and its header with them."""
    return lambda scan: Disturbed(reoriented(scan.image, orientation), lambda labels: reoriented(labels, orientation))


def reoriented(volume: Volume, orientation: str) -> Volume:
    change = ornt_transform(io_orientation(volume.grid.affine), axcodes2ornt(orientation))
    data = torch.from_numpy(np.ascontiguousarray(apply_orientation(volume.data.numpy(), change)))
    return replace(volume, data=data, grid=Grid(shape_of(data), volume.grid.affine @ inv_ornt_aff(change, volume.grid.shape)))


def oblique(scan: Scan) -> Disturbed:
    """The same voxels under a header that is turned by `OBLIQUE_DEGREES`, as those of slices tilted with the head are."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", OBLIQUE_DEGREES, degrees=True).as_matrix()
    grid = Grid(scan.image.grid.shape, turn @ scan.image.grid.affine)
    return Disturbed(replace(scan.image, grid=grid), lambda labels: replace(labels, grid=grid))


def finer(spacing_mm: float) -> Disturbance:
    """Interpolated to smaller voxels, as scanners and viewers do."""

    def disturbed(scan: Scan) -> Disturbed:
        grid = model_grid(scan.image.grid, (spacing_mm,) * 3)
        return Disturbed(resample_image(scan.image, grid), lambda labels: resample_labels(labels, grid))

    return disturbed


def shape_of(data: Tensor) -> tuple[int, int, int]:
    x, y, z = data.shape
    return x, y, z


SLICES = {"sagittal": 0, "coronal": 1, "axial": 2}
NOISE, BIAS, THICK_MM = (0.05, 0.1, 0.2), (0.3, 0.6), (3, 5, 7)  # noise: part of the intensity range; bias field: standard deviation of its logarithm
# A quarter turn about each axis of the patient, all axes flipped (a mirrored array), and axes in cyclic order.
ORIENTATIONS = ("RSP", "SAL", "PRS", "LPI", "SRA")
UNDISTURBED = "as it is"
CROPPED: dict[str, Disturbance] = {"lower third missing": cropped(2, above=1 / 3), "right half missing": cropped(0, below=1 / 2)}
OF_BRAINS: dict[str, Disturbance] = {
    UNDISTURBED: as_it_is,
    **{f"{mm} mm {name} slices": thick(axis, mm) for mm in THICK_MM for name, axis in SLICES.items()},
    **{f"noise {level}": other_intensities(partial(noisy, level=level)) for level in NOISE},
    **{f"bias field {level}": other_intensities(partial(biased, level=level)) for level in BIAS},
    **{name: other_intensities(SHIFTS[name]) for name in ("inverted", "T2 contrast", "PD contrast", "FLAIR contrast")},
    **CROPPED,
    **{f"stored as {orientation}": stored(orientation) for orientation in ORIENTATIONS},
    "oblique header": oblique,
    "0.5 mm voxels": finer(0.5),
}
OF_HEADS: dict[str, Disturbance] = {UNDISTURBED: as_it_is, "brain only": other_intensities(brain_only), **CROPPED}

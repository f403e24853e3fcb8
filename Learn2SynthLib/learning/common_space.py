"""The common space of annotated and unlabelled scans: coarse voxels about each scan's centre of mass, in which transforms between them are learned.

Registration needs whole brains, whatever windows or slices the segmentation network sees, and coarse voxels will do for it: so it has a space of its own, for
networks of slices as of volumes. Nothing but the centres of mass is brought together beforehand: scans must show about the same part of the head, in any
position and orientation that their files tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import center_of_mass
from torch import Tensor

from ..synthesis.deformation import Window
from ..volume.geometry import resample_image, resample_labels
from ..volume.image import Grid, Image, LabelMap
from .data import Example

_MARGIN_MM = 8.0  # about the structures: what is matched there holds their borders in place
_DARK = 1e-6  # so that a black image has a centre


@dataclass(frozen=True)
class CommonSpace:
    """A box along the scans' own axes (about right, anterior, superior). window: its voxels. offset_mm: from a scan's centre of mass to the box's centre."""

    window: Window
    offset_mm: np.ndarray

    @classmethod
    def about(cls, atlases: Sequence[Example], spacing_mm: float, divisor: int) -> CommonSpace:
        """The box that holds the structures of every atlas, each side a multiple of `divisor` voxels (twice it at least: norms need more than one)."""
        ends = np.array([_structures_mm(atlas) for atlas in atlases])  # (atlases, axes, 2)
        low, high = ends[..., 0].min(0) - _MARGIN_MM, ends[..., 1].max(0) + _MARGIN_MM
        shape = [divisor * max(2, int(np.ceil(extent / spacing_mm / divisor))) for extent in high - low]
        return cls(Window(tuple(shape), (spacing_mm,) * 3), (low + high) / 2)

    def image(self, image: Image) -> Tensor:
        """(1, 1, *box): what the box shows of a scan."""
        return resample_image(image, self.grid(image)).data[None, None]

    def target(self, atlas: Example) -> Tensor:
        """(1, 1, *box): the structures of an annotated scan."""
        return resample_labels(LabelMap(atlas.target.int(), atlas.grid), self.grid(scan_of(atlas))).data[None, None]

    def centre_mm(self, image: Image) -> Tensor:
        """(3,): from the centre of a scan's voxels to that of the box, along the scan's axes."""
        middle = (np.array(image.grid.shape) - 1) / 2
        return torch.from_numpy((_centre_of_mass(image) - middle) * image.grid.spacing_mm + self.offset_mm).float()

    def grid(self, image: Image) -> Grid:
        """The box in the world of a scan."""
        spacing, shape = np.array(image.grid.spacing_mm), np.array(self.window.shape)
        directions = image.grid.affine[:3, :3] / spacing
        affine = image.grid.affine.copy()
        affine[:3, :3] = directions * self.window.spacing_mm
        centre = image.grid.affine[:3, :3] @ (_centre_of_mass(image) + self.offset_mm / spacing) + image.grid.affine[:3, 3]
        affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
        return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def scan_of(example: Example) -> Image:
    """The image of an annotated scan."""
    assert example.image is not None, "annotated scans have an image"
    return Image(example.image, example.grid)


def _structures_mm(atlas: Example) -> np.ndarray:
    """(3, 2): where the structures begin and end along each axis, in mm from the centre of mass."""
    centre = _centre_of_mass(scan_of(atlas))
    return (np.array(atlas.box) - 0.5 - centre[:, None]) * np.array(atlas.grid.spacing_mm)[:, None]


def _centre_of_mass(image: Image) -> np.ndarray:
    """Of the intensities, in voxels."""
    return np.array(center_of_mass(image.data.numpy() + _DARK))

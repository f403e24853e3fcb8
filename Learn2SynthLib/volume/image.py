"""Images and label maps: a tensor and where its voxels lie in the world."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel
import numpy as np
import torch

NEARLY_SAME_GRID_MM = 1.0  # headers of an image and its label map that differ by less mean one place: the image's


@dataclass(frozen=True, eq=False)
class Grid:
    """Where voxels lie: shape (X, Y, Z) and a 4x4 affine from voxel index to RAS millimetres."""

    shape: tuple[int, int, int]
    affine: np.ndarray

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        return tuple(float(s) for s in np.linalg.norm(self.affine[:3, :3], axis=0))  # type: ignore[return-value]

    @property
    def orientation(self) -> str:
        """Axis codes of the nearest anatomical axes, for example 'RAS' or 'LIA'."""
        return "".join(nibabel.aff2axcodes(self.affine))

    @property
    def voxel_mm3(self) -> float:
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def matches(self, other: Grid, tolerance_mm: float = 1e-2) -> bool:
        """Same shape, and every corner within `tolerance_mm` of the other's."""
        if self.shape != other.shape:
            return False
        corners = np.array([[x, y, z, 1] for x in (0, self.shape[0]) for y in (0, self.shape[1]) for z in (0, self.shape[2])])
        return bool(np.abs(corners @ (self.affine - other.affine).T).max() <= tolerance_mm)


@dataclass(frozen=True, eq=False)
class Image:
    """Intensities: float32 tensor (X, Y, Z). note: what was read otherwise than it is stored."""

    data: torch.Tensor
    grid: Grid
    note: str = ""


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Labels: int32 tensor (X, Y, Z), in any order of memory, whose values are those of the label table named `table`."""

    data: torch.Tensor
    grid: Grid
    table: str = "freesurfer"

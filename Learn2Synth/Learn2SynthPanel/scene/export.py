"""Images of the scene -> files that the library reads.

A file holds voxels in the node's own order, so that results fit the node voxel by voxel, and lies where the user sees the node:
its parent transform is part of the file's geometry.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import slicer
import slicer.util
import vtk

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.files import written_aside

from ..translation import tr as _

_NRRD_TYPES = {"float32": "float", "float64": "double"}  # integers are called as numpy calls them
_STRAIGHT = 1e-4  # cosine between two axes of a grid that counts as no shear: a hundredth of a millimetre or so over a head


def write_volume(volume: slicer.vtkMRMLScalarVolumeNode, path: Path) -> str:
    """Write the image as uncompressed NRRD, with all its bits. Returns a note in words where the file does not lie as the user sees it, else ''.

    Neither the node nor the scene is changed. Raises InputError for a node without voxels or with more than one value per voxel, and when the disk refuses.
    """
    return write_under(volume, volume.GetParentTransformNode(), path)


def write_under(volume: slicer.vtkMRMLScalarVolumeNode, transform: slicer.vtkMRMLTransformNode | None, path: Path) -> str:
    """`write_volume` for an image that lies under another transform than its node says, as the frames of a sequence do."""
    voxels = voxels_of(volume)
    own = ijk_to_ras(volume)
    to_file, note = own_to_file(volume.GetName(), transform, own)
    write_nrrd(path, voxels, to_file @ own)
    return note


def voxels_of(volume: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """The node's own voxels (Z, Y, X), not a copy. Raises InputError for none, and for more than one value per voxel."""
    image = volume.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None or image.GetNumberOfPoints() == 0:
        raise InputError(volume.GetName(), _("an image without voxels"), _("a loaded 3D image"))
    if image.GetNumberOfScalarComponents() != 1:
        found = _("{count} values per voxel (colour or vector)").format(count=image.GetNumberOfScalarComponents())
        raise InputError(volume.GetName(), found, _("one value per voxel"), _("convert it with the module Vector to Scalar Volume"))
    return slicer.util.arrayFromVolume(volume)


def ijk_to_ras(volume: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """4x4, without the parent transform."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def own_to_world(transform: slicer.vtkMRMLTransformNode | None) -> np.ndarray | None:
    """4x4 from the RAS of nodes under `transform` to the world; None where no matrix can say that."""
    matrix = vtk.vtkMatrix4x4()
    if transform is not None and not transform.IsTransformToWorldLinear():
        return None
    if transform is not None:
        transform.GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def own_to_file(name: str, transform: slicer.vtkMRMLTransformNode | None, own: np.ndarray) -> tuple[np.ndarray, str]:
    """4x4 from a node's RAS to that of its file, and a note where this is not the world; `own`: the node's matrix from voxel to RAS.

    What bends or shears the voxels stays out of the file: networks are trained on straight grids.
    """
    to_world = own_to_world(transform)
    if transform is None or to_world is None or _is_sheared(to_world @ own):
        note = _("'{name}': its transform bends or shears the image and is left out; the result lies under the same transform").format(name=name)
        return np.eye(4), "" if transform is None else note
    return to_world, ""


def _is_sheared(matrix: np.ndarray) -> bool:
    axes = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    return not np.allclose(axes.T @ axes, np.eye(3), atol=_STRAIGHT)


def write_nrrd(path: Path, voxels: np.ndarray, matrix: np.ndarray) -> None:
    """Write voxels (Z, Y, X) and their 4x4 matrix from voxel (X, Y, Z) to RAS: the whole file or, on failure, nothing.

    Not by a storage node: those refuse signed bytes and 64-bit integers, and say no reason when the disk refuses.
    """
    # Adding 0 turns -0 into 0.
    directions, origin = [" ".join(map(_point, matrix[:3, :3].T + 0.0)), _point(matrix[:3, 3] + 0.0)]
    header = [
        "NRRD0004",
        f"type: {_NRRD_TYPES.get(voxels.dtype.name, voxels.dtype.name)}",
        "dimension: 3",
        "space: right-anterior-superior",
        "sizes: " + " ".join(map(str, voxels.shape[::-1])),
        f"space directions: {directions}",
        "kinds: domain domain domain",
        f"endian: {sys.byteorder}",
        "encoding: raw",
        f"space origin: {origin}",
    ]
    with written_aside(path) as aside, open(aside, "wb") as file:
        file.write(("\n".join(header) + "\n\n").encode("ascii"))
        voxels.tofile(file)


def _point(values: np.ndarray) -> str:
    return "(" + ",".join(f"{value:.17g}" for value in values) + ")"

"""Images, transforms and label maps for the tests of the scene bridge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
import slicer.util
import torch
import vtk

from Learn2SynthLib.labels import load_table
from Learn2SynthLib.volume.files import write_label_map
from Learn2SynthLib.volume.image import Grid, LabelMap

SHAPE = (5, 7, 6)  # Z, Y, X
BRAIN = load_table("brain")


def turn(degrees: float, axis: tuple[float, float, float] = (1, 2, 3)) -> np.ndarray:
    transform = vtk.vtkTransform()
    transform.RotateWXYZ(degrees, axis)
    return slicer.util.arrayFromVTKMatrix(transform.GetMatrix())


def grid(directions: tuple[float, float, float], spacing: tuple[float, float, float] = (1, 1, 1), degrees: float = 0) -> np.ndarray:
    matrix = turn(degrees) @ np.diag([*np.multiply(directions, spacing), 1.0])
    matrix[:3, 3] = (-11.25, 7.5, 30)
    return matrix


GRIDS = {
    "RAS": grid((1, 1, 1)),
    "LPS": grid((-1, -1, 1)),
    "LAS": grid((-1, 1, 1)),
    "anisotropic": grid((1, -1, 1), (0.9, 0.9, 5)),
    "oblique": grid((-1, -1, 1), (1.1, 1.2, 1.3), 25),
    "axes swapped": grid((1, 1, 1)) @ np.eye(4)[[2, 0, 1, 3]],
}
SHEAR = np.eye(4)
SHEAR[0, 1] = 0.3


def add_volume(scene, matrix: np.ndarray = GRIDS["RAS"], name: str = "T1", shape=SHAPE, kind: str = "vtkMRMLScalarVolumeNode"):
    node = scene.AddNewNodeByClass(kind, name)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    slicer.util.updateVolumeFromArray(node, (np.arange(np.prod(shape)).reshape(shape) % 100).astype(np.int16))
    node.CreateDefaultDisplayNodes()
    return node


def add_segmentation(image, *names: str):
    """Each segment a slab of the image."""
    node = image.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentierung")
    node.SetReferenceImageGeometryParameterFromVolumeNode(image)
    node.SetAndObserveTransformNodeID(image.GetTransformNodeID())
    for k, name in enumerate(names):
        mask = np.zeros_like(slicer.util.arrayFromVolume(image), dtype=np.uint8)
        mask[k] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, node.GetSegmentation().AddEmptySegment("", name), image)
    return node


def put_under(node, matrix: np.ndarray):
    transform = node.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode", "Transform")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def put_under_bending(node):
    transform = node.GetScene().AddNewNodeByClass("vtkMRMLBSplineTransformNode", "Bending")
    spline = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    moved = vtk.vtkPoints()
    for point in np.indices((2, 2, 2)).reshape(3, -1).T * 30.0 - 10:
        points.InsertNextPoint(point)
        moved.InsertNextPoint(point + np.sin(point))
    spline.SetSourceLandmarks(points)
    spline.SetTargetLandmarks(moved)
    transform.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def labels_for(volume, seed: int = 0, values=(0, 3, 6, 12)) -> np.ndarray:
    return np.random.default_rng(seed).choice(values, slicer.util.arrayFromVolume(volume).shape).astype(np.int32)


def write_result(path: Path, labels: np.ndarray, affine: np.ndarray = GRIDS["RAS"]) -> Path:
    """As the segmenter writes it: labels (Z, Y, X), the file's axes (X, Y, Z)."""
    write_label_map(LabelMap(torch.from_numpy(np.ascontiguousarray(labels.T)), Grid(labels.T.shape, affine)), path)
    return path


def segment_mask(node, segment_id: str, volume) -> np.ndarray:
    return slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume)

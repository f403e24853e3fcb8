"""Annotations of the scene -> label maps on disk, for training: segmentations and label maps, each on the grid of the image that it belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import LabelTable

from ..translation import tr as _
from .export import ijk_to_ras, own_to_file, own_to_world, voxels_of, write_nrrd

FIRST_NEW_VALUE = 10000  # beyond the values of the usual tables
_BINARY = "Binary labelmap"


def segment_names(node: slicer.vtkMRMLNode) -> list[str]:
    """Names of the structures in a segmentation or label map node, in its own order."""
    if node.IsA("vtkMRMLSegmentationNode"):
        return [segment.GetName() for segment in _segments(node.GetSegmentation())]
    return list(label_names(node).values())


def label_names(node: slicer.vtkMRMLLabelMapVolumeNode) -> dict[int, str]:
    """value -> name of each label in a label map node except 0; the value itself where its colour table names none."""
    voxels_of(node)  # refuses a node without voxels
    values = vtk.vtkIntArray()
    slicer.vtkSlicerSegmentationsModuleLogic.GetAllLabelValues(values, node.GetImageData())
    display = node.GetDisplayNode()
    colours = display.GetColorNode() if display else None
    found = sorted({int(values.GetValue(i)) for i in range(values.GetNumberOfValues())} - {0})
    return {value: (colours.GetColorName(value) if colours else "") or str(value) for value in found}


def values_for(names: Iterable[str], table: LabelTable) -> dict[str, int]:
    """name -> value in `table`, whatever the spelling ('Left-Thalamus', 'left thalamus', 'Thalamus_left').

    Names that the table does not know get values from FIRST_NEW_VALUE on, in alphabetical order, so that the same names always get the same values.
    """
    names = sorted(names)
    known = {_spelling(label.name): label.value for label in table.labels}
    new = sorted({_spelling(name) for name in names} - known.keys())
    free = (value for value in count(FIRST_NEW_VALUE) if value not in set(table.values))
    known.update(zip(new, free))
    return {name: known[_spelling(name)] for name in names}


def _spelling(name: str) -> str:
    """One key for all spellings of a name: no separators, no capitals, the side first."""
    text = re.sub(r"[\s_-]+", "", name.casefold())
    side = next((side for side in ("left", "right") if text.endswith(side)), "")
    return side + text.removesuffix(side)


def write_labels(node: slicer.vtkMRMLNode, image: slicer.vtkMRMLScalarVolumeNode | None, path: Path, values: Mapping[str, int]) -> str:
    """Write a label map or segmentation node as an NRRD label map that fits the file of `image` (`write_volume`). Returns notes in words, '' for none.

    A label map keeps its values and its grid. Segments are merged on the grid of `image`, or of their own reference image when there is none;
    `values` says which number each segment name gets, segments that are not in it are left out, and where segments overlap the later one wins.
    Raises InputError for a node without voxels, and for a label map whose place relative to `image` no matrix can say.
    """
    if node.IsA("vtkMRMLSegmentationNode"):
        return _write_segments(node, image, path, values)
    own = ijk_to_ras(node)
    voxels = voxels_of(node)
    if image is None:
        to_file, note = own_to_file(node.GetName(), node.GetParentTransformNode(), own)
    else:
        to_file, note = own_to_file(image.GetName(), image.GetParentTransformNode(), ijk_to_ras(image))
        to_file = to_file @ _own_to_own(node, image)
    write_nrrd(path, voxels, to_file @ own)
    return note


def _own_to_own(labels: slicer.vtkMRMLNode, image: slicer.vtkMRMLNode) -> np.ndarray:
    if labels.GetParentTransformNode() is image.GetParentTransformNode():
        return np.eye(4)
    labels_to_world, image_to_world = (own_to_world(node.GetParentTransformNode()) for node in (labels, image))
    if labels_to_world is None or image_to_world is None:
        found = _("under another transform than its image '{image}', and not a linear one").format(image=image.GetName())
        raise InputError(labels.GetName(), found, _("the same transform"), _("harden the transforms in the module Transforms"))
    return np.linalg.solve(image_to_world, labels_to_world)


# --- segmentations


def _write_segments(node: slicer.vtkMRMLSegmentationNode, image: slicer.vtkMRMLScalarVolumeNode | None, path: Path, values: Mapping[str, int]) -> str:
    grid_node = image or node
    geometry, own = _geometry(node) if image is None else _geometry_of(image)
    to_file, note = own_to_file(grid_node.GetName(), grid_node.GetParentTransformNode(), own)
    to_grid = vtk.vtkGeneralTransform()
    if node.GetParentTransformNode() is not grid_node.GetParentTransformNode():
        slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(node.GetParentTransformNode(), grid_node.GetParentTransformNode(), to_grid)
    merged, covered = _merged(_with_labelmaps(node, geometry), values, geometry, to_grid)
    write_nrrd(path, merged, to_file @ own)
    if covered:
        overlap = _("'{name}': {covered} overlap earlier segments and replace them there").format(name=node.GetName(), covered=", ".join(covered))
        note = "; ".join(filter(None, (note, overlap)))
    return note


def _merged(
    segmentation: slicer.vtkSegmentation, values: Mapping[str, int], geometry: slicer.vtkOrientedImageData, to_grid: vtk.vtkGeneralTransform
) -> tuple[np.ndarray, list[str]]:
    """Labels (Z, Y, X) on the grid of `geometry`, and the names of segments that overlap earlier ones."""
    merged = np.zeros(geometry.GetDimensions()[::-1], dtype=np.min_scalar_type(max(values.values(), default=0)))
    layers: dict[slicer.vtkOrientedImageData, np.ndarray] = {}  # segments share images: each is resampled once
    covered = []
    for segment in _segments(segmentation):
        if segment.GetName() not in values:
            continue
        layer = segment.GetRepresentation(_BINARY)
        if layer not in layers:
            layers[layer] = _resampled(layer, geometry, to_grid)
        inside = layers[layer] == segment.GetLabelValue()
        if merged[inside].any():
            covered.append(segment.GetName())
        merged[inside] = values[segment.GetName()]
    return merged, covered


def _resampled(layer: slicer.vtkOrientedImageData, geometry: slicer.vtkOrientedImageData, to_grid: vtk.vtkGeneralTransform) -> np.ndarray:
    image = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(layer, geometry, image, False, False, to_grid)
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(geometry.GetDimensions()[::-1])


def _with_labelmaps(node: slicer.vtkMRMLSegmentationNode, geometry: slicer.vtkOrientedImageData) -> slicer.vtkSegmentation:
    """The node's segmentation; of one that has surfaces only a copy, turned into voxels."""
    segmentation = node.GetSegmentation()
    if segmentation.ContainsRepresentation(_BINARY):
        return segmentation
    copy = slicer.vtkSegmentation()
    copy.DeepCopy(segmentation)
    converter = slicer.vtkSegmentationConverter
    copy.SetConversionParameter(converter.GetReferenceImageGeometryParameterName(), converter.SerializeImageGeometry(geometry))
    copy.CreateRepresentation(_BINARY)
    return copy


def _segments(segmentation: slicer.vtkSegmentation) -> list[slicer.vtkSegment]:
    return [segmentation.GetNthSegment(i) for i in range(segmentation.GetNumberOfSegments())]


def _geometry(node: slicer.vtkMRMLSegmentationNode) -> tuple[slicer.vtkOrientedImageData, np.ndarray]:
    """The grid of the image that the segmentation was made on, else the smallest that holds all segments."""
    segmentation, converter = node.GetSegmentation(), slicer.vtkSegmentationConverter
    text = segmentation.GetConversionParameter(converter.GetReferenceImageGeometryParameterName())
    text = text or segmentation.DetermineCommonLabelmapGeometry(slicer.vtkSegmentation.EXTENT_UNION_OF_SEGMENTS, None)
    geometry = slicer.vtkOrientedImageData()
    if not text or not converter.DeserializeImageGeometry(text, geometry, False) or geometry.GetNumberOfPoints() == 0:
        raise InputError(node.GetName(), _("a segmentation without voxels"), _("at least one painted segment"))
    matrix = vtk.vtkMatrix4x4()
    geometry.GetImageToWorldMatrix(matrix)
    own = slicer.util.arrayFromVTKMatrix(matrix)
    own[:3, 3] += own[:3, :3] @ geometry.GetExtent()[::2]  # where its first voxel is
    return geometry, own


def _geometry_of(image: slicer.vtkMRMLScalarVolumeNode) -> tuple[slicer.vtkOrientedImageData, np.ndarray]:
    own = ijk_to_ras(image)
    geometry = slicer.vtkOrientedImageData()
    geometry.SetDimensions(voxels_of(image).shape[::-1])
    geometry.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(own))
    return geometry, own

"""Results -> nodes of the scene: a segmentation beside the image that it belongs to, and a table of what it measures. What the user has is never replaced."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import LabelTable

from ..nifti import read_volume
from ..translation import tr as _
from .export import ijk_to_ras, voxels_of
from .terminology import terminology

VOLUMES_TABLE = "Learn2Synth volumes"
_QUALITY_OF = "quality of"  # property of a column of qualities: the name of the column of volumes
_FILL_OPACITY = 0.5  # the image shows through

Columns = dict[str, dict[str, float]]  # image -> structure -> number


def unique_name(scene: slicer.vtkMRMLScene, name: str) -> str:
    """`name`, or 'name 2', 'name 3', ... where a node has it already."""
    numbered = (name if number == 1 else f"{name} {number}" for number in count(1))
    return next(candidate for candidate in numbered if scene.GetFirstNodeByName(candidate) is None)


def add_segmentation(
    scene: slicer.vtkMRMLScene, label_file: Path, table: LabelTable, volume: slicer.vtkMRMLScalarVolumeNode, name: str
) -> slicer.vtkMRMLSegmentationNode:
    """Add what a label map (NIfTI) of `volume` says: segments in the table's order with its names, colours and terminology, those that are there only.

    The node lies beside the volume in the subject hierarchy, under its transform and on its grid, whatever geometry the file states;
    it is shown in slices, not yet in 3D.
    Raises InputError, and adds nothing, for a file that cannot be read, has another shape than the volume, or values that the table does not know.
    """
    return show_beside(volume, segmentation_from(label_file, table, volume), scene, name)


def show_beside(
    volume: slicer.vtkMRMLScalarVolumeNode, segmentation: slicer.vtkSegmentation, scene: slicer.vtkMRMLScene, name: str
) -> slicer.vtkMRMLSegmentationNode:
    """Add a node with this segmentation, which becomes its own, where `add_segmentation` says."""
    scene.SaveStateForUndo()
    node = scene.CreateNodeByClass("vtkMRMLSegmentationNode")
    node.UnRegister(None)
    node.SetName(unique_name(scene, name))
    node.SetAndObserveSegmentation(segmentation)
    scene.AddNode(node)
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    _show_in_slices(node)
    _place_beside(node, volume)
    return node


def segmentation_from(label_file: Path | None, table: LabelTable, volume: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkSegmentation:
    """The segments alone, all in one shared image, none without a file; errors as in `add_segmentation`."""
    shape = voxels_of(volume).shape
    voxels = read_volume(label_file).voxels if label_file else np.zeros(shape, np.uint8)
    if voxels.shape != shape:
        sizes = " x ".join(map(str, voxels.shape[::-1])), " x ".join(map(str, shape[::-1]))
        raise InputError(label_file, _("{found} voxels, its image '{image}' has {allowed}").format(found=sizes[0], image=volume.GetName(), allowed=sizes[1]))
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True))
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras(volume)))
    present = _values_in(image)
    if unknown := table.unknown(present):
        raise InputError(label_file, _("labels {values} are not in table '{table}'").format(values=unknown, table=table.name))
    segmentation = slicer.vtkSegmentation()
    segmentation.SetSourceRepresentationName("Binary labelmap")
    converter = slicer.vtkSegmentationConverter
    segmentation.SetConversionParameter(converter.GetReferenceImageGeometryParameterName(), converter.SerializeImageGeometry(image))
    for label in table.foreground:
        if label.value in present:
            segment = slicer.vtkSegment()
            segment.SetName(label.name)
            segment.SetColor([channel / 255 for channel in label.colour])
            segment.SetLabelValue(label.value)
            segment.SetTerminology(terminology(label))
            segment.AddRepresentation("Binary labelmap", image)
            segmentation.AddSegment(segment, label.name)
    return segmentation


def _values_in(image: vtk.vtkImageData) -> set[int]:
    values = vtk.vtkIntArray()
    slicer.vtkSlicerSegmentationsModuleLogic.GetAllLabelValues(values, image)
    return {int(values.GetValue(i)) for i in range(values.GetNumberOfValues())} | {0}


def _show_in_slices(node: slicer.vtkMRMLSegmentationNode) -> None:
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetVisibility2DFill(True)
    display.SetVisibility2DOutline(True)
    display.SetOpacity2DFill(_FILL_OPACITY)


def _place_beside(node: slicer.vtkMRMLNode, volume: slicer.vtkMRMLNode) -> None:
    """In the volume's folder or study, right after it."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    beside = hierarchy.GetItemByDataNode(volume)
    parent = hierarchy.GetItemParent(beside) if beside else hierarchy.GetSceneItemID()
    item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(parent, node)
    hierarchy.SetItemParent(item, parent)
    following = hierarchy.GetItemByPositionUnderParent(parent, hierarchy.GetItemPositionUnderParent(beside) + 1) if beside else 0
    if following and following != item:
        hierarchy.MoveItem(item, following)


# --- table of volumes


def write_volumes_table(scene: slicer.vtkMRMLScene, volumes: Columns, quality: Columns) -> slicer.vtkMRMLTableNode:
    """The scene's table of volumes with two more columns for each image: volumes in mm3, and estimated quality from 0 to 1.

    Columns of the same image are written anew, others stay; structures that an image does not know are NaN there.
    """
    node = scene.GetFirstNode(VOLUMES_TABLE, "vtkMRMLTableNode") or scene.AddNewNodeByClass("vtkMRMLTableNode", VOLUMES_TABLE)
    written = read_volumes_table(node)
    volumes, quality = written[0] | volumes, written[1] | quality
    structures = list(dict.fromkeys(structure for column in volumes.values() for structure in column))
    unfinished = node.StartModify()
    node.RemoveAllColumns()
    names = vtk.vtkStringArray()
    names.SetName(_("structure"))
    for structure in structures:
        names.InsertNextValue(structure)
    node.AddColumn(names)
    for image, column in volumes.items():
        _add_column(node, image, [column.get(structure, np.nan) for structure in structures])
        node.SetColumnUnitLabel(image, "mm3")
    for image, column in quality.items():
        name = _("{image}: quality").format(image=image)
        _add_column(node, name, [column.get(structure, np.nan) for structure in structures])
        node.SetColumnProperty(name, _QUALITY_OF, image)
    node.EndModify(unfinished)
    return node


def _add_column(node: slicer.vtkMRMLTableNode, name: str, values: list[float]) -> None:
    numbers = numpy_to_vtk(np.array(values, dtype=np.float64), deep=True)
    numbers.SetName(name)
    node.AddColumn(numbers)


def read_volumes_table(node: slicer.vtkMRMLTableNode | None) -> tuple[Columns, Columns]:
    """Volumes in mm3 and qualities; no qualities of images that were segmented before there were any."""
    volumes: Columns = {}
    quality: Columns = {}
    if node is None:
        return volumes, quality
    table = node.GetTable()
    for index in range(1, table.GetNumberOfColumns()):
        numbers = table.GetColumn(index)
        column = {table.GetColumn(0).GetValue(row): value for row in range(table.GetNumberOfRows()) if not np.isnan(value := numbers.GetValue(row))}
        image = node.GetColumnProperty(numbers.GetName(), _QUALITY_OF)
        if image:
            quality[image] = column
        else:
            volumes[numbers.GetName()] = column
    return volumes, quality

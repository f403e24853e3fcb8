"""Label maps on disk to nodes of a real MRML scene: each segment on its voxels, the user's work kept."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from Learn2SynthPanel import scene as bridge
from Learn2SynthPanel.scene.results import VOLUMES_TABLE, read_volumes_table
from Learn2SynthPanel.scene.terminology import terminology

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.volume.files import read_image
from Testing.Panel.nodes import BRAIN, GRIDS, SHAPE, add_volume, grid, labels_for, put_under, segment_mask, turn, write_result


@pytest.mark.parametrize("name", GRIDS)
def test_a_segmentation_lies_on_its_image(scene, tmp_path: Path, name: str):
    volume = add_volume(scene, GRIDS[name])
    put_under(volume, turn(33))
    bridge.write_volume(volume, tmp_path / "image.nrrd")
    labels = labels_for(volume)
    path = write_result(tmp_path / "labels.nii.gz", labels, read_image(tmp_path / "image.nrrd").grid.affine)
    node = bridge.add_segmentation(scene, path, BRAIN, volume, "T1 model")
    segmentation, to_world = node.GetSegmentation(), vtk.vtkMatrix4x4()
    assert segmentation.GetNumberOfSegments() == 3
    for index in range(3):
        segment = segmentation.GetNthSegment(index)
        segment.GetRepresentation("Binary labelmap").GetImageToWorldMatrix(to_world)
        assert np.allclose(slicer.util.arrayFromVTKMatrix(to_world), GRIDS[name], atol=1e-12)
        assert np.array_equal(segment_mask(node, segmentation.GetNthSegmentID(index), volume), labels == segment.GetLabelValue())
    assert node.GetParentTransformNode() is volume.GetParentTransformNode()


def test_segments_are_those_of_the_table(scene, tmp_path: Path):
    volume = add_volume(scene)
    path = write_result(tmp_path / "labels.nii.gz", labels_for(volume, values=(0, 12, 3, 6)))
    node = bridge.add_segmentation(scene, path, BRAIN, volume, "T1 model")
    segmentation, display = node.GetSegmentation(), node.GetDisplayNode()
    expected = [BRAIN[value] for value in (3, 6, 12)]
    segments = [segmentation.GetNthSegment(i) for i in range(segmentation.GetNumberOfSegments())]
    assert bridge.segment_names(node) == [label.name for label in expected]
    assert [tuple(round(255 * c) for c in segment.GetColor()) for segment in segments] == [label.colour for label in expected]
    assert [segment.GetTerminology() for segment in segments] == [terminology(label) for label in expected]
    assert segmentation.GetNumberOfLayers() == 1 and not segmentation.ContainsRepresentation("Closed surface")
    assert display.GetVisibility3D() and display.GetVisibility2DFill() and display.GetVisibility2DOutline() and display.GetOpacity2DFill() == 0.5
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volume


def test_a_segmentation_stands_after_its_image_in_folder_and_under_transform(scene, tmp_path: Path):
    first, second = add_volume(scene, name="first"), add_volume(scene, name="second")
    transform = put_under(first, turn(5))
    hierarchy = scene.GetSubjectHierarchyNode()
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "Étude")
    for volume in (first, second):
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(volume), folder)
    for volume in (first, second):
        path = write_result(tmp_path / "labels.nii.gz", labels_for(volume))
        bridge.add_segmentation(scene, path, BRAIN, volume, f"{volume.GetName()} model")
    children = vtk.vtkIdList()
    hierarchy.GetItemChildren(folder, children)
    assert [hierarchy.GetItemName(children.GetId(i)) for i in range(children.GetNumberOfIds())] == ["first", "first model", "second", "second model"]
    assert scene.GetFirstNodeByName("first model").GetParentTransformNode() is transform
    assert scene.GetFirstNodeByName("second model").GetParentTransformNode() is None


def test_segmenting_again_keeps_the_users_work(scene, tmp_path: Path):
    volume = add_volume(scene)
    path = write_result(tmp_path / "labels.nii.gz", labels_for(volume))
    first = bridge.add_segmentation(scene, path, BRAIN, volume, "T1 model")
    first.GetSegmentation().GetNthSegment(0).SetName("mine")
    names = [bridge.add_segmentation(scene, path, BRAIN, volume, "T1 model").GetName() for _ in range(2)]
    assert names == ["T1 model 2", "T1 model 3"]
    assert first.GetScene() is scene and bridge.segment_names(first)[0] == "mine"


def test_two_images_of_one_name(scene, tmp_path: Path):
    for seed in range(2):
        volume = add_volume(scene, grid((1, 1, 1), (1 + seed, 1, 1)))
        path = write_result(tmp_path / f"{seed}.nii.gz", labels_for(volume, seed))
        node = bridge.add_segmentation(scene, path, BRAIN, volume, "T1 model")
        assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volume
        thalamus = node.GetSegmentation().GetSegmentIdBySegmentName("thalamus")
        assert np.array_equal(segment_mask(node, thalamus, volume), labels_for(volume, seed) == BRAIN[6].value)


def test_only_background_is_a_segmentation_without_segments(scene, tmp_path: Path):
    volume = add_volume(scene)
    node = bridge.add_segmentation(scene, write_result(tmp_path / "labels.nii.gz", labels_for(volume, values=(0,))), BRAIN, volume, "T1 model")
    assert bridge.segment_names(node) == []


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros((4, 7, 6), np.int32), "6 x 7 x 4 voxels, its image 'T1' has 6 x 7 x 5"),
        (np.full(SHAPE, 17, np.int32), r"labels \[17\] are not in table 'brain'"),
    ],
)
def test_results_that_do_not_fit_are_refused_and_add_nothing(scene, tmp_path: Path, labels: np.ndarray, words: str):
    volume = add_volume(scene)
    before = scene.GetNumberOfNodes()
    with pytest.raises(InputError, match=words):
        bridge.add_segmentation(scene, write_result(tmp_path / "labels.nii.gz", labels), BRAIN, volume, "T1 model")
    assert scene.GetNumberOfNodes() == before


def test_undo_takes_a_segmentation_back(scene, tmp_path: Path):
    scene.SetUndoOn()
    default = slicer.vtkMRMLSegmentationNode()
    default.SetUndoEnabled(True)  # as an application says that its segmentations can be undone
    scene.AddDefaultNode(default)
    volume = add_volume(scene)
    node = bridge.add_segmentation(scene, write_result(tmp_path / "labels.nii.gz", labels_for(volume)), BRAIN, volume, "T1 model")
    assert scene.GetFirstNodeByName("T1 model") is node
    scene.Undo()
    assert scene.GetFirstNodeByName("T1 model") is None and scene.GetFirstNodeByName("T1") is volume


def test_a_saved_scene_brings_the_segmentation_back(scene, tmp_path: Path):
    volume = add_volume(scene, GRIDS["oblique"])
    labels = labels_for(volume)
    bridge.add_segmentation(scene, write_result(tmp_path / "labels.nii.gz", labels), BRAIN, volume, "T1 model")
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"), {})
    scene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"), {})
    node, volume = scene.GetFirstNodeByName("T1 model"), scene.GetFirstNodeByName("T1")
    segment = node.GetSegmentation().GetSegment("thalamus")
    assert segment.GetTerminology() == terminology(BRAIN[6])
    assert np.array_equal(segment_mask(node, "thalamus", volume), labels == 6)


def test_volumes_are_kept_image_by_image(scene):
    bridge.write_volumes_table(scene, {"T1": {"thalamus": 7.5, "caudate": 3.0}, "T2": {"thalamus": 7.0, "caudate": 3.25}}, {})
    node = bridge.write_volumes_table(scene, {"T2": {"thalamus": 6.0, "lesion": 1.5}}, {})
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 1 and node.GetName() == "Learn2Synth volumes"
    table = node.GetTable()
    columns = {table.GetColumnName(i): [table.GetValue(row, i) for row in range(table.GetNumberOfRows())] for i in range(table.GetNumberOfColumns())}
    assert [value.ToString() for value in columns.pop("structure")] == ["thalamus", "caudate", "lesion"]
    assert {name: np.nan_to_num([value.ToDouble() for value in values], nan=-1).tolist() for name, values in columns.items()} == {
        "T1": [7.5, 3.0, -1],
        "T2": [6.0, -1, 1.5],
    }
    assert node.GetColumnUnitLabel("T1") == "mm3"


def test_qualities_stand_beside_the_volumes_also_in_a_saved_scene(scene, tmp_path: Path):
    volumes = {"T1": {"thalamus": 7.5, "caudate": 3.0}, "größer: quality": {"thalamus": 7.0}}
    quality = {"T1": {"thalamus": 0.75, "caudate": 0.0}, "größer: quality": {"thalamus": 0.5}}
    for image in volumes:
        node = bridge.write_volumes_table(scene, {image: volumes[image]}, {image: quality[image]})
    names = ["structure", *volumes, "T1: quality", "größer: quality: quality"]
    assert [node.GetTable().GetColumnName(i) for i in range(node.GetTable().GetNumberOfColumns())] == names
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"), {})
    scene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"), {})
    assert read_volumes_table(scene.GetFirstNodeByName(VOLUMES_TABLE)) == (volumes, quality)


def test_a_scene_from_before_there_were_qualities(scene):
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", VOLUMES_TABLE)
    for column in (vtk.vtkStringArray(), vtk.vtkDoubleArray()):
        column.SetName("T1" if column.IsNumeric() else "structure")
        column.InsertNextValue(7.5 if column.IsNumeric() else "thalamus")
        node.AddColumn(column)
    assert read_volumes_table(node) == ({"T1": {"thalamus": 7.5}}, {})
    bridge.write_volumes_table(scene, {"T2": {"thalamus": 6.0}}, {"T2": {"thalamus": 0.9}})
    assert read_volumes_table(node) == ({"T1": {"thalamus": 7.5}, "T2": {"thalamus": 6.0}}, {"T2": {"thalamus": 0.9}})
    assert read_volumes_table(None) == ({}, {})


def test_the_reader_of_the_panel_agrees_with_nibabel(scene, tmp_path: Path):
    volume = add_volume(scene)
    path = write_result(tmp_path / "labels.nii.gz", labels_for(volume, values=(0, 6)))
    node = bridge.add_segmentation(scene, path, BRAIN, volume, "T1 model")
    assert np.array_equal(segment_mask(node, "thalamus", volume), np.asarray(nibabel.load(path).dataobj).T == 6)

"""Annotations of a real MRML scene to label maps: what was painted, on the grid of its image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from Learn2SynthPanel import scene as bridge
from vtk.util.numpy_support import vtk_to_numpy

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.volume.files import read_image, read_label_map
from Testing.Panel.nodes import GRIDS, SHAPE, SHEAR, add_volume, put_under, put_under_bending, turn


def add_painted(scene, volume, masks: dict[str, np.ndarray], name: str = "Painted"):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for segment, mask in masks.items():
        node.GetSegmentation().AddEmptySegment(segment, segment)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, segment, volume)
    return node


def box(*corner: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(start, start + 3) for start in corner)] = True
    return mask


@pytest.mark.parametrize("moved", [np.eye(4), turn(15)], ids=["plain", "turned"])
@pytest.mark.parametrize("name", GRIDS)
def test_what_was_painted_is_written_on_the_grid_of_its_image(scene, tmp_path: Path, name: str, moved: np.ndarray):
    volume = add_volume(scene, GRIDS[name])
    node = add_painted(scene, volume, {"Thalamus": box(0, 0, 0), "cyst": box(2, 4, 3)})
    node.SetAndObserveTransformNodeID(put_under(volume, moved).GetID())
    bridge.write_volume(volume, tmp_path / "image.nrrd")
    assert bridge.write_labels(node, volume, tmp_path / "labels.nrrd", {"Thalamus": 6, "cyst": 10000}) == ""
    labels, image = read_label_map(tmp_path / "labels.nrrd"), read_image(tmp_path / "image.nrrd")
    assert labels.grid.matches(image.grid, 1e-9)
    assert np.array_equal(labels.data.numpy().T, 6 * box(0, 0, 0) + 10000 * box(2, 4, 3))
    assert bridge.write_labels(node, None, tmp_path / "own.nrrd", {"Thalamus": 6, "cyst": 10000}) == ""
    own = read_label_map(tmp_path / "own.nrrd")
    assert own.grid.matches(image.grid, 1e-9) and np.array_equal(own.data, labels.data)


def test_of_overlapping_segments_the_later_wins_and_it_is_said(scene, tmp_path: Path):
    volume = add_volume(scene)
    node = add_painted(scene, volume, {"below": box(0, 0, 0), "above": np.zeros(SHAPE, bool), "apart": box(2, 4, 3)})
    # Written without taking voxels from the segments below it, as a segment editor that allows overlap does.
    image = slicer.vtkSlicerSegmentationsModuleLogic.CreateOrientedImageDataFromVolumeNode(volume)
    vtk_to_numpy(image.GetPointData().GetScalars())[:] = box(1, 1, 1).ravel()
    node.GetSegmentation().SeparateSegmentLabelmap("above")
    slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(image, node, "above")
    note = bridge.write_labels(node, volume, tmp_path / "labels.nrrd", {"below": 1, "above": 2, "apart": 3})
    assert "above" in note and "apart" not in note
    expected = np.where(box(2, 4, 3), 3, np.where(box(1, 1, 1), 2, box(0, 0, 0)))
    assert np.array_equal(read_label_map(tmp_path / "labels.nrrd").data.numpy().T, expected)


def test_segments_without_a_number_are_left_out(scene, tmp_path: Path):
    volume = add_volume(scene)
    node = add_painted(scene, volume, {"Thalamus": box(0, 0, 0), "scratch": box(1, 1, 1)})
    bridge.write_labels(node, volume, tmp_path / "labels.nrrd", {"Thalamus": 6})
    assert set(np.unique(read_label_map(tmp_path / "labels.nrrd").data)) == {0, 6}


def test_segments_painted_on_another_grid_under_another_transform(scene, tmp_path: Path):
    fine, coarse = add_volume(scene, np.diag([1.0, 1, 1, 1]), shape=(12, 12, 12)), add_volume(scene, np.diag([2.0, 2, 2, 1]), shape=(6, 6, 6))
    mask = np.zeros((6, 6, 6), bool)
    mask[1:3, 2:5, 0:4] = True
    node = add_painted(scene, coarse, {"cyst": mask})
    shift = np.eye(4)
    shift[:3, 3] = (2, -4, 2)  # one, two and one coarse voxels
    put_under(node, shift)
    bridge.write_labels(node, coarse, tmp_path / "coarse.nrrd", {"cyst": 1})
    expected = np.roll(mask, (1, -2, 1), (0, 1, 2))
    assert np.array_equal(read_label_map(tmp_path / "coarse.nrrd").data.numpy().T, expected)
    bridge.write_labels(node, fine, tmp_path / "fine.nrrd", {"cyst": 1})
    found = read_label_map(tmp_path / "fine.nrrd").data.numpy().T
    assert np.array_equal(found[::2, ::2, ::2], expected) and found.sum() == pytest.approx(8 * expected.sum(), rel=0.3)


def test_a_segmentation_of_surfaces_is_turned_into_voxels_and_left_alone(scene, tmp_path: Path):
    volume = add_volume(scene, np.eye(4), shape=(20, 20, 20))
    ball = vtk.vtkSphereSource()
    ball.SetCenter(10, 10, 10)
    ball.SetRadius(6)
    ball.SetThetaResolution(40)
    ball.SetPhiResolution(40)
    ball.Update()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Surfaces")
    node.SetSourceRepresentationToClosedSurface()
    node.AddSegmentFromClosedSurfaceRepresentation(ball.GetOutput(), "ball", (1, 0, 0))
    bridge.write_labels(node, volume, tmp_path / "labels.nrrd", {"ball": 5})
    assert read_label_map(tmp_path / "labels.nrrd").data.eq(5).sum() == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.05)
    assert not node.GetSegmentation().ContainsRepresentation("Binary labelmap")


def test_segments_that_were_made_on_no_image_lie_where_they_are(scene, tmp_path: Path):
    image = slicer.vtkOrientedImageData()
    image.SetExtent(4, 6, -2, 1, 10, 11)  # voxels begin away from 0
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    image.GetPointData().GetScalars().Fill(1)
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(GRIDS["oblique"]))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Loaded")
    node.AddSegmentFromBinaryLabelmapRepresentation(image, "cyst")
    bridge.write_labels(node, None, tmp_path / "labels.nrrd", {"cyst": 5})
    labels = read_label_map(tmp_path / "labels.nrrd")
    assert labels.data.eq(5).sum() == 3 * 4 * 2
    first, last = np.argwhere(labels.data.numpy() == 5)[[0, -1]]
    assert np.allclose(labels.grid.affine @ [*first, 1], GRIDS["oblique"] @ [4, -2, 10, 1], atol=1e-6)
    assert np.allclose(labels.grid.affine @ [*last, 1], GRIDS["oblique"] @ [6, 1, 11, 1], atol=1e-6)


def test_a_segmentation_without_voxels_is_refused(scene, tmp_path: Path):
    with pytest.raises(InputError, match="Empty: a segmentation without voxels"):
        bridge.write_labels(scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Empty"), None, tmp_path / "labels.nrrd", {})


def test_a_label_map_keeps_its_values_and_its_place_by_the_image(scene, tmp_path: Path):
    volume = add_volume(scene, GRIDS["oblique"])
    labels = add_volume(scene, GRIDS["LPS"], "Labels", kind="vtkMRMLLabelMapVolumeNode")
    put_under(labels, turn(-20))
    bridge.write_labels(labels, volume, tmp_path / "labels.nrrd", {})
    written = read_label_map(tmp_path / "labels.nrrd")
    assert np.array_equal(written.data.numpy().T, slicer.util.arrayFromVolume(labels))
    assert np.allclose(written.grid.affine, turn(-20) @ GRIDS["LPS"], atol=1e-9)
    # A file of the image under a shear lies without it; the labels must follow the image.
    put_under(volume, SHEAR)
    assert "transform" in bridge.write_labels(labels, volume, tmp_path / "labels.nrrd", {})
    assert np.allclose(read_label_map(tmp_path / "labels.nrrd").grid.affine, np.linalg.inv(SHEAR) @ turn(-20) @ GRIDS["LPS"], atol=1e-9)


def test_labels_and_image_under_one_bending_transform_stay_together(scene, tmp_path: Path):
    volume = add_volume(scene, GRIDS["oblique"])
    labels = add_volume(scene, GRIDS["oblique"], "Labels", kind="vtkMRMLLabelMapVolumeNode")
    labels.SetAndObserveTransformNodeID(put_under_bending(volume).GetID())
    bridge.write_volume(volume, tmp_path / "image.nrrd")
    assert bridge.write_labels(labels, volume, tmp_path / "labels.nrrd", {})
    assert read_label_map(tmp_path / "labels.nrrd").grid.matches(read_image(tmp_path / "image.nrrd").grid, 1e-9)
    labels.SetAndObserveTransformNodeID(None)
    with pytest.raises(InputError, match="Labels: under another transform than its image 'T1'.*harden"):
        bridge.write_labels(labels, volume, tmp_path / "labels.nrrd", {})


def test_names_in_a_label_map(scene):
    labels = add_volume(scene, name="Labels", kind="vtkMRMLLabelMapVolumeNode")
    slicer.util.updateVolumeFromArray(labels, np.array([[[0, 3], [17, 3]]], np.int16))
    colours = scene.AddNewNodeByClass("vtkMRMLColorTableNode", "Colours")
    colours.SetTypeToUser()
    colours.SetNumberOfColors(5)
    colours.SetColor(3, "Left-Thalamus", 1, 0, 0, 1)
    labels.GetDisplayNode().SetAndObserveColorNodeID(colours.GetID())
    assert bridge.label_names(labels) == {3: "Left-Thalamus", 17: "17"}
    assert bridge.segment_names(labels) == ["Left-Thalamus", "17"]


@pytest.mark.parametrize("name", ["Left-Thalamus", "left thalamus", "Thalamus left", "LEFT_THALAMUS", "thalamusLeft"])
def test_any_spelling_of_a_known_name(name: str):
    assert bridge.values_for([name], load_table("brain-sided")) == {name: 11}


def test_unknown_names_get_new_values_in_a_stable_order():
    table = load_table("brain")
    expected = {"Zyste": 10001, "thalamus": 6, "aneurysm": 10000, "Aneurysm": 10000, "Brainstem": 12}
    assert bridge.values_for(expected, table) == bridge.values_for(reversed(expected), table) == expected

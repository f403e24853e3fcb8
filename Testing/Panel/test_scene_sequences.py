"""Films: each frame out, and the segmentations back in step with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer
import slicer.util
from Learn2SynthPanel import scene as bridge
from Learn2SynthPanel.scene.terminology import terminology

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.volume.files import read_image
from Testing.Panel.nodes import BRAIN, GRIDS, SHAPE, labels_for, put_under, put_under_bending, segment_mask, turn, write_result


def add_sequence(scene, frames: int = 3, browse: bool = True):
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Film")
    sequence.SetIndexName("echo")
    sequence.SetIndexUnit("ms")
    for index in range(frames):
        frame = slicer.vtkMRMLScalarVolumeNode()
        frame.SetName("Film")
        frame.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(GRIDS["oblique"]))
        slicer.util.updateVolumeFromArray(frame, np.full(SHAPE, index, np.int16) + np.arange(SHAPE[2], dtype=np.int16))
        sequence.SetDataNodeAtValue(frame, f"{index * 2.5:g}")
    if browse:
        browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "Browser")
        browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    return sequence


def segment_film(scene, sequence, folder: Path) -> tuple[list[np.ndarray], slicer.vtkMRMLSegmentationNode]:
    labels = [labels_for(sequence.GetNthDataNode(index), index) for index in range(sequence.GetNumberOfDataNodes())]
    files = [write_result(folder / f"{index}.nii.gz", each) for index, each in enumerate(labels)]
    *frames, shown = bridge.add_segmentation_sequence(scene, files, BRAIN, sequence, "Film model")
    assert frames == [None] * len(files)  # one at a time
    return labels, shown


def test_each_frame_is_written_where_the_film_is_seen(scene, tmp_path: Path):
    sequence = add_sequence(scene)
    put_under(scene.GetFirstNodeByName("Browser").GetProxyNode(sequence), turn(12))
    for index, (path, note) in enumerate(bridge.write_sequence(sequence, tmp_path / "frames")):
        assert path.name == f"frames_000{index}.nrrd" and note == "" and len(list(path.parent.iterdir())) == index + 1
        image = read_image(path)
        assert np.array_equal(image.data.numpy().T, slicer.util.arrayFromVolume(sequence.GetNthDataNode(index)))
        assert np.allclose(image.grid.affine, turn(12) @ GRIDS["oblique"], atol=1e-9)


def test_a_bending_transform_over_a_film_is_said_once(scene, tmp_path: Path):
    sequence = add_sequence(scene)
    put_under_bending(scene.GetFirstNodeByName("Browser").GetProxyNode(sequence))
    assert " ".join(note for _path, note in bridge.write_sequence(sequence, tmp_path)).count("transform bends") == 1


@pytest.mark.parametrize("browse", [True, False], ids=["in its browser", "in a new browser"])
def test_segmentations_of_a_film_run_with_it(scene, tmp_path: Path, browse: bool):
    sequence = add_sequence(scene, browse=browse)
    selected = 2 if browse else 0
    if browse:
        scene.GetFirstNodeByName("Browser").SetSelectedItemNumber(selected)
    labels, shown = segment_film(scene, sequence, tmp_path)
    assert scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode") == 1
    browser = scene.GetNthNodeByClass(0, "vtkMRMLSequenceBrowserNode")
    results = browser.GetSequenceNode(shown)
    assert [results.GetNthIndexValue(i) for i in range(3)] == ["0", "2.5", "5"]
    assert (results.GetIndexName(), results.GetIndexUnit(), results.GetName()) == ("echo", "ms", "Film model sequence")
    volume = browser.GetProxyNode(sequence)
    assert np.array_equal(segment_mask(shown, "thalamus", volume), labels[selected] == 6) and shown.GetName() == "Film model"
    for index in (2, 0, 1):
        browser.SetSelectedItemNumber(index)
        assert np.array_equal(slicer.util.arrayFromVolume(volume), slicer.util.arrayFromVolume(sequence.GetNthDataNode(index)))
        assert np.array_equal(segment_mask(shown, "thalamus", volume), labels[index] == 6)
        assert shown.GetSegmentation().GetSegment("thalamus").GetTerminology() == terminology(BRAIN[6])
        assert shown.GetSegmentation().GetConversionParameter("Reference image geometry")


def test_a_film_segmented_twice_has_two_segmentations(scene, tmp_path: Path):
    sequence = add_sequence(scene)
    sequence.SetIndexTypeFromString("text")
    transform = put_under(scene.GetFirstNodeByName("Browser").GetProxyNode(sequence), turn(12))
    (_, first), (_, second) = segment_film(scene, sequence, tmp_path), segment_film(scene, sequence, tmp_path)
    assert first.GetScene() is second.GetScene() is scene and first is not second
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 2
    assert first.GetParentTransformNode() is second.GetParentTransformNode() is transform
    assert scene.GetFirstNodeByName("Browser").GetSequenceNode(first).GetIndexTypeAsString() == "text"


def test_a_film_that_is_shown_by_no_node_is_shown_again(scene, tmp_path: Path):
    sequence = add_sequence(scene)
    browser = scene.GetFirstNodeByName("Browser")
    browser.SetPlayback(sequence, False)
    scene.RemoveNode(browser.GetProxyNode(sequence))
    assert browser.GetProxyNode(sequence) is None
    _, shown = segment_film(scene, sequence, tmp_path)
    assert browser.GetProxyNode(sequence).IsA("vtkMRMLScalarVolumeNode") and browser.GetSequenceNode(shown).GetNumberOfDataNodes() == 3


def test_a_sequence_of_other_things_is_refused(scene, tmp_path: Path):
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Poses")
    sequence.SetDataNodeAtValue(slicer.vtkMRMLLinearTransformNode(), "0")
    with pytest.raises(InputError, match="Poses: a sequence without images"):
        next(bridge.write_sequence(sequence, tmp_path))

"""Sequences of images: each frame to a file, and the results back as a sequence of segmentations that runs with the images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import slicer

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import LabelTable

from ..translation import tr as _
from .export import write_under
from .results import segmentation_from, show_beside, unique_name


def browser_of(sequence: slicer.vtkMRMLSequenceNode) -> slicer.vtkMRMLSequenceBrowserNode | None:
    """The first browser that plays `sequence`."""
    scene, kind = sequence.GetScene(), "vtkMRMLSequenceBrowserNode"
    browsers = (scene.GetNthNodeByClass(index, kind) for index in range(scene.GetNumberOfNodesByClass(kind)))
    return next((browser for browser in browsers if browser.IsSynchronizedSequenceNode(sequence, True)), None)


def write_sequence(sequence: slicer.vtkMRMLSequenceNode, folder: Path) -> Iterator[tuple[Path, str]]:
    """Write a frame at each step, as `write_volume` does, under the transform of the node that shows the sequence: its file, and a note, which is given once.

    The files' names begin with that of the folder, so that those of several sequences differ.
    Raises InputError for a sequence of anything but images.
    """
    frames = _frames(sequence)
    browser = browser_of(sequence)
    shown = browser.GetProxyNode(sequence) if browser else None
    transform = shown.GetParentTransformNode() if shown else None
    noted = False
    for index, frame in enumerate(frames):
        path = folder / f"{folder.name}_{index:04d}.nrrd"
        note = write_under(frame, transform, path)
        yield path, "" if noted else note
        noted = noted or bool(note)


def _frames(sequence: slicer.vtkMRMLSequenceNode) -> list[slicer.vtkMRMLScalarVolumeNode]:
    frames = [sequence.GetNthDataNode(index) for index in range(sequence.GetNumberOfDataNodes())]
    if not frames or not all(frame.IsA("vtkMRMLScalarVolumeNode") for frame in frames):
        raise InputError(sequence.GetName(), _("a sequence without images"), _("a sequence of 3D images"))
    return frames


def add_segmentation_sequence(
    scene: slicer.vtkMRMLScene, label_files: Sequence[Path | None], table: LabelTable, sequence: slicer.vtkMRMLSequenceNode, name: str
) -> Iterator[slicer.vtkMRMLSegmentationNode | None]:
    """Add a sequence named `name` of what the label maps of all frames say, with the images' index, to the browser that plays the images, else to a new one.

    label_files: None for a frame in which there is nothing. A frame is read at each step, which gives None; the last step adds all and gives the segmentation
    node that shows it, which lies beside the node that shows the images. Errors as in `add_segmentation`.
    """
    frames = _frames(sequence)
    found = []
    for file, frame in zip(label_files, frames, strict=True):
        found.append(segmentation_from(file, table, frame))
        yield None
    browser = browser_of(sequence) or _new_browser(scene, sequence)
    images = browser.GetProxyNode(sequence) or browser.AddProxyNode(frames[0], sequence)
    shown = show_beside(images, slicer.vtkSegmentation(), scene, name)
    results = _new_sequence_like(scene, sequence, shown.GetName())
    empty = slicer.vtkMRMLSegmentationNode()
    empty.SetName(shown.GetName())
    for index, segmentation in enumerate(found):
        # The sequence copies a node that it gets, and that takes long; so it gets an empty one, and then the segments.
        results.SetDataNodeAtValue(empty, sequence.GetNthIndexValue(index)).SetAndObserveSegmentation(segmentation)
    browser.AddProxyNode(shown, results, False)
    yield shown


def _new_browser(scene: slicer.vtkMRMLScene, sequence: slicer.vtkMRMLSequenceNode) -> slicer.vtkMRMLSequenceBrowserNode:
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", unique_name(scene, f"{sequence.GetName()} browser"))
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    return browser


def _new_sequence_like(scene: slicer.vtkMRMLScene, sequence: slicer.vtkMRMLSequenceNode, name: str) -> slicer.vtkMRMLSequenceNode:
    results = scene.AddNewNodeByClass("vtkMRMLSequenceNode", unique_name(scene, f"{name} sequence"))
    results.SetIndexName(sequence.GetIndexName())
    results.SetIndexUnit(sequence.GetIndexUnit())
    results.SetIndexType(sequence.GetIndexType())
    return results

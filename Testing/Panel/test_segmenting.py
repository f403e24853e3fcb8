"""Segmenting images of the scene in the background, whatever the user, the scene and the process do meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from Learn2SynthPanel.jobs.segmenting import Segmenting
from Learn2SynthPanel.jobs.training import Training
from Learn2SynthPanel.recipe import Recipe
from Learn2SynthPanel.scene import segment_names
from Learn2SynthPanel.scene.results import VOLUMES_TABLE, read_volumes_table
from Learn2SynthPanel.scene.sequences import browser_of
from Learn2SynthPanel.self_test import add_head
from Learn2SynthPanel.settings import Scan, Settings, Source

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.model import Model
from Learn2SynthLib.run import Run
from Testing.Panel.nodes import add_volume, put_under, segment_mask, turn
from Testing.Panel.processes import all_gone, end_all, fake_library, launcher, started, wait_until

BRAIN = load_table("brain")
CARD = {"schema": 1, "ndim": 2, "network": {}, "labels": BRAIN.to_json(), "spacing_mm": [2, 2, 2], "orientation": "RAS", "shape": [16, 16], "intensity": {}}
# A fake segmentation: structure k + 1 everywhere in image k.
SEGMENT = """
import nibabel, numpy
images = sys.argv[3:sys.argv.index('--output')]
results = Path(sys.argv[sys.argv.index('--output') + 1])
results.mkdir()
shape = (6, 7, 5)
def segment(k):
    tell('segmenting', image=images[k], done=1, count=4)
    path = results / f'{k}.nii.gz'
    nibabel.save(nibabel.Nifti1Image(numpy.full(shape, k + 1, numpy.int16), numpy.eye(4)), path)
    tell('segmented', image=images[k], output=str(path), notes=[f'note {k}'], volumes_mm3={'thalamus': k + 0.5}, quality={'thalamus': 0.9 - k / 2})
"""
ALL = f"{SEGMENT}\nfor k in range(len(images)):\n    segment(k)"
FIRST_THEN_WAIT = f"{SEGMENT}\nsegment(0)\nwait_for('go')\nfor k in range(1, len(images)):\n    segment(k)"


@pytest.fixture(autouse=True)
def nobody_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    end_all()


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "Modelle, größer" / "mein Modell.l2s"
    Model(CARD, b"weights").write(path)
    return str(path)


@pytest.fixture
def segment(scene: Any, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Segmenting]:
    """Begins to segment nodes with a command that does `code`."""

    def segment(code: str, *nodes: Any) -> Segmenting:
        fake_library(tmp_path, monkeypatch, code)
        return Segmenting(scene, nodes, model, "cpu", lambda: launcher(tmp_path))

    return segment


def poll_until(work: Segmenting, condition: Callable[[], object]) -> None:
    def reached() -> bool:
        work.poll()
        return bool(condition())

    wait_until(reached)


def finish(work: Segmenting) -> None:
    poll_until(work, lambda: not work.active)
    assert not work.job.folder.exists() and started() == []


def columns(scene: Any) -> list[str]:
    return list(measured(scene)[0])


def measured(scene: Any) -> Any:
    """Volumes and qualities in the scene's table, by column."""
    return read_volumes_table(scene.GetFirstNode(VOLUMES_TABLE, "vtkMRMLTableNode"))


# --- what works


def test_two_volumes_at_once(scene: Any, segment: Callable[..., Segmenting]) -> None:
    volumes = [add_volume(scene, name="T1"), add_volume(scene, name="größer")]
    work = segment(ALL, *volumes)
    assert work.active and work.fraction is None and "Writing" in work.status
    finish(work)
    assert (work.state, work.message, work.notes) == ("done", "", ["note 0", "note 1"]) and work.fraction == 1
    assert [node.GetName() for node in work.results] == ["T1 mein Modell", "größer mein Modell"] == columns(scene)
    assert measured(scene)[1] == work.quality == {"T1 mein Modell": {"thalamus": 0.9}, "größer mein Modell": {"thalamus": 0.4}}
    for k, (node, volume) in enumerate(zip(work.results, volumes)):
        assert segment_names(node) == [BRAIN[k + 1].name] and segment_mask(node, BRAIN[k + 1].name, volume).all()
        assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volume
    assert set(work.seconds) == {"exporting", "running", "importing"} and min(work.seconds.values()) > 0


def test_it_says_how_far_it_is(scene: Any, segment: Callable[..., Segmenting]) -> None:
    work = segment(f"{SEGMENT}\nwait_for('go')\ntell('segmenting', image=images[0], done=1, count=4)\ntime.sleep(600)", add_volume(scene), add_volume(scene))
    poll_until(work, lambda: work.state == "running")
    assert work.fraction is None and "Starting the network" in work.status
    (work.job.folder / "go").touch()
    poll_until(work, lambda: work.fraction is not None)
    assert work.fraction == 0.125 and work.status == "Segmenting image 1 of 2 ..."
    work.cancel()


def test_each_result_comes_as_soon_as_it_is_there(scene: Any, segment: Callable[..., Segmenting]) -> None:
    work = segment(FIRST_THEN_WAIT, add_volume(scene, name="a"), add_volume(scene, name="b"))
    poll_until(work, lambda: work.results)
    assert work.active and work.fraction == 0.5 and work.status == "Segmenting image 2 of 2 ..." and columns(scene) == ["a mein Modell"]
    (work.job.folder / "go").touch()
    finish(work)
    assert work.state == "done" and len(work.results) == 2


def test_names_stay_unique(scene: Any, segment: Callable[..., Segmenting]) -> None:
    work = segment(ALL, add_volume(scene, name="T1"), add_volume(scene, name="T1"))
    finish(work)
    assert [node.GetName() for node in work.results] == ["T1 mein Modell", "T1 mein Modell 2"] == columns(scene)


def test_a_sequence_is_one_result_with_a_column_for_each_frame(scene: Any, segment: Callable[..., Segmenting]) -> None:
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Film")
    frame = add_volume(scene)
    for k in range(2):
        sequence.SetDataNodeAtValue(frame, str(k))
    work = segment(ALL, sequence, frame)
    for count in (1, 2):  # a frame at a time
        work.poll()
        assert len(work.items[0].images) == count
    finish(work)
    assert work.state == "done", work.message
    assert columns(scene) == ["Film mein Modell 1", "Film mein Modell 2", "T1 mein Modell"] == list(measured(scene)[1]) and len(work.results) == 2


def test_a_frame_that_is_refused_costs_no_other_its_result(scene: Any, segment: Callable[..., Segmenting]) -> None:
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Film")
    frame = add_volume(scene)
    for k in range(3):
        sequence.SetDataNodeAtValue(frame, str(k))
    refusing = "segment(0)\ntell('refused', image=images[1], message='NaN')\nsegment(2)"
    work = segment(f"{SEGMENT}\n{refusing}\nsys.exit(f'learn2synth: 1 of 3: {{images[1]}}: NaN')", sequence)
    finish(work)
    assert (work.state, work.message) == ("failed", "1 of 3: 'Film 2': NaN") and columns(scene) == ["Film mein Modell 1", "Film mein Modell 3"]
    (shown,) = work.results
    results = browser_of(sequence).GetSequenceNode(shown)
    segments = [results.GetNthDataNode(k).GetSegmentation().GetNumberOfSegments() for k in range(3)]
    assert segments[1] == 0 and segments[0] == segments[2] == 1


# --- what happens meanwhile


def test_a_volume_that_is_deleted_meanwhile_is_left_out(scene: Any, segment: Callable[..., Segmenting]) -> None:
    volumes = [add_volume(scene, name=name) for name in "abc"]
    work = segment(FIRST_THEN_WAIT, *volumes)
    poll_until(work, lambda: work.results)
    scene.RemoveNode(volumes[1])
    (work.job.folder / "go").touch()
    finish(work)
    assert work.state == "done" and [node.GetName() for node in work.results] == ["a mein Modell", "c mein Modell"]
    assert "'b' was removed meanwhile; its segmentation is left out." in work.notes


def test_a_volume_that_is_deleted_before_it_was_written_is_told(scene: Any, segment: Callable[..., Segmenting]) -> None:
    volumes = [add_volume(scene, name=name) for name in "ab"]
    work = segment(ALL, *volumes)
    work.poll()
    scene.RemoveNode(volumes[1])
    finish(work)
    assert (work.state, work.message) == ("failed", "b: was removed from the scene; segment the others again")


@pytest.mark.parametrize("singletons", [0, 1])
def test_a_scene_that_is_cleared_gets_nothing_of_the_old_one(scene: Any, segment: Callable[..., Segmenting], singletons: int) -> None:
    volumes = [add_volume(scene, name=name) for name in "ab"]
    ids = [volume.GetID() for volume in volumes]
    work = segment(FIRST_THEN_WAIT, *volumes)
    poll_until(work, lambda: work.results)
    scene.Clear(singletons)
    assert [add_volume(scene, name="another").GetID() for _ in ids] == ids
    (work.job.folder / "go").touch()
    finish(work)
    assert work.state == "done" and scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    assert "'b' was removed meanwhile; its segmentation is left out." in work.notes


def test_cancel_keeps_what_is_finished_and_ends_the_rest(scene: Any, segment: Callable[..., Segmenting]) -> None:
    work = segment(f"be_deaf()\n{FIRST_THEN_WAIT}", add_volume(scene, name="a"), add_volume(scene, name="b"))
    poll_until(work, lambda: work.results)
    tree = started()
    assert len(tree) == 2
    work.cancel()
    all_gone(tree)
    assert work.state == "cancelled" and not work.active and not work.job.folder.exists()
    assert scene.GetFirstNodeByName("a mein Modell") is work.results[0]
    work.poll()
    work.cancel()
    assert work.state == "cancelled"


def test_cancel_before_it_began(scene: Any, segment: Callable[..., Segmenting]) -> None:
    work = segment(ALL, add_volume(scene))
    work.cancel()
    finish(work)
    assert work.state == "cancelled" and work.results == []


# --- what goes wrong


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("print(f'learn2synth: {images[1]}: größer als erlaubt', file=sys.stderr)\nsys.exit(2)", "'b': größer als erlaubt"),
        ("raise RuntimeError('CUDA out of memory')", "RuntimeError: CUDA out of memory"),
        ("os.kill(os.getpid(), 9)", "it was ended from outside: somebody killed it, memory ran out, or it crashed"),
        ("sys.exit(0)", "it ended with exit code 0; it said nothing"),
    ],
)
def test_the_real_reason_is_told_and_what_was_finished_stays(scene: Any, segment: Callable[..., Segmenting], ending: str, reason: str) -> None:
    work = segment(f"{SEGMENT}\nsegment(0)\n{ending}", add_volume(scene, name="a"), add_volume(scene, name="b"))
    finish(work)
    assert (work.state, work.message) == ("failed", reason) and [node.GetName() for node in work.results] == ["a mein Modell"]


def test_an_image_that_is_refused_costs_no_other_its_result(scene: Any, segment: Callable[..., Segmenting]) -> None:
    refusing = "segment(0)\ntell('refused', image=images[1], message='NaN')\nsegment(2)\nwait_for('go')"
    work = segment(f"{SEGMENT}\n{refusing}\nsys.exit(f'learn2synth: 1 of 3: {{images[1]}}: NaN')", *(add_volume(scene, name=name) for name in "abc"))
    poll_until(work, lambda: len(work.results) == 2)
    assert work.fraction == 1
    (work.job.folder / "go").touch()
    finish(work)
    assert (work.state, work.message) == ("failed", "1 of 3: 'b': NaN") and [node.GetName() for node in work.results] == ["a mein Modell", "c mein Modell"]


def test_garbage_on_both_channels_harms_nothing(scene: Any, segment: Callable[..., Segmenting]) -> None:
    noise = b'\xff\xfe\x00\xc3\n{"event": "\xff"}\n{"event": "invented"}\n[]\n'
    work = segment(f"for file in (sys.stdout, sys.stderr):\n    file.buffer.write({noise!r})\n    file.flush()\n{ALL}", add_volume(scene))
    finish(work)
    assert work.state == "done" and len(work.results) == 1


def test_a_result_that_does_not_fit_is_told(scene: Any, segment: Callable[..., Segmenting]) -> None:
    work = segment(ALL.replace("(6, 7, 5)", "(6, 7, 4)"), add_volume(scene))
    finish(work)
    assert work.state == "failed" and "6 x 7 x 4 voxels, its image 'T1' has 6 x 7 x 5" in work.message


def test_a_node_that_is_no_image_is_told(scene: Any, segment: Callable[..., Segmenting]) -> None:
    work = segment(ALL, scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
    finish(work)
    assert work.state == "failed" and work.message.startswith("empty: an image without voxels")


def test_a_process_that_cannot_be_started_is_told(scene: Any, model: str) -> None:
    def missing() -> None:
        raise InputError("PythonSlicer", "is not on the path")

    work = Segmenting(scene, [add_volume(scene)], model, "cpu", missing)  # type: ignore[arg-type]
    finish(work)
    assert (work.state, work.message) == ("failed", "PythonSlicer: is not on the path")


@pytest.mark.parametrize("model", ["", "no such model", __file__])
def test_a_model_that_cannot_be_used_is_refused_at_once(scene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(InputError, match="no model is chosen|there is no such model|is not a model bundle"):
        Segmenting(scene, [add_volume(scene)], model, "cpu", lambda: launcher(tmp_path))
    assert list(tmp_path.iterdir()) == []


# --- the real thing


def test_nodes_train_a_model_that_segments_them(scene: Any, tmp_path: Path) -> None:
    image, labels = add_head(scene)
    put_under(image, turn(20, (0, 0, 1)))
    labels.SetAndObserveTransformNodeID(image.GetTransformNodeID())
    other = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    other.Copy(image)
    other.SetName("größer")
    settings = Settings(scans=[Scan(Source(node=image.GetID()), Source(node=labels.GetID()))], target="brain-coarse", steps=2)
    settings.assignments = "network.features=[3,4] grid.shape=[16,16] batch_size=2"
    run = Run(tmp_path / "Läufe, viele" / "a b")
    training = Training(run, lambda: launcher(tmp_path))
    training.start(Recipe(settings, scene, run.inputs).arguments(), keep=False)
    told: list[dict[str, Any]] = []

    def ended() -> bool:
        told.extend(training.poll())
        return not training.started_here

    wait_until(ended)
    assert told[-1]["event"] == "finished", told[-1]

    work = Segmenting(scene, [image, other], str(run.folder), "cpu", lambda: launcher(tmp_path))
    finish(work)
    assert work.state == "done", work.message
    for node, volume in zip(work.results, (image, other)):
        assert node.GetParentTransformNode() is volume.GetParentTransformNode()
        segmentation = node.GetSegmentation()
        found = [segment_mask(node, segmentation.GetNthSegmentID(k), volume) for k in range(segmentation.GetNumberOfSegments())]
        assert all(mask.any() for mask in found) and np.sum(found, axis=0).max() <= 1

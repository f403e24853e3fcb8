"""Scans that are annotated in part are completed before a training, once; what the shipped model says never becomes a target."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from Learn2SynthLib import completing
from Learn2SynthLib.__main__ import main
from Learn2SynthLib.config import RunConfig
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.learning.data import preparation_for
from Learn2SynthLib.model import Model
from Learn2SynthLib.run import Run
from Learn2SynthLib.volume.cohort import Cohort, Subject, file_digest
from Learn2SynthLib.volume.files import read_label_map, write_label_map
from Learn2SynthLib.volume.image import Image, LabelMap
from Learn2SynthLib.volume.relabel import relabel

TINY = ["network.features=[3,4]", "grid.shape=[16,16]", "batch_size=2", "learn2synth.start=0", "learn2synth.duration=1"]
THALAMI = (10, 49)


@pytest.fixture
def scan(heads: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A head, and a label map of its thalami alone."""
    labels = read_label_map(heads / "sub-0_dseg.nii.gz")
    path = tmp_path / "thalami.nii.gz"
    write_label_map(LabelMap(torch.where(torch.isin(labels.data, torch.tensor(THALAMI)), labels.data, 0), labels.grid), path)
    return heads / "sub-0_T1w.nii.gz", path


class Knowing:
    """In the place of the shipped model: it knows the head's labels, and how sure it is. asked: how many images it was given."""

    def __init__(self, heads: Path, quality: float) -> None:
        self.labels, self.quality, self.asked = read_label_map(heads / "sub-0_dseg.nii.gz"), quality, 0

    def segment(self, image: Image, progress: Callable[[int, int], None]) -> SimpleNamespace:
        self.asked += 1
        progress(1, 1)
        mapping = load_table("freesurfer").mapping_to(load_table("brain-sided"))
        labels = LabelMap(relabel(self.labels.data, mapping), image.grid, "brain-sided")
        return SimpleNamespace(labels=labels, table=load_table("brain-sided"), quality={"left thalamus": self.quality})


@pytest.fixture
def model(heads: Path, monkeypatch: pytest.MonkeyPatch) -> Knowing:
    knowing = Knowing(heads, 0.9)
    monkeypatch.setattr(completing.Segmenter, "load", lambda name, device: knowing)
    return knowing


def trained(run: Path, heads: Path, scan: tuple[Path, Path], *more: str) -> int:
    maps = [str(heads / f"sub-{k}_dseg.nii.gz") for k in (1, 2)]
    return main(["train", str(run), "--labels", *maps, "--real", *map(str, scan), "--device", "cpu", "--steps", "2", "--set", *TINY, *more])


def test_what_has_no_label_is_segmented_once_and_is_no_target(
    heads: Path, scan: tuple[Path, Path], model: Knowing, tiny: Callable[..., RunConfig], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained(tmp_path / "run", heads, scan) == 0 and model.asked == 1
    assert "1 of 1 real scans are annotated in part" in capsys.readouterr().err
    run = Run(tmp_path / "run")
    [subject] = Cohort.from_json(run.cohort(), run.folder).of("real")
    assert subject.anatomy is not None and subject.anatomy.parent == run.anatomy
    assert run.cohort()["subjects"][2]["anatomy"]["sha256"] == file_digest(subject.anatomy)

    preparation = preparation_for(tiny(target="brain"), ["freesurfer"])
    completed, whole = preparation.example(subject), preparation.example(Subject("whole", "real", scan[0], heads / "sub-0_dseg.nii.gz"))
    assert torch.equal(completed.classes, whole.classes)
    assert torch.equal(completed.target > 0, whole.target == preparation.target_of(read_label_map(scan[1]), load_table("freesurfer")).max())

    assert trained(tmp_path / "run", heads, scan) == 0 and model.asked == 1  # the same command
    assert str(tmp_path) not in json.dumps(Model.read(run.model_path).card)
    run = Run(run.folder.rename(tmp_path / "moved"))
    assert main(["train", str(run.folder)]) == 0 and model.asked == 1
    run = Run(run.folder.rename(tmp_path / "run"))
    subject.anatomy.write_bytes((heads / "sub-1_dseg.nii.gz").read_bytes())
    assert trained(tmp_path / "run", heads, scan) == 2 and "1 changed" in capsys.readouterr().err


def test_what_the_model_adds_to_a_structure_just_about_its_labels_is_other_tissue(
    heads: Path, scan: tuple[Path, Path], tiny: Callable[..., RunConfig], tmp_path: Path
) -> None:
    image, labels = scan
    whole, path = read_label_map(heads / "sub-0_dseg.nii.gz"), tmp_path / "anatomy.nii.gz"
    anatomy = relabel(whole.data, load_table("freesurfer").mapping_to(load_table("brain-sided")))
    drawn = read_label_map(labels).data > 0
    wider = torch.nn.functional.max_pool3d(drawn.float()[None, None], 3, 1, 1)[0, 0] > 0  # 2 mm more on all sides
    thalamus = next(label.value for label in load_table("brain-sided").labels if label.name == "left thalamus")
    write_label_map(LabelMap(torch.where(wider, thalamus, anatomy).int(), whole.grid), path)
    preparation = preparation_for(tiny(target="brain"), ["freesurfer"])
    preparation = replace(preparation, spacing_mm=(2.0, 2.0, 2.0))
    classes = preparation.example(Subject("x", "real", image, labels, anatomy=path)).classes
    assert torch.equal(classes == preparation.classes.names.index("thalamus"), drawn)


def test_a_training_that_was_killed_meanwhile_goes_on_with_what_there_is(heads: Path, scan: tuple[Path, Path], model: Knowing, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("Learn2SynthLib.learning.session.train_run", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            trained(tmp_path / "run", heads, scan)
    assert not Run(tmp_path / "run").exists() and model.asked == 1
    assert [event["event"] for event in Run(tmp_path / "run").events()] == ["completing"]
    assert trained(tmp_path / "run", heads, scan) == 0 and model.asked == 1


def test_what_the_model_is_not_sure_of_is_not_taken(
    heads: Path, scan: tuple[Path, Path], model: Knowing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model.quality = 0.1
    assert trained(tmp_path / "run", heads, scan, "--json") == 0 and model.asked == 1
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["message"] for event in events if event["event"] == "refused"] == ["'brain' probably failed: what has no label stays unknown"]
    assert "anatomy" not in Run(tmp_path / "run").cohort()["subjects"][2]


@pytest.mark.parametrize("more", [["synthesis.complete=false"], ["--strategy", "supervised"]])
def test_where_it_is_of_no_use_nothing_is_segmented(more: list[str], heads: Path, scan: tuple[Path, Path], model: Knowing, tmp_path: Path) -> None:
    assert trained(tmp_path / "run", heads, scan, *more) == 0 and model.asked == 0


def test_a_scan_that_is_labelled_whole_is_left_as_it_is(heads: Path, model: Knowing, tmp_path: Path) -> None:
    assert trained(tmp_path / "run", heads, (heads / "sub-0_T1w.nii.gz", heads / "sub-0_dseg.nii.gz")) == 0 and model.asked == 0


def test_a_structure_of_ones_own_needs_no_label_maps(heads: Path, scan: tuple[Path, Path], model: Knowing, tmp_path: Path) -> None:
    image, labels = scan
    thalami, mine = read_label_map(labels), tmp_path / "mine.json"
    write_label_map(LabelMap((thalami.data > 0).int(), thalami.grid), labels)
    mine.write_text('{"name": "mine", "labels": [{"value": 0, "name": "background"}, {"value": 1, "name": "my structure"}]}')
    tables = ["--real-ids", str(mine), "--target", str(mine)]
    assert main(["train", str(tmp_path / "run"), "--real", str(image), str(labels), *tables, "--device", "cpu", "--steps", "2", "--set", *TINY]) == 0
    card = Model.read(Run(tmp_path / "run").model_path).card
    assert [label["name"] for label in card["labels"]["labels"]] == ["background", "my structure"]
    white, mine_too = (card["learned"][f"contrast_mean.{name}.low"] for name in ("cerebral white matter", "my structure"))
    assert white["learned"] != white["prior"] and mine_too["learned"] != mine_too["prior"]


def test_completed_scans_are_validated_on_others(heads: Path, scan: tuple[Path, Path], model: Knowing, tmp_path: Path) -> None:
    others = ["--validation", *(str(heads / f"sub-1_{what}.nii.gz") for what in ("T1w", "dseg"))]
    assert trained(tmp_path / "run", heads, scan, *others) == 0 and model.asked == 1
    assert [list(event["scans"]) for event in Run(tmp_path / "run").events() if event["event"] == "validated"] == [["sub-1_T1w"]]


def test_a_stop_that_is_asked_for_meanwhile_is_no_stop_of_the_last_time(
    heads: Path, scan: tuple[Path, Path], model: Knowing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, segment = Run(tmp_path / "run"), model.segment
    other = [tmp_path / f"other_{path.name}" for path in scan]
    for path, copy in zip(scan, other, strict=True):
        copy.write_bytes(path.read_bytes() + b"\0" * (path == scan[0]))

    def stopping(image: Image, progress: Callable[[int, int], None]) -> SimpleNamespace:
        run.request_stop()
        return segment(image, progress)

    def train() -> int:
        return trained(run.folder, heads, (scan[0], scan[1]), "--real", *map(str, other))

    with monkeypatch.context() as patch:
        patch.setattr(model, "segment", stopping)
        assert train() == 130 and model.asked == 1 and not run.stop_requested()  # between the two scans
        assert train() == 130 and model.asked == 2 and run.status() == "stopped"  # after the last one
    assert train() == 0 and model.asked == 2 and run.status() == "finished"

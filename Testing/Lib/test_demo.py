"""The demo, as far as it needs neither its data packages nor minutes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from Learn2SynthLib import demo, demo_data
from Learn2SynthLib.demo_data import DemoData
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.volume.files import write_image, write_label_map
from Learn2SynthLib.volume.image import Grid, Image, LabelMap


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins of the data packages: a small head whose label maps lie on a flipped grid of their own."""
    shape = (24, 28, 24)
    labels = torch.zeros(shape, dtype=torch.int32)
    labels[4:20, 4:24, 4:20] = 3
    labels[7:17, 8:20, 7:17] = 2
    labels[10:14, 12:16, 10:14] = 4
    affine = torch.diag(torch.tensor([6.0, 6.0, 6.0, 1.0], dtype=torch.float64)).numpy()
    affine[:3, 3] = (-69, -81, -69)
    grid, flipped = Grid(shape, affine), affine.copy()
    flipped[0] = (-6, 0, 0, 69)
    template, atlases = tmp_path / "template.nii.gz", tmp_path / "atlases"
    write_image(Image(labels.float() * 50, grid), template)
    write_label_map(LabelMap(labels.flip(0), Grid(shape, flipped)), atlases / "ibsr.nii.gz")
    names = torch.tensor([0, 0, 44, 31, 51], dtype=torch.int32)  # neuromorphometrics: white matter, a cortical region, ventricle
    write_label_map(LabelMap(names[labels.long()].flip(0), Grid(shape, flipped), "neuromorphometrics"), atlases / "neuromorphometrics.nii.gz")
    monkeypatch.setattr(demo_data, "package_path", lambda name: template if name == "nilearn" else atlases)
    return tmp_path


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_data, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install --no-deps nilearn==0.14.1 deepmriprep==0.3.0"):
        demo_data.package_path("nilearn")


def test_requirements_and_demo_name_the_same_versions() -> None:
    wanted = {f"{name}=={version}" for name, (version, _) in demo_data.PACKAGES.items()}
    lines = (Path(__file__).resolve().parents[2] / "Resources" / "requirements-demo.txt").read_text().splitlines()
    assert {line for line in lines if line and not line.startswith("#")} == wanted


def test_labels_are_brought_onto_the_grid_of_the_image(packages: Path) -> None:
    data = DemoData.into(packages / "data")
    image, labels = demo.read_image(data.image), demo.read_label_map(data.labels)
    assert labels.grid.matches(image.grid)
    assert torch.equal(labels.data * 50, image.data.int())


def test_both_trainings_differ_in_their_strategy_alone(packages: Path) -> None:
    data = DemoData.into(packages / "data")
    before, after = (demo._command(packages, name, data, "cpu", 5) for name in ("randomised", "learn2synth"))
    assert [a.replace("randomised", "learn2synth") for a in before] == after


def test_the_demo_leaves_a_picture_tells_both_scores_and_is_not_trained_twice(packages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = packages / "démo"
    demo.run_demo(output, "cpu", steps=1)
    said = capsys.readouterr().out
    assert "before" in said and "after" in said and "optimistic" in said
    assert (output / "demo.png").stat().st_size > 10_000
    for name in ("segmentation_before.nii.gz", "segmentation_after.nii.gz", "learn2synth/best.l2s", "randomised/best.l2s"):
        assert (output / name).is_file()
    steps = (output / "learn2synth" / "events.jsonl").read_text().count('"event": "step"')
    demo.run_demo(output, "cpu", steps=1)
    assert (output / "learn2synth" / "events.jsonl").read_text().count('"event": "step"') == steps


def test_a_device_that_is_not_there_is_refused_before_anything_is_written(packages: Path) -> None:
    with pytest.raises(InputError):
        demo.run_demo(packages / "demo", "cuda:99")
    assert not (packages / "demo").exists()


def test_a_training_that_fails_says_why_in_whatever_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")  # as a console of Windows has one
    with pytest.raises(RuntimeError, match="the training 'randomised' failed: .*invalid choice"):
        demo._train_both(tmp_path, {"randomised": ["tränieren"]})


def test_an_early_ctrl_c_ends_both_trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One has a folder and takes back the first stop that it sees, as a training does that begins; the other one has none yet."""
    stop = tmp_path / "begun" / "stop"
    begins = f"import pathlib, time; p = pathlib.Path({str(stop)!r})\nfor _ in range(2):\n while not p.exists(): time.sleep(0.05)\n p.unlink()"
    stop.parent.mkdir()
    started = subprocess.Popen

    def start(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        return started([sys.executable, "-c", command[-1]], **options)

    def interrupted(output: Path, running: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo.subprocess, "Popen", start)
    monkeypatch.setattr(demo, "_follow", interrupted)
    with pytest.raises(KeyboardInterrupt):
        demo._train_both(tmp_path, {"begun": [begins], "not yet": ["import time; time.sleep(600)"]})
    assert not stop.exists()


@pytest.mark.parametrize(("platform", "typed"), [("win32", '"demo of mine\\x.nii" "a=1,2" b=1'), ("linux", r"'demo of mine\x.nii' a=1,2 b=1")])
def test_commands_are_told_as_they_are_typed(monkeypatch: pytest.MonkeyPatch, platform: str, typed: str) -> None:
    monkeypatch.setattr(demo.sys, "platform", platform)
    assert demo._typed([r"demo of mine\x.nii", "a=1,2", "b=1"]) == typed

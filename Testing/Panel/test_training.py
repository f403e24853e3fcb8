"""A training in the background: followed, stopped, resumed, joined by another program, and what is told when it is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import psutil
import pytest
from Learn2SynthPanel.jobs.training import Training

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.model import Model
from Learn2SynthLib.run import Run
from Testing.Panel.processes import REPOSITORY, all_gone, end_all, fake_library, launcher, lives, python, started, wait_until

IDS = (2, 41, 3, 42, 4, 43, 10, 49)
TINY = ["network.features=[3,4]", "grid.shape=[16,16]", "batch_size=2", "preview_every=100000", "validate_every=100000", "checkpoint_every=5"]
ENDLESS = 20_000
# A fake training: holds the run as the real one does, and writes what the test wants to its log of events.
HOLD = "from Learn2SynthLib.run import Run\nrun = Run(sys.argv[2])\nwith run.locked():\n    run.append('started', step=0)\n"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def nobody_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # networks this small do not gain from more
    yield
    end_all()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "Läufe, viele" / "a b")


@pytest.fixture
def training(tmp_path: Path, run: Run) -> Training:
    return Training(run, lambda: launcher(tmp_path))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda code: fake_library(tmp_path, monkeypatch, code)


@pytest.fixture
def data(tmp_path: Path) -> list[str]:
    """Arguments of a small training on a made-up head."""
    rng = np.random.default_rng(0)
    labels = np.where(np.linalg.norm(np.indices((28,) * 3) - 13.5, axis=0) < 12, rng.choice(IDS, (7,) * 3).repeat(4, 0).repeat(4, 1).repeat(4, 2), 0)
    paths = [tmp_path / "Köpfe" / name for name in ("image.nii.gz", "labels.nii.gz")]
    paths[0].parent.mkdir()
    for path, voxels in zip(paths, (labels * 1.5 + rng.normal(0, 2, labels.shape), labels)):
        nibabel.save(nibabel.Nifti1Image(voxels.astype(np.int16), np.diag([2, 2, 2, 1.0])), path)
    image, numbers = map(str, paths)
    return ["--labels", numbers, "--real", image, numbers, "--target", "brain-coarse", "--device", "cpu", "--set", *TINY]


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


def follow(training: Training, until: str = "") -> list[dict[str, Any]]:
    """What is told until the event `until` or, without one, until the process is gone."""
    told: list[dict[str, Any]] = []

    def reached() -> bool:
        told.extend(training.poll())
        return until in names(told) if until else not training.started_here and not training.alive

    wait_until(reached)
    return told


# --- followed


def test_what_happens_is_told_once_and_in_order(training: Training, fake: Callable[[str], None]) -> None:
    fake(f"{HOLD}    for k in range(20):\n        run.append('step', step=k)\n    run.append('finished', step=19)")
    training.start(["--steps", "20"], keep=False)
    assert training.started_here and training.alive
    told = follow(training)
    assert names(told) == ["started", *["step"] * 20, "finished"] and [event["step"] for event in told[1:-1]] == list(range(20))
    assert training.poll() == [] and not training.alive


def test_the_command_is_that_of_a_terminal(training: Training, fake: Callable[[str], None]) -> None:
    fake("Run = __import__('Learn2SynthLib.run').run.Run\nRun(sys.argv[2]).append('finished', arguments=sys.argv[1:])")
    training.start(["--steps", "3"], keep=False)
    (event,) = follow(training)
    assert event["arguments"] == ["train", str(training.run.folder), "--steps", "3", "--owner", str(training.run.owner_path)]


def test_keeping_can_be_chosen_at_any_time(training: Training, fake: Callable[[str], None]) -> None:
    fake(f"{HOLD}    time.sleep(600)")
    training.start([], keep=True)
    assert training.kept and not training.run.owner_path.exists()
    training.keep(False)
    assert not training.kept and training.run.owner_path.read_text() == str(os.getpid())
    training.keep(True)
    training.leave()
    assert training.kept and not training.run.stop_requested()
    training.keep(False)
    training.leave()
    assert training.run.stop_requested()


def test_keeping_is_not_lost_while_somebody_looks_at_the_owner(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    tried, unlink = [], Path.unlink

    def held(path: Path, missing_ok: bool = False) -> None:
        tried.append(path)
        if len(tried) < 3:
            raise PermissionError("The process cannot access the file")  # as Windows says
        unlink(path, missing_ok)

    training.run.folder.mkdir(parents=True)
    training.keep(False)
    monkeypatch.setattr(Path, "unlink", held)
    monkeypatch.setattr("Learn2SynthLib.files.sys.platform", "win32")
    training.keep(True)
    assert training.kept and len(tried) == 3


def test_what_it_prints_harms_nothing(training: Training, fake: Callable[[str], None]) -> None:
    garbage = b"\xff\xfe\x00\xc3 gr\xc3\xb6\xc3\x9fer\r half"
    fake(f"for file in (sys.stdout, sys.stderr):\n    file.buffer.write({garbage!r})\n    file.flush()\n{HOLD}    run.append('finished', note='größer')")
    training.start([], keep=False)
    assert follow(training)[-1]["note"] == "größer"
    assert training.run.log_path.read_bytes() == 2 * garbage


# --- gone


def test_a_refusal_is_told(training: Training, fake: Callable[[str], None]) -> None:
    fake("print('a table')\nprint('learn2synth: label_map 1: größer', file=sys.stderr)\nsys.exit(2)")
    training.start([], keep=False)
    (event,) = follow(training)
    assert (event["event"], event["message"], event["advice"]) == ("failed", "label_map 1: größer", "")


def test_what_the_training_says_itself_is_not_said_again(training: Training, fake: Callable[[str], None]) -> None:
    fake(f"{HOLD}    run.append('failed', error='MemoryError', message='out of memory', advice='')\n    sys.exit(1)")
    training.start([], keep=False)
    assert [event.get("message") for event in follow(training)] == [None, "out of memory"]


def test_a_worker_that_was_killed_is_told_with_what_to_do(training: Training, fake: Callable[[str], None]) -> None:
    fake(f"{HOLD}    run.config_path.touch()\n    run.append('step', step=1)\n    print('step 1')\n    time.sleep(600)")
    training.start([], keep=False)
    follow(training, "step")
    started()[1].kill()
    (event,) = follow(training)
    assert event["event"] == "failed" and "from outside" in event["message"] and "Resume" in event["advice"]


def test_a_training_goes_on_when_only_its_launcher_was_killed(training: Training, fake: Callable[[str], None]) -> None:
    clock = Clock()
    training._clock = clock
    fake(f"{HOLD}    wait_for('go')\n    run.append('step', step=1)\n    run.append('finished', step=1)")
    training.start([], keep=False)
    follow(training, "started")
    top, child = started()
    top.kill()
    wait_until(lambda: not lives(top))
    for clock.now in (1.0, 5.0, 9.0):
        assert training.poll() == [] and training.alive and training.started_here
    (training.run.folder / "go").touch()
    assert names(follow(training, "finished")) == ["step", "finished"]
    all_gone([child])
    clock.now = 20.0
    assert training.poll() == [] and not training.alive and not training.started_here


def start_deaf(training: Training, fake: Callable[[str], None]) -> tuple[Clock, list[psutil.Process]]:
    """A training that trains and does not listen; the clock that it waits by, its launcher and its worker."""
    clock = Clock()
    training._clock = clock
    fake(f"be_deaf()\n{HOLD}    time.sleep(600)")
    training.start([], keep=False)
    follow(training, "started")
    return clock, started()


def test_a_child_left_behind_by_a_killed_launcher_can_be_ended(training: Training, fake: Callable[[str], None]) -> None:
    clock, tree = start_deaf(training, fake)
    tree[0].kill()
    wait_until(lambda: not lives(tree[0]))
    training.poll()
    training.stop_now()
    clock.now = 10.0
    training.poll()
    all_gone(tree)
    clock.now = 20.0
    assert training.poll() == [] and not training.started_here


def test_a_launcher_killed_before_the_training_began_leaves_nobody(training: Training, fake: Callable[[str], None]) -> None:
    fake("Path('up').touch()\ntime.sleep(600)")
    training.start([], keep=False)
    wait_until((training.run.folder / "up").exists)
    tree = started()
    tree[0].kill()
    assert names(follow(training)) == ["failed"]
    all_gone(tree)


def test_a_folder_removed_under_the_training_is_told(training: Training, fake: Callable[[str], None]) -> None:
    fake("import shutil\nshutil.rmtree(sys.argv[2])\nsys.exit(1)")
    training.start([], keep=False)
    (event,) = follow(training)
    assert "exit code 1" in event["message"]


# --- stopped and started


def test_stop_before_it_reads_anything_ends_it_at_once(training: Training, fake: Callable[[str], None]) -> None:
    fake("Path('up').touch()\ntime.sleep(600)")
    training.start([], keep=False)
    wait_until((training.run.folder / "up").exists)
    tree = started()
    training.stop()
    assert follow(training) == []  # nothing failed: the user wanted it
    all_gone(tree)


def test_stop_waits_for_the_step(training: Training, fake: Callable[[str], None]) -> None:
    wait = "    while not run.stop_requested():\n        time.sleep(0.01)\n"
    fake(f"{HOLD}{wait}    wait_for('go')\n    run.append('stopped', step=1)\nsys.exit(130)")
    training.start([], keep=False)
    follow(training, "started")
    training.stop()
    assert training.poll() == [] and len([process for process in started() if lives(process)]) == 2
    (training.run.folder / "go").touch()
    assert names(follow(training)) == ["stopped"]


def test_stop_now_ends_what_does_not_listen(training: Training, fake: Callable[[str], None]) -> None:
    clock, tree = start_deaf(training, fake)
    training.stop()
    training.stop_now()
    clock.now = 7.9
    training.poll()
    assert lives(tree[1]) and training.alive
    clock.now = 8.0
    training.poll()
    all_gone(tree)
    clock.now = 20.0
    assert training.poll() == [] and not training.alive


def test_a_disk_that_refuses_is_told_and_the_training_can_be_ended_all_the_same(
    training: Training, fake: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_arguments: Any, **_options: Any) -> None:
        raise OSError(28, "No space left on device")

    fake(f"{HOLD}    time.sleep(600)")
    training.start([], keep=False)
    follow(training, "started")
    monkeypatch.setattr(Path, "touch", refusing)
    monkeypatch.setattr(Path, "unlink", refusing)
    monkeypatch.setattr(Path, "write_text", refusing)
    training.leave()
    for action in (lambda: training.keep(True), lambda: training.keep(False), training.stop, Training(training.run, training._launcher).stop_now):
        with pytest.raises(InputError, match="cannot be written .No space left on device"):
            action()
    training.stop_now()
    wait_until(lambda: not training.poll() and not training.alive)


def test_of_a_resumed_run_the_old_end_is_told_but_not_taken_for_the_new(training: Training, fake: Callable[[str], None]) -> None:
    fake("print('learn2synth: torch is gone', file=sys.stderr)\nsys.exit(2)")
    training.run.folder.mkdir(parents=True)
    training.run.config_path.touch()
    training.run.append("stopped", step=3)
    training.run.request_stop()
    training.resume("cpu", keep=False)
    assert not training.run.stop_requested()
    told = follow(training)
    assert names(told) == ["stopped", "failed"] and told[1]["message"] == "torch is gone"


def test_a_run_that_trains_is_not_started_twice(training: Training, run: Run) -> None:
    with run.locked():
        run.owner_path.write_text("4711")
        assert training.alive
        with pytest.raises(InputError, match=f"in use by process {os.getpid()} on "):
            training.resume("cpu", keep=True)
        assert run.owner_path.read_text() == "4711" and not training.started_here


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    training = Training(Run(tmp_path / "file" / "run"), python)
    with pytest.raises(InputError, match="file/run: cannot be written .*choose another folder"):
        training.start([], keep=False)
    assert not training.started_here


def test_an_interpreter_that_is_missing_is_told(run: Run) -> None:
    def missing() -> None:
        raise InputError("PythonSlicer", "is not on the path")

    training = Training(run, missing)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="PythonSlicer"):
        training.start([], keep=False)
    assert not training.alive and training.poll() == []


def test_nothing_is_told_of_a_folder_without_a_run(training: Training) -> None:
    assert training.poll() == [] and not training.alive and not training.started_here
    training.leave()
    assert not training.run.folder.exists()


# --- the real thing


def test_a_training_is_started_joined_stopped_and_resumed_to_its_end(training: Training, run: Run, data: list[str], tmp_path: Path) -> None:
    training.start([*data, "--steps", "60"], keep=False)
    follow(training, "step")
    joined = Training(Run(run.folder), python)  # as after Slicer was closed
    assert joined.alive and not joined.started_here and "step" in names(joined.poll())
    joined.stop()
    assert names(follow(training))[-1] == "stopped" and run.checkpoint_path.is_file()
    stopped_at = run.events()[-1]["step"]
    assert 0 < stopped_at < 60

    again = Training(run, lambda: launcher(tmp_path))
    again.resume("cpu", keep=False)
    told = follow(again)
    assert names(told)[-1] == "finished" and [event["step"] for event in told if event["event"] == "started"] == [0, stopped_at]
    assert joined.poll()[-1]["event"] == "finished" and Model.read(run.model_path).card["provenance"]["step"] == 60


def test_a_killed_training_is_resumed_from_its_checkpoint_and_ended_in_the_middle_of_a_step(training: Training, run: Run, data: list[str]) -> None:
    training.start([*data, "--steps", str(ENDLESS)], keep=False)
    follow(training, "checkpoint")
    for process in started():
        process.kill()
    assert names(follow(training))[-1] == "failed" and run.status() == "interrupted"
    training.resume("cpu", keep=False)
    assert follow(training, "started")[-1]["step"] > 0
    tree = started()
    training.stop()
    training.stop_now()
    assert "failed" not in names(follow(training)) and run.checkpoint_path.is_file()
    all_gone(tree)


SLICER = """
import sys, time
from Learn2SynthLib.run import Run
from Learn2SynthPanel.jobs.training import Training
from Learn2SynthPanel.jobs.worker import Launcher
training = Training(Run(sys.argv[1]), lambda: Launcher(sys.argv[2]))
training.start(sys.argv[4:], keep=sys.argv[3] == "keep")
time.sleep(600)
"""


@pytest.mark.parametrize("keep", ["end", "keep"])
def test_when_slicer_crashes_the_training_ends_without_loss_unless_it_was_kept(run: Run, data: list[str], tmp_path: Path, keep: str) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "Learn2Synth")])}
    arguments = [str(run.folder), launcher(tmp_path).python, keep, *data, "--steps", str(ENDLESS)]
    with subprocess.Popen([sys.executable, "-c", SLICER, *arguments], env=environment) as slicer:
        joined = Training(run, python)
        follow(joined, "checkpoint")
        workers = [process for process in psutil.Process(slicer.pid).children(recursive=True) if lives(process)]
        slicer.kill()
    if keep == "keep":
        steps = len(run.events())
        wait_until(lambda: len(run.events()) > steps + 3)
        assert joined.alive
        joined.stop()
    all_gone(workers)
    assert run.status() == "stopped" and run.checkpoint_path.is_file() and run.model_path.is_file()

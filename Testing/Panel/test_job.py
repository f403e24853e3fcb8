"""A short command in the background: what it tells, in order; cancelled, closed, gone."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from Learn2SynthPanel.jobs.job import Job

from Learn2SynthLib.errors import InputError
from Testing.Panel.processes import all_gone, end_all, fake_library, launcher, lives, python, started, wait_until

DEAF = "be_deaf()\ntell('up')\ntime.sleep(600)"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def nobody_stays() -> Iterator[None]:
    yield
    end_all()


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Job]:
    """Starts a job, through a launcher, whose command is `code`."""

    def begin(code: str, clock: Clock | None = None, **options: bool) -> Job:
        fake_library(tmp_path, monkeypatch, code)
        job = Job(lambda: launcher(tmp_path), clock or Clock())
        job.start(["verb", "größe"], **options)
        return job

    return begin


def told_by(job: Job) -> list[str]:
    """The events of a job until it ends, asked as the panel does."""
    told: list[str] = []

    def ended() -> bool:
        code = job.exit_code
        told.extend(event["event"] for event in job.poll())
        return code is not None

    wait_until(ended)
    return told


def test_a_job_tells_events_and_ends(begin: Callable[..., Job]) -> None:
    job = begin("for k in range(50):\n    tell(f'e{k}')")
    assert told_by(job) == [f"e{k}" for k in range(50)]
    assert job.exit_code == 0 and job.poll() == []
    job.close()


def test_half_a_line_is_waited_for(begin: Callable[..., Job], tmp_path: Path) -> None:
    first, never = json.dumps({"event": "first"}), json.dumps({"event": "never"})
    job = begin(f"print({first[:14]!r}, end='', flush=True)\nwait_for('go')\nprint({first[14:]!r})\nprint({never[:14]!r}, end='')")
    wait_until(lambda: (job.folder / "events.jsonl").read_bytes())
    assert job.poll() == []
    (job.folder / "go").touch()
    assert told_by(job) == ["first"]
    job.close()


def test_garbage_is_passed_over(begin: Callable[..., Job]) -> None:
    garbage = b'\xff\xfe\x00\xc3\n\r\n[1]\n{}\n"event"\nnull\n{"event": "\xff"}\n'
    job = begin(f"for file in (sys.stdout, sys.stderr):\n    file.buffer.write({garbage!r})\n    file.flush()\ntell('größer')")
    assert told_by(job) == ["größer"] and job.exit_code == 0
    job.close()


@pytest.mark.parametrize("owned", [True, False])
def test_a_job_ends_with_this_program(begin: Callable[..., Job], owned: bool) -> None:
    job = begin("tell('arguments', all=sys.argv[1:])", owned=owned)
    wait_until(lambda: job.exit_code is not None)
    (event,) = job.poll()
    owner = job.folder / "owner"
    assert event["all"] == ["verb", "größe", *(["--owner", str(owner)] if owned else [])]
    assert owner.read_text() == str(os.getpid())
    job.close()


def test_what_is_told_last_is_not_missed(begin: Callable[..., Job]) -> None:
    job = begin("tell('last')")
    wait_until(lambda: job.exit_code is not None)
    assert [event["event"] for event in job.poll()] == ["last"]
    job.close()


def test_a_refusal_is_told(begin: Callable[..., Job]) -> None:
    job = begin("print('learn2synth: image.nrrd: no such file', file=sys.stderr)\nsys.exit(2)")
    assert told_by(job) == [] and (job.exit_code, job.last_words()) == (2, "image.nrrd: no such file")
    job.close()


def test_cancel_asks_and_then_insists(begin: Callable[..., Job]) -> None:
    clock = Clock()
    job = begin(DEAF, clock)
    wait_until(job.poll)
    tree = started()
    assert len(tree) == 2
    job.cancel()
    clock.now = 2.9
    job.cancel()  # pressed again: the patience is not begun anew
    job.poll()
    assert lives(tree[1])
    clock.now = 3.0
    job.poll()
    all_gone(tree)
    job.close()


def test_close_ends_everybody_and_leaves_nothing(begin: Callable[..., Job]) -> None:
    job = begin(DEAF)
    wait_until(job.poll)
    tree = started()
    assert len(tree) == 2 and (job.folder / "owner").is_file()
    job.close()
    assert not job.folder.exists()
    all_gone(tree)
    job.close()


def test_close_while_it_writes_leaves_nothing(begin: Callable[..., Job]) -> None:
    job = begin("tell('up')\nfor k in range(10**9):\n    Path(str(k % 1000)).write_bytes(b'x')")
    wait_until(job.poll)
    job.close()
    all_gone(started())
    assert not job.folder.exists()


def test_what_is_held_for_a_moment_is_removed_after_it(begin: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> None:
    job = begin("tell('up')")
    tried, remove = [], shutil.rmtree

    def held(folder: Path, ignore_errors: bool) -> None:
        tried.append(folder)
        if len(tried) == 3:
            remove(folder)

    monkeypatch.setattr(shutil, "rmtree", held)
    job.close()
    assert len(tried) == 3 and not job.folder.exists()


def test_when_the_launcher_is_killed_close_still_ends_its_child(begin: Callable[..., Job]) -> None:
    job = begin(DEAF)
    wait_until(job.poll)
    tree = started()
    tree[0].kill()
    wait_until(lambda: job.exit_code is not None)
    assert lives(tree[1]) and "from outside" in job.last_words()
    job.close()
    all_gone(tree)


def test_a_job_that_never_started_is_closed_too(tmp_path: Path) -> None:
    def missing() -> None:
        raise InputError("PythonSlicer", "is not on the path")

    job = Job(missing)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="PythonSlicer"):
        job.start(["environment"])
    assert job.exit_code is None and job.poll() == [] and job.last_words() == ""
    job.cancel()
    job.close()
    assert not job.folder.exists()


def test_the_real_command_line_tells_about_the_computer() -> None:
    job = Job(python)
    job.start(["environment", "--json"], owned=False)
    wait_until(lambda: job.exit_code is not None)
    (event,) = job.poll()
    assert event["event"] == "environment" and "cpu" in event["devices"] and json.dumps(event)
    job.close()

"""The process of the command line: started, ended with its children, and what it said last, whatever bytes it prints."""

from __future__ import annotations

import gc
import json
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from Learn2SynthPanel.jobs.worker import Launcher, Worker, slicer_launcher

from Learn2SynthLib.errors import InputError
from Testing.Panel.processes import all_gone, end_all, fake_library, launcher, lives, python, started, wait_until

SLEEPS = "print('up', flush=True)\ntime.sleep(600)"
DEAF = f"be_deaf()\n{SLEEPS}"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "Läufe, viele" / "log.txt"


@pytest.fixture(autouse=True)
def nobody_stays() -> Iterator[None]:
    yield
    end_all()


def ended(worker: Worker) -> int | None:
    wait_until(lambda: worker.exit_code is not None)
    return worker.exit_code


def has(path: Path, text: str) -> bool:
    return path.is_file() and text in path.read_text(encoding="utf-8", errors="replace")


# --- started


def test_output_and_messages_go_to_files(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(tmp_path, monkeypatch, "print(sys.argv[1:], os.getcwd())\nprint('müde', file=sys.stderr)")
    output = log.with_name("aus gabe.txt")
    assert ended(python().start(["größe", "a b"], log, output)) == 0
    assert output.read_text(encoding="utf-8") == f"['größe', 'a b'] {log.parent}\n" and log.read_text(encoding="utf-8") == "müde\n"


def test_without_an_output_all_goes_to_the_log_behind_what_is_there(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(tmp_path, monkeypatch, "for i in range(3):\n    print(i)\n    print(-i, file=sys.stderr)")
    log.parent.mkdir()
    log.write_text("earlier\n", encoding="utf-8")
    assert ended(python().start([], log)) == 0
    assert log.read_text(encoding="utf-8").split() == ["earlier", "0", "0", "1", "-1", "2", "-2"]


def test_much_output_that_nobody_reads_blocks_nobody(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(tmp_path, monkeypatch, "for file in (sys.stdout, sys.stderr):\n    file.write(3_000_000 * 'x')")
    assert ended(python().start([], log)) == 0
    assert log.stat().st_size == 6_000_000


def test_the_worker_sees_the_library_first_and_nothing_of_slicers_image_readers(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = "print(json.dumps([os.environ.get('ITK_AUTOLOAD_PATH'), os.environ['PYTHONPATH'].split(os.pathsep)[1:], sys.flags.utf8_mode]))"
    fake_library(tmp_path, monkeypatch, told)
    assert ended(python(ITK_AUTOLOAD_PATH="/x", PYTHONPATH="/mine").start([], log)) == 0
    assert json.loads(log.read_text(encoding="utf-8")) == [None, ["/mine"], 1]


def test_the_real_library_starts_from_any_folder(log: Path) -> None:
    worker = python().start(["--version"], log)
    assert ended(worker) == 0 and has(log, "learn2synth ")


@pytest.mark.parametrize("program", ["no such program", "not a program"])
def test_an_interpreter_that_cannot_be_started_is_told(tmp_path: Path, log: Path, program: str) -> None:
    (tmp_path / "not a program").touch()
    with pytest.raises(InputError, match=f"{program}: cannot be started .*repair the installation of Slicer"):
        Launcher(str(tmp_path / program)).start([], log)


def test_slicers_python_is_found_on_the_path(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(tmp_path, monkeypatch, "print(os.environ.get('COLOUR'), [value for value in os.environ.values() if 'another' in value])")
    util = types.SimpleNamespace(startupEnvironment=lambda: {"COLOUR": "green", "PYTHONPATH": "/another/python", "PythonHome": "/another"})
    monkeypatch.setitem(sys.modules, "slicer", types.SimpleNamespace(util=util))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="PythonSlicer: is not on the path"):
        slicer_launcher()
    launcher(tmp_path)
    assert ended(slicer_launcher().start([], log)) == 0
    assert log.read_text(encoding="utf-8") == "green []\n"


def test_more_files_than_a_command_can_name_are_told(log: Path) -> None:
    with pytest.raises(InputError, match="files: too many to be named in one command; give a folder"):
        python().start(["/a/label/map.nii.gz"] * 1_000_000, log)


# --- ended


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_a_launcher_is_ended_with_its_child(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    fake_library(tmp_path, monkeypatch, SLEEPS)
    worker = launcher(tmp_path).start([], log)
    wait_until(lambda: has(log, "up"))
    tree = started()
    assert len(tree) == 2 and worker.exit_code is None
    getattr(worker, how)()
    all_gone(tree)
    assert ended(worker) != 0


def test_a_child_that_does_not_listen_is_killed_even_after_its_launcher(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(tmp_path, monkeypatch, DEAF)
    worker = launcher(tmp_path).start([], log)
    wait_until(lambda: has(log, "up"))
    tree = started()
    worker.terminate()
    assert ended(worker) == -15 and lives(tree[1])
    worker.kill()
    all_gone(tree)
    worker.kill()  # nobody is left


def test_waiting_has_an_end(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(tmp_path, monkeypatch, SLEEPS)
    worker = python().start([], log)
    worker.wait(0.01)
    assert worker.exit_code is None
    worker.kill()
    worker.wait(60)
    assert worker.exit_code == -9


def test_a_process_may_outlive_all_that_is_known_of_it(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(tmp_path, monkeypatch, SLEEPS)
    python().start([], log)  # Python warns, which fails the test, when it forgets a child that runs
    gc.collect()
    (process,) = started()
    process.kill()
    all_gone([process])
    ended(Launcher("true").start([], log))
    assert not psutil.pid_exists(process.pid)  # its exit code was read meanwhile


# --- what it said last

KILLED = "it was ended from outside: somebody killed it, memory ran out, or it crashed"

@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("print('learn2synth: sub-1: größer als erlaubt', file=sys.stderr)\nprint('bye')\nsys.exit(2)", "sub-1: größer als erlaubt"),
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("print('step 250: mean Dice 0.8')\nos.kill(os.getpid(), 9)", KILLED),
        ("print('error: [python-real] exit abnormally - Report the problem.')\nsys.exit(1)", KILLED),
        ("sys.exit(3)", "it ended with exit code 3; it said nothing"),
        ("print('libX.so is missing')\nsys.exit(127)", "it ended with exit code 127; it last said: libX.so is missing"),
        ("sys.stdout.buffer.write(b'\\xff\\xfe\\x00 half \\xc3')\nsys.exit(1)", "it ended with exit code 1; it last said: \ufffd\ufffd\x00 half \ufffd"),
        ("print(10_000 * 'line after line\\n')\nprint('learn2synth: no')\nsys.exit(2)", "no"),
    ],
    ids=["refusal", "traceback", "killed", "killed in Slicer", "silent", "plain", "garbage", "long"],
)
@pytest.mark.parametrize("through", ["python", "launcher"])
def test_the_reason_is_told(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str, through: str) -> None:
    fake_library(tmp_path, monkeypatch, code)
    worker = (python() if through == "python" else launcher(tmp_path)).start([], log)
    ended(worker)
    assert worker.last_words() == words


def test_earlier_words_are_those_of_others(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(tmp_path, monkeypatch, "sys.exit(4)")
    log.parent.mkdir()
    log.write_text("learn2synth: of the last time\n", encoding="utf-8")
    worker = python().start([], log)
    ended(worker)
    assert worker.last_words() == "it ended with exit code 4; it said nothing"


def test_a_log_that_was_removed_is_no_trouble(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(tmp_path, monkeypatch, "print('up', flush=True)\nsys.exit(5)")
    worker = python().start([], log)
    ended(worker)
    log.unlink()
    assert worker.last_words() == "it ended with exit code 5; it said nothing"


@pytest.mark.parametrize("verb", [["environment", "--json"], ["train", "run", "--device", "cpu"], ["segment", "model.l2s", "image.nrrd", "--output", "o"]])
def test_a_missing_torch_is_told(tmp_path: Path, log: Path, verb: list[str]) -> None:
    missing = tmp_path / "missing"
    missing.mkdir()
    (missing / "torch.py").write_text("raise ImportError(\"No module named 'torch'\")\n", encoding="utf-8")
    worker = python(PYTHONPATH=os.pathsep.join([str(missing), os.environ.get("PYTHONPATH", "")])).start(verb, log)
    assert ended(worker) == 1 and worker.last_words() == "ImportError: No module named 'torch'"

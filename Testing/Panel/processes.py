"""Worker processes for the panel's tests: a library that does what the test says, and a launcher as PythonSlicer is one."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from Learn2SynthPanel.jobs import worker
from Learn2SynthPanel.jobs.worker import Launcher

REPOSITORY = Path(__file__).resolve().parents[2]
SECONDS = 60.0  # that anything may take on a busy computer
_WORDS = """import json, os, signal, sys, time
from pathlib import Path

def tell(event, **content):
    print(json.dumps({"event": event, **content}), flush=True)

def wait_for(name):
    while not Path(name).exists():
        time.sleep(0.01)

def be_deaf():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

"""


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def fake_library(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """From now on workers run `code`, which has the words above, in place of the command line; the library's other modules are the real ones."""
    package = folder / "Bücherei mit Lücke" / "Learn2SynthLib"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"__path__.append({str(REPOSITORY / 'Learn2SynthLib')!r})\n", encoding="utf-8")
    (package / "__main__.py").write_text(_WORDS + code, encoding="utf-8")
    monkeypatch.setattr(worker, "LIBRARY", package.parent)


def python(**environment: str) -> Launcher:
    """The interpreter itself."""
    return Launcher(sys.executable, {**os.environ, **environment})


def launcher(folder: Path) -> Launcher:
    """A program that starts the interpreter as its child and waits for it, as PythonSlicer does."""
    path = folder / "PythonSlicer"
    path.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n', encoding="utf-8")
    path.chmod(0o755)
    return Launcher(str(path))


def started() -> list[psutil.Process]:
    """Living processes below this one, parents first."""
    return [process for process in psutil.Process().children(recursive=True) if lives(process)]


def lives(process: psutil.Process) -> bool:
    """A process that has ended, but of which nobody has read the exit code, does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def all_gone(processes: list[psutil.Process]) -> None:
    """Waits until none of them lives."""
    wait_until(lambda: not any(lives(process) for process in processes))


def end_all() -> None:
    """Ends what a test has left behind, with the children that it may be about to start."""
    for process in psutil.Process().children():
        if lives(process) and os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)

"""A short-lived `learn2synth` command that tells what it does in JSON lines: a check, a segmentation, a look at the computer."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from Learn2SynthLib.run import Run

from .worker import Launcher, Worker

Event = dict[str, Any]
_PATIENCE = 3.0  # seconds between asking a process to end and ending it
_DYING = 0.5  # seconds that a process which has been ended may take; milliseconds are usual


class Job:
    """Runs in a temporary folder, where its inputs and results lie too; never waits: `poll` is called from a timer."""

    def __init__(self, launcher: Callable[[], Launcher], clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="Learn2Synth-"))
        self._launcher, self._clock = launcher, clock
        self._worker: Worker | None = None
        self._told = Run(self.folder)  # its output is read as the events of a run are
        self._offset = 0
        self._kill_at: float | None = None

    def start(self, arguments: Sequence[str], owned: bool = True) -> None:
        """Starts `learn2synth ARGUMENTS`. owned: the verb takes --owner, so that it ends with this program. Raises InputError."""
        self._told.owner_path.write_text(str(os.getpid()), encoding="utf-8")
        owner = ["--owner", str(self._told.owner_path)] if owned else []
        self._worker = self._launcher().start([*arguments, *owner], self._told.log_path, self._told.events_path)

    def poll(self) -> list[Event]:
        """What it told since the last call."""
        if self._kill_at is not None and self._worker is not None and self._clock() >= self._kill_at:
            self._worker.kill()
        events, self._offset = self._told.events_from(self._offset)
        return events

    @property
    def exit_code(self) -> int | None:
        """None while it runs. Ask before `poll`, so that nothing that was told is missed."""
        return self._worker.exit_code if self._worker is not None else None

    def last_words(self) -> str:
        """Why it ended as it did."""
        return self._worker.last_words() if self._worker is not None else ""

    def cancel(self) -> None:
        """Ends the process, at once where asking does not help."""
        if self._worker is not None and self._kill_at is None:
            self._worker.terminate()
            self._kill_at = self._clock() + _PATIENCE

    def close(self) -> None:
        """Ends the process and removes the folder."""
        if self._worker is not None:
            self._worker.kill()
            self._worker.wait(_DYING)
        self._remove_folder()

    def _remove_folder(self) -> None:
        """A child of the process may be writing here for a moment more, and Windows keeps files that it, or a virus scanner, still holds."""
        deadline = time.monotonic() + _DYING
        while self.folder.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            if time.monotonic() >= deadline:
                return
            time.sleep(0.02)

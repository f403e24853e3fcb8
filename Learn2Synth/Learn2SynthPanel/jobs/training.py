"""The training in one run folder, as seen from outside its process: started, followed, stopped, resumed, joined."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.files import is_there, remove
from Learn2SynthLib.run import Run

from ..translation import tr as _
from .worker import Launcher, Worker

Event = dict[str, Any]
ENDED = ("finished", "stopped", "failed")
_PATIENCE = 8.0  # seconds between asking a process to end and ending it
_LOOK = 2.0  # seconds between two looks at the lock of a run that another process trains


class Training:
    """Follows `run`, which this program starts, or which trains already, here or elsewhere on a shared folder.

    Never waits: `poll` is called from a timer.
    """

    def __init__(self, run: Run, launcher: Callable[[], Launcher], clock: Callable[[], float] = time.monotonic) -> None:
        self.run = run
        self._launcher, self._clock = launcher, clock
        self._worker: Worker | None = None
        self._offset = 0
        self._earlier: list[Event] = []  # what earlier processes told, not yet passed on
        self._last = ""  # the newest event that says whether the training goes on
        self._ended_here = False  # not by itself
        self._kill_at: float | None = None
        self._seen_in_use, self._look_at = False, 0.0

    def start(self, arguments: Sequence[str], keep: bool) -> None:
        """Trains with `arguments` of `learn2synth train`; keep: also after this program has ended."""
        if self.run.in_use():
            raise InputError(self.run.folder, _("is in use by {holder}").format(holder=self.run.holder()), remedy=_("stop that training first"))
        earlier, self._offset = self.run.events_from(self._offset)
        self._earlier += earlier
        self._last, self._ended_here, self._kill_at, self._look_at = "", False, None, 0.0
        owned = ["--owner", str(self.run.owner_path)]
        with self._writing(_("free some space or choose another folder")):
            self.run.folder.mkdir(parents=True, exist_ok=True)
            self.run.clear_stop()
            self.keep(keep)
            self._worker = self._launcher().start(["train", str(self.run.folder), *arguments, *owned], self.run.log_path)

    @contextmanager
    def _writing(self, remedy: str) -> Iterator[None]:
        """Raises InputError with that remedy where the disk refuses."""
        try:
            yield
        except OSError as error:
            raise InputError(self.run.folder, _("cannot be written ({reason})").format(reason=error.strerror or error), remedy=remedy) from error

    def resume(self, device: str, keep: bool) -> None:
        """Carries on where the last checkpoint is, with the run's own configuration and data."""
        self.start(["--device", device], keep)

    def keep(self, keep: bool) -> None:
        """Whether the training goes on when this program ends; it can be changed at any time. Raises InputError where the disk refuses."""
        with self._writing(_("try again")):
            if keep:
                remove(self.run.owner_path)
            else:
                self.run.owner_path.write_text(str(os.getpid()), encoding="utf-8")

    @property
    def kept(self) -> bool:
        return not is_there(self.run.owner_path)

    @property
    def started_here(self) -> bool:
        return self._worker is not None

    @property
    def alive(self) -> bool:
        """Whether a process trains this run. Of a run that was not started here it is looked up now and then only."""
        if self._worker is not None and self._worker.exit_code is None:
            return True
        if self._clock() >= self._look_at:
            self._seen_in_use, self._look_at = self.run.in_use(), self._clock() + _LOOK
        return self._seen_in_use

    def poll(self) -> list[Event]:
        """What happened since the last call. A process that is gone without a word gives a `failed` event with its last words."""
        if self._kill_at is not None and self._worker is not None and self._clock() >= self._kill_at:
            self._worker.kill()
            self._kill_at = None
        gone = self._worker is not None and not self.alive  # asked first: its last events are there by now
        events, self._offset = self.run.events_from(self._offset)
        for event in events:
            if event["event"] in (*ENDED, "loading", "started"):
                self._last = event["event"]
        events, self._earlier = self._earlier + events, []
        return events + self._farewell() if gone else events

    def _farewell(self) -> list[Event]:
        worker, self._worker, self._kill_at = self._worker, None, None
        assert worker is not None, "only a worker that is gone is taken leave of"
        worker.kill()  # of a launcher that was killed early the child may be left, and would train unseen
        if self._last in ENDED or worker.exit_code == 0 or self._ended_here:
            return []
        self._last = "failed"
        advice = _("nothing that was written is lost: Resume carries on from the last checkpoint") if self.run.exists() else ""
        return [{"event": "failed", "error": _("The training process ended"), "message": worker.last_words(), "advice": advice}]

    def stop(self) -> None:
        """After the current step; everything is kept. A training that has not begun to read its data ends at once. Raises InputError where the disk refuses."""
        if not self._last:
            self.stop_now()
            return
        with self._writing(_("press Stop again to end it without waiting for the step")):
            self.run.request_stop()

    def stop_now(self) -> None:
        """Without waiting for the current step; what came after the last checkpoint is done again when resumed."""
        if self._worker is not None:
            self._worker.terminate()
            self._ended_here, self._kill_at = True, self._clock() + _PATIENCE
        with self._writing(_("end it where it was started")) if self._worker is None else suppress(OSError):  # a process of our own has been told already
            self.run.request_stop()

    def leave(self) -> None:
        """Slicer closes: the training stops by itself, soon, unless it was to be kept. Where the disk refuses, it stops once it misses its owner."""
        if self.started_here and not self.kept and self.alive:
            with suppress(OSError):
                self.run.request_stop()

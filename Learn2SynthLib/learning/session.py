"""One training session: holds the run, follows the trainer, turns signals into a stop without loss."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..config import RunConfig
from ..errors import InputError
from ..run import Run
from ..segmentation.device import is_out_of_memory
from ..volume.cohort import Cohort
from .trainer import Trainer

Event = dict[str, Any]


def train_run(config: RunConfig, cohort: Cohort, run: Run, show: Callable[[Event], None]) -> Event:
    """Trains or resumes `run`, showing every event; returns the last one (`finished` or `stopped`).

    What goes wrong is logged as a `failed` event, with advice, and raised again.
    """
    event: Event = {}
    with run.locked() as locked:
        run.prepare(config.to_json(), cohort.to_json())
        if not locked:
            show(run.append("unlocked", message="this file system has no locks: see to it that no other training uses the same folder"))
        with _stopping(run):
            try:
                for event in Trainer(config, cohort, run).events():
                    show(event)
            except Exception as error:
                show(_failed(error, run))
                raise
    return event


@contextmanager
def _stopping(run: Run) -> Iterator[None]:
    """Ctrl-C and a polite kill ask for a stop after the step; a second Ctrl-C, and a kill when a stop was asked for, end at once at the last checkpoint.

    A first Ctrl-C does not, even then: a program that closes asks for a stop, and soon after that its worker's own watch (`owner`) sees that it is gone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    interrupted = False

    def request(number: int, frame: object) -> None:
        nonlocal interrupted
        if interrupted or (number == signal.SIGTERM and run.stop_requested()):
            raise KeyboardInterrupt
        interrupted = number == signal.SIGINT
        run.request_stop()

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _failed(error: Exception, run: Run) -> Event:
    """The event that tells of a failure; it is only told, not logged, where the disk refuses that too."""
    what = InputError(error.where, error.found, error.allowed) if isinstance(error, InputError) else error  # what to do is the advice
    content = {"error": type(error).__name__, "message": str(what), "advice": _advice(error, run)}
    try:
        return run.append("failed", **content)
    except InputError:
        return {"event": "failed", **content}


def _advice(error: Exception, run: Run) -> str:
    if isinstance(error, InputError):
        return error.remedy
    if is_out_of_memory(error):
        return "use a smaller batch_size or grid.shape, or --preset low-memory"
    if re.search(r"\bmps\b", str(error).lower()):
        return "this torch cannot do all of it on Apple's GPU: resume the run with --device cpu"
    if isinstance(error, FloatingPointError):
        goes_on = f"; --pretrained {run.folder} begins with this run's best weights" if run.model_path.is_file() else ""
        return f"start a new run, in another folder, with a lower optimiser.lr or learn2synth.lr{goes_on}"
    return "the run can be resumed from its last checkpoint with the same command"

"""What a run has told so far: its events gathered into a state, curves and previews. No Slicer, no numpy: any program may use it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

Event = Mapping[str, Any]


@dataclass
class Curve:
    """Values over steps, which strictly increase: a step told again replaces what came from there on."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def put(self, step: int, value: float) -> None:
        if self.steps and self.steps[-1] >= step:
            self.drop_after(step - 1)
        self.steps.append(step)
        self.values.append(value)

    def drop_after(self, step: int) -> None:
        kept = bisect_right(self.steps, step)
        del self.steps[kept:], self.values[kept:]

    @property
    def last(self) -> float:
        return self.values[-1]

    @property
    def best(self) -> tuple[int, float]:
        """(step, value) of the highest value, the first of equal ones."""
        value = max(self.values)
        return self.steps[self.values.index(value)], value


Curves = dict[str, Curve]


@dataclass(frozen=True)
class Preview:
    """Volumes of one moment: role ('labels', 'prior', 'learned', 'real', 'prediction') -> file name in the run's previews folder."""

    step: int
    paths: Mapping[str, str]


class Progress:
    """The state of one run, from its events in the order of the log.

    A run that was killed resumes at its last checkpoint and repeats steps: what it had told of them before is dropped. Events, keys
    and values that make no sense are ignored.

    phase: new, checking, completing, loading, training, stopped, finished or failed. revision: grows when anything was added.
    """

    def __init__(self) -> None:
        self.phase = "new"
        self.revision = 0
        self.completed = self.to_complete = 0  # scans that are annotated in part
        self.subjects = self.step = self.steps = self.checkpoint = 0
        self.eta_seconds: float | None = None
        self.seconds_per_report: float | None = None
        self.device = self.note = self.message = self.advice = ""
        self.may_stop = False
        self.losses: Curves = {}
        self.dice: Curves = {}
        self.scans: Curves = {}
        self.learned: Curves = {}
        self.prior: dict[str, float] = {}
        self.previews: list[Preview] = []
        self._reports = 0

    def add(self, events: Iterable[Event]) -> None:
        """Take in the next events of the log."""
        for event in events:
            handler = _HANDLERS.get(str(event.get("event")))
            if handler:
                handler(self, event)
                self.revision += 1

    @property
    def fraction(self) -> float:
        """The part of the training that is done, 0 to 1."""
        return 1.0 if self.phase == "finished" else min(1.0, self.step / self.steps) if self.steps else 0.0

    @property
    def under_way(self) -> bool:
        return self.phase in ("checking", "loading", "training")

    @property
    def best(self) -> tuple[int, float] | None:
        """(step, mean Dice) of the model that the run keeps."""
        return self.dice["mean"].best if "mean" in self.dice else None

    @property
    def stale(self) -> int:
        """Validations since the best one."""
        return len(self.dice["mean"].steps) - 1 - self.dice["mean"].steps.index(self.best[0]) if self.best else 0

    @property
    def has_learned(self) -> bool:
        """Whether any synthesis parameter has left its prior."""
        return any(name in self.prior and curve.last != self.prior[name] for name, curve in self.learned.items())

    def _on_checked(self, event: Event) -> None:
        self.phase = "checking"

    def _on_completing(self, event: Event) -> None:
        self.phase = "completing"
        self.completed, self.to_complete = _whole(event.get("done")) or 0, _whole(event.get("count")) or 0

    def _on_loading(self, event: Event) -> None:
        self.phase = "loading"
        self.eta_seconds, self.message, self.advice = None, "", ""
        self.subjects = _whole(event.get("subjects")) or 0

    def _on_started(self, event: Event) -> None:
        self.phase = "training"
        self._reports = 0
        self.eta_seconds = self.seconds_per_report = None
        step = _whole(event.get("step")) or 0
        self.steps = _whole(event.get("steps")) or self.steps
        self.device, self.note = _text(event.get("device")), _text(event.get("note"))
        self.prior = _figures(event.get("prior"))
        if step < self.step:
            self._drop_after(step)
        self.step = step

    def _drop_after(self, step: int) -> None:
        for curves in (self.losses, self.dice, self.scans, self.learned):
            for name in list(curves):
                curves[name].drop_after(step)
                if not curves[name].steps:
                    del curves[name]
        self.previews = [preview for preview in self.previews if preview.step <= step]
        self.checkpoint = min(self.checkpoint, step)
        self.may_stop = False

    def _on_step(self, event: Event) -> None:
        step = self._reach(event)
        if step is None:
            return
        self.steps = _whole(event.get("steps")) or self.steps
        self.eta_seconds = _figure(event.get("eta_seconds"))
        self._reports += 1
        seconds = _figure(event.get("seconds"))
        self.seconds_per_report = None if seconds is None else seconds / self._reports
        _put(self.losses, step, {key: value for key, value in _figures(event).items() if key.endswith("loss")})
        _put(self.learned, step, _figures(event.get("learned")))

    def _on_validated(self, event: Event) -> None:
        step = self._reach(event)
        if step is None:
            return
        _put(self.dice, step, _figures(event.get("dice")))
        _put(self.scans, step, _figures(event.get("scans")))
        self.note = _text(event.get("note")) or self.note
        self.may_stop = bool(event.get("advice"))

    def _on_preview(self, event: Event) -> None:
        step, paths = self._reach(event), event.get("paths")
        if step is None or not isinstance(paths, Mapping):
            return
        names = {str(role): name for role, name in paths.items() if isinstance(name, str) and name == PurePath(name).name}
        self.previews = [preview for preview in self.previews if preview.step < step]
        self.previews.append(Preview(step, names))

    def _on_checkpoint(self, event: Event) -> None:
        step = self._reach(event)
        self.checkpoint = self.checkpoint if step is None else step

    def _on_stopped(self, event: Event) -> None:
        self.phase, self.eta_seconds = "stopped", None
        self._reach(event)

    def _on_finished(self, event: Event) -> None:
        self.phase, self.eta_seconds = "finished", None
        self._reach(event)

    def _on_failed(self, event: Event) -> None:
        self.phase, self.eta_seconds = "failed", None
        self.message = _text(event.get("message")) or _text(event.get("error"))
        self.advice = _text(event.get("advice"))

    def _reach(self, event: Event) -> int | None:
        """The event's step, which the run has come to; None where it tells none."""
        step = _whole(event.get("step"))
        if step is not None:
            self.step = max(self.step, step)
        return step


_HANDLERS = {
    "checked": Progress._on_checked,
    "completing": Progress._on_completing,
    "loading": Progress._on_loading,
    "started": Progress._on_started,
    "step": Progress._on_step,
    "validated": Progress._on_validated,
    "preview": Progress._on_preview,
    "checkpoint": Progress._on_checkpoint,
    "stopped": Progress._on_stopped,
    "finished": Progress._on_finished,
    "failed": Progress._on_failed,
}


def _put(curves: Curves, step: int, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        if name not in curves:
            curves[name] = Curve()
        curves[name].put(step, value)


def _whole(value: Any) -> int | None:
    """A step or a count; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _figure(value: Any) -> float | None:
    """A finite number; None for anything else."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) else None


def _figures(values: Any) -> dict[str, float]:
    """The finite numbers among the values of a record."""
    if not isinstance(values, Mapping):
        return {}
    return {str(name): figure for name, value in values.items() if (figure := _figure(value)) is not None}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

"""The record of a report: what was measured of one model, written after every measurement, so that a stopped report goes on where it was.

A record belongs to one model file, known by its sha256; results of another one are not taken over.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from Learn2SynthLib.files import write_json

Measured = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One measurement.

    keys: the part, then the place in it, for example ("accuracy", row, scan). measure: returns what is kept of it, JSON-ready.
    writes: files that it leaves besides; where one of them is gone, it is measured again.
    """

    keys: tuple[str, ...]
    measure: Callable[[], Measured]
    writes: tuple[Path, ...] = ()


class Record:
    """A JSON file: `head` (the model, versions, machine), and under each part's name what was measured."""

    def __init__(self, path: Path, head: Mapping[str, Any]) -> None:
        self.path = path
        stored = read(path)
        same = stored.get("model", {}).get("sha256") == head["model"]["sha256"]
        if stored and not same:
            print(f"{path} is about another model, and is begun anew", flush=True)
        self.content: Measured = {**(stored if same else {}), **head}

    def holds(self, task: Task) -> bool:
        place: Any = self.content
        for key in task.keys:
            place = place.get(key, {})
        return bool(place) and all(path.is_file() for path in task.writes)

    def keep(self, task: Task, measured: Measured) -> None:
        place = self.content
        for key in task.keys[:-1]:
            place = place.setdefault(key, {})
        place[task.keys[-1]] = measured
        write_json(self.path, self.content)


def read(path: Path) -> Measured:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def measure(tasks: Iterable[Task], record: Record) -> None:
    """Every task that the record does not hold, telling after each what was found and how long the others will take."""
    pending = [task for task in tasks if not record.holds(task)]
    took: dict[str, list[float]] = defaultdict(list)
    for count, task in enumerate(pending, 1):
        begun = time.perf_counter()
        measured = task.measure()
        record.keep(task, measured)
        took[task.keys[0]].append(time.perf_counter() - begun)
        left = seconds_left(pending[count:], took)
        print(f"[{count}/{len(pending)}] {', '.join(task.keys)}: {told(measured)}{took[task.keys[0]][-1]:.1f} s, {left / 60:.0f} min left", flush=True)


def seconds_left(pending: Sequence[Task], took: Mapping[str, Sequence[float]]) -> float:
    """By the mean of the same part; by that of all, where none of it was measured yet."""
    known = [seconds for part in took.values() for seconds in part]
    return sum(fmean(took.get(task.keys[0]) or known) for task in pending)


def told(measured: Measured) -> str:
    return f"Dice {measured['dice']['mean']:.3f}, " if "mean" in measured.get("dice", {}) else ""

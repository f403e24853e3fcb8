"""Label tables: what the numbers in a label map mean, and how one numbering becomes another.

FreeSurfer's ids are the hub. Every label names the FreeSurfer ids that it stands for (the first one is how it is written as
FreeSurfer id), so a label map in any table becomes a segmentation target in any other, and the tissue class that gives it
its intensity in a synthetic image is looked up by the same id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from .errors import InputError, nearest
from .resources import read_named

SIDES = ("left", "right", "both")
BACKGROUND = "background"


@dataclass(frozen=True)
class Label:
    """One row of a table.

    value: the number in the label map. colour: RGB, 0 to 255. freesurfer: the FreeSurfer ids it stands for, none for a
    structure that FreeSurfer does not know. generation: the tissue class whose labels share one intensity distribution in
    synthesis. scored: counts in mean Dice. largest_component: a segmentation keeps only its largest connected part.
    """

    value: int
    name: str
    colour: tuple[int, int, int]
    freesurfer: tuple[int, ...] = ()
    side: str = "both"
    generation: str = BACKGROUND
    scored: bool = True
    largest_component: bool = False


@dataclass(frozen=True)
class LabelTable:
    """A named list of labels, values unique, value 0 always background."""

    name: str
    labels: tuple[Label, ...]
    source: str = ""

    def __post_init__(self) -> None:
        values = [label.value for label in self.labels]
        repeated = sorted({value for value in values if values.count(value) > 1})
        if repeated:
            raise InputError(f"label table '{self.name}'", f"values {repeated} appear twice", "each value once")
        if 0 not in values:
            raise InputError(f"label table '{self.name}'", "no label has value 0", "value 0 is the background")

    @property
    def values(self) -> tuple[int, ...]:
        return tuple(label.value for label in self.labels)

    @property
    def foreground(self) -> tuple[Label, ...]:
        return tuple(label for label in self.labels if label.value != 0)

    def __getitem__(self, value: int) -> Label:
        return self._by_value[value]

    @property
    def _by_value(self) -> dict[int, Label]:
        return {label.value: label for label in self.labels}

    def unknown(self, values: Iterable[int]) -> list[int]:
        """Those of `values` that are not in the table, sorted."""
        return sorted(set(values) - set(self.values))

    def mapping_to(self, target: LabelTable) -> dict[int, int]:
        """value here -> value in `target`, by FreeSurfer id; 0 where the target does not know the structure."""
        if target == self:
            return {value: value for value in self.values}
        by_id = {i: label.value for label in target.labels for i in label.freesurfer}
        return {label.value: next((by_id[i] for i in label.freesurfer if i in by_id), 0) for label in self.labels}

    def mirrored(self) -> dict[int, int]:
        """value -> value after a left/right flip: sided labels swap with the namesake of the other side, others stay."""
        swap = {"left": "right", "right": "left", "both": "both"}
        by_key = {(_unsided(label.name), label.side): label.value for label in self.labels}
        return {label.value: by_key.get((_unsided(label.name), swap[label.side]), label.value) for label in self.labels}

    def to_json(self) -> dict[str, Any]:
        return {"schema": 1, "name": self.name, "source": self.source, "labels": [asdict(label) for label in self.labels]}

    @classmethod
    def from_json(cls, record: Mapping[str, Any], where: object) -> LabelTable:
        """Raises InputError on a record that is not a label table."""
        if not isinstance(record, Mapping) or not isinstance(record.get("labels"), list) or not record["labels"]:
            raise InputError(where, "no list 'labels'", 'a label table: {"name": ..., "labels": [{"value": 0, "name": "background"}, ...]}')
        labels = tuple(_label_from_json(entry, f"{where}, label {index}") for index, entry in enumerate(record["labels"]))
        return cls(str(record.get("name", Path(str(where)).stem)), labels, str(record.get("source", "")))


def _unsided(name: str) -> str:
    words = name.replace("-", " ").replace("_", " ").lower().split()
    return " ".join(word for word in words if word not in ("left", "right"))


def _label_from_json(entry: Any, where: str) -> Label:
    known = Label.__dataclass_fields__
    if not isinstance(entry, Mapping):
        raise InputError(where, f"{entry!r} is not an object")
    for key in entry:
        if key not in known:
            raise InputError(where, f"unknown key '{key}'", remedy=nearest(key, known))
    if not isinstance(entry.get("value"), int) or not isinstance(entry.get("name"), str):
        raise InputError(where, "needs 'value' (a whole number) and 'name' (a text)")
    ids = entry.get("freesurfer", [])
    ids = tuple(ids) if isinstance(ids, (list, tuple)) else (ids,)
    if not all(isinstance(number, int) and abs(number) < 2**31 for number in (entry["value"], *ids)):
        raise InputError(where, f"value {entry['value']!r}, freesurfer {list(ids)!r}", "whole numbers of at most 32 bits")
    side = entry.get("side", "both")
    if side not in SIDES:
        raise InputError(where, f"side '{side}'", ", ".join(SIDES))
    colour = entry["colour"] if "colour" in entry else _colour_of(entry["value"], ids)
    if not (isinstance(colour, (list, tuple)) and len(colour) == 3 and all(isinstance(c, int) and 0 <= c <= 255 for c in colour)):
        raise InputError(where, f"colour {colour!r}", "three whole numbers from 0 to 255")
    generation = entry["generation"] if "generation" in entry else _generation_of(entry["name"], ids)
    return Label(
        entry["value"],
        entry["name"],
        tuple(colour),
        ids,
        side,
        generation,
        bool(entry.get("scored", entry["value"] != 0)),
        bool(entry.get("largest_component", False)),
    )


def _hub(ids: tuple[int, ...]) -> Label | None:
    """FreeSurfer's own row for the first id that it knows."""
    table = load_table("freesurfer")._by_value
    return next((table[i] for i in ids if i in table), None)


def _generation_of(name: str, ids: tuple[int, ...]) -> str:
    hub = _hub(ids) if ids else None
    return hub.generation if hub else name


def _colour_of(value: int, ids: tuple[int, ...]) -> tuple[int, int, int]:
    """FreeSurfer's colour; for labels FreeSurfer does not know, a fixed bright one per value."""
    if value == 0:
        return (0, 0, 0)
    hub = _hub(ids) if ids else None
    return hub.colour if hub else tuple(64 + value * step % 192 for step in (67, 113, 179))  # type: ignore[return-value]


@lru_cache(maxsize=None)
def load_table(name_or_path: str) -> LabelTable:
    """A table by name (`freesurfer`, `neuromorphometrics`, `muse`, `brain`, ...) or from a JSON file.

    Raises InputError, naming the nearest known table, when there is none of that name.
    """
    record, path = read_named("Labels", name_or_path, "label table")
    return LabelTable.from_json(record, path)

"""Label tables: what the numbers in a label map mean, and how one numbering becomes another.

FreeSurfer's ids are the hub. Every label names the FreeSurfer ids that it stands for (the first one is how it is written as
FreeSurfer id), so a label map in any table becomes a segmentation target in any other, and the tissue class that gives it
its intensity in a synthetic image is looked up by the same id.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from .errors import InputError, nearest
from .resources import find_named, read_named

SIDES = ("left", "right", "both")
_SIDE_WORDS = (("left", "right"), ("lh", "rh"), ("l", "r"))
_PARCELS = 1000  # FreeSurfer ids from here on are of parcels, of the cortex and below it
MARK = "learn2synth labels: "  # what the header of a segmentation begins with that says what its numbers mean
BACKGROUND, FLUID, OUTSIDE = "background", "cerebrospinal fluid", "extracerebral"


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
    """A named list of labels, values and names unique, value 0 always background."""

    name: str
    labels: tuple[Label, ...]
    source: str = ""

    def __post_init__(self) -> None:
        values = [label.value for label in self.labels]
        for what, entries in (("values", values), ("names", [label.name for label in self.labels])):
            repeated = [entry for entry, times in Counter(entries).items() if times > 1]
            if repeated:
                raise InputError(f"label table '{self.name}'", f"{what} {repeated} appear twice", f"each of the {what} once")
        if 0 not in values:
            raise InputError(f"label table '{self.name}'", "no label has value 0", "value 0 is the background")

    @property
    def mark(self) -> str:
        """Name and checksum of what the numbers mean, in letters and length that headers hold."""
        meanings = repr([(label.value, label.name) for label in self.labels]).encode()
        return f"{MARK}{self.name.encode('ascii', 'replace').decode()[:40]} {zlib.crc32(meanings):08x}"

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

    @cached_property
    def by_freesurfer(self) -> dict[int, int]:
        """FreeSurfer id -> value of the structure that it is found by; where several name an id, the first has it."""
        return {i: label.value for label in reversed(self.foreground) for i in label.freesurfer if i}

    def unknown(self, values: Iterable[int]) -> list[int]:
        """Those of `values` that are not in the table, sorted."""
        return sorted(set(values) - set(self.values))

    def mapping_to(self, target: LabelTable) -> dict[int, int]:
        """value here -> value in `target`, by FreeSurfer id; 0 where the target does not know the structure, or parts it in several."""
        if target == self:
            return {value: value for value in self.values}
        found = {label.value: target.having(label.freesurfer) for label in self.labels}
        return {value: structures[0] if len(structures) == 1 else 0 for value, structures in found.items()} | {0: 0}

    def parted_by(self, target: LabelTable) -> dict[int, list[str]]:
        """value here -> the structures of `target` that share its voxels, where they are several: nobody knows which voxels are whose."""
        found = {label.value: target.having(label.freesurfer) for label in self.foreground if target != self}
        return {value: [target[v].name for v in structures] for value, structures in found.items() if len(structures) > 1}

    def having(self, freesurfer: tuple[int, ...]) -> list[int]:
        """Values of the structures that have some of these FreeSurfer ids. Parcels name themselves first, and then the whole that they are a part of, for
        tables that know no parcels."""
        found = list(dict.fromkeys(self.by_freesurfer[i] for i in freesurfer if i in self.by_freesurfer))
        return found[:1] if freesurfer[:1] >= (_PARCELS,) else found

    def mirrored(self) -> dict[int, int]:
        """value -> value after a left/right flip: a sided label swaps with its namesake of the other side or, without one, with the label whose FreeSurfer
        id is its own on the other side; others stay. Done twice, it changes nothing."""
        by_name = _pairs(self.labels, _unsided_name)
        by_id = _pairs([label for label in self.labels if label.value not in by_name], _unsided_id)
        return {value: value for value in self.values} | by_name | by_id

    def check_flips(self, remedy: str) -> None:
        """Raises InputError when a flip would leave a sided label on the wrong side. remedy: how to do without flips."""
        mirrored = self.mirrored()
        alone = [label for label in self.labels if label.side != "both" and mirrored[label.value] == label.value]
        if alone:
            more = f" (and {len(alone) - 1} more)" if len(alone) > 1 else ""
            found = f"'{alone[0].name}' (value {alone[0].value}, {alone[0].side}){more} has no partner that a left/right flip could swap it with"
            raise InputError(f"label table '{self.name}'", found, remedy=f'give both their "side" and names alike but for it, or {remedy}')

    def to_json(self) -> dict[str, Any]:
        return {"schema": 1, "name": self.name, "source": self.source, "labels": [asdict(label) for label in self.labels]}

    @classmethod
    def from_json(cls, record: Mapping[str, Any], where: object) -> LabelTable:
        """Raises InputError on a record that is not a label table."""
        if not isinstance(record, Mapping) or not isinstance(record.get("labels"), list) or not record["labels"]:
            raise InputError(where, "no list 'labels'", 'a label table: {"name": ..., "labels": [{"value": 0, "name": "background"}, ...]}')
        labels = [_label_from_json(entry, f"{where}, label {index}") for index, entry in enumerate(record["labels"])]
        return cls(str(record.get("name", Path(str(where)).stem)), _with_sides(labels), str(record.get("source", "")))


def table_marked(mark: str) -> str:
    """The table's name in a `LabelTable.mark`."""
    return mark.removeprefix(MARK).rpartition(" ")[0]


def is_outside(tissue: str) -> bool:
    """Whether a tissue class lies about the brain."""
    return tissue == BACKGROUND or tissue.startswith(OUTSIDE)


def is_brain(tissue: str) -> bool:
    """Whether a tissue class is of the brain itself, its ventricles too."""
    return tissue != FLUID and not is_outside(tissue)


def side_of(name: str) -> str:
    """The side that a name tells ("Left-Hippocampus", "Hippocampus L", "lh_hippocampus", "LeftHippocampus"), `both` where it tells none."""
    return _split_side(name)[0]


def _unsided_name(label: Label) -> str:
    return _split_side(label.name)[1]


def _split_side(name: str) -> tuple[str, str]:
    """(side, the words but for those that tell it); a single letter counts only where nothing plainer does ("Left-L-Sg")."""
    words = re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    for notation in _SIDE_WORDS:
        told = {word for word in words if word in notation}
        if told:
            side = "both" if len(told) > 1 else SIDES[notation.index(told.pop())]
            return side, " ".join(word for word in words if word not in notation)
    return "both", " ".join(words)


def _pairs(labels: Sequence[Label], key: Callable[[Label], Hashable]) -> dict[int, int]:
    """value -> value on the other side, where just one label of either side has that key (None: no key)."""
    groups: dict[Hashable, list[Label]] = {}
    for label in labels:
        if label.side != "both" and key(label) is not None:
            groups.setdefault(key(label), []).append(label)
    pairs = [(one.value, two.value) for one, two in (group for group in groups.values() if len(group) == 2) if one.side != two.side]
    return {one: two for pair in pairs for one, two in (pair, pair[::-1])}


def _unsided_id(label: Label) -> int | None:
    """The left one of the pair that the label's FreeSurfer id belongs to; None for an id of no side.

    Parcels of cortex and white matter are numbered alike in the thousands: left 1, 3, 11 and 13, right 2, 4, 12 and 14 (FreeSurferColorLUT).
    """
    own = label.freesurfer[0] if label.freesurfer else 0
    if own // 1000 in (1, 2, 3, 4, 11, 12, 13, 14):
        return own - 1000 * (own // 1000 % 2 == 0)
    return _named_pairs().get(own)


@lru_cache(maxsize=None)
def _named_pairs() -> dict[int, int]:
    """FreeSurfer id -> the left one of its pair, for those that FreeSurfer names alike."""
    hub = load_table("freesurfer")
    return {one: one if hub[one].side == "left" else two for one, two in _pairs(hub.labels, _unsided_name).items()}


def _with_sides(labels: Sequence[Label]) -> tuple[Label, ...]:
    """A side that is not said ("") follows from the name, or else from the FreeSurfer ids.

    Ids of one side alone tell nothing: a table of parts of "the hippocampus, 17" means that of either side.
    """
    if all(label.side for label in labels):
        return tuple(labels)
    by_id = [_side_of_ids(label.freesurfer) for label in labels]
    if not {"left", "right"} <= set(by_id):
        by_id = ["both"] * len(labels)
    by_name = [side_of(label.name) for label in labels]
    inferred = [named if named != "both" else known for named, known in zip(by_name, by_id)]
    return tuple(label if label.side else replace(label, side=side) for label, side in zip(labels, inferred))


def _side_of_ids(ids: Iterable[int]) -> str:
    table = load_table("freesurfer")._by_value
    sides = {table[i].side for i in ids if i in table} - {"both"}
    return sides.pop() if len(sides) == 1 else "both"


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
    side = entry.get("side", "")
    if "side" in entry and side not in SIDES:
        raise InputError(where, f"side '{side}'", ", ".join(SIDES))
    colour = entry["colour"] if "colour" in entry else _colour_of(entry["value"], ids)
    if not (isinstance(colour, (list, tuple)) and len(colour) == 3 and all(isinstance(c, int) and 0 <= c <= 255 for c in colour)):
        raise InputError(where, f"colour {colour!r}", "three whole numbers from 0 to 255")
    generation = entry["generation"] if "generation" in entry else _generation_of(entry["name"], ids)
    if not isinstance(generation, str):
        raise InputError(where, f"generation {generation!r}", "a text: labels of the same text are one tissue")
    unclear = [key for key in ("scored", "largest_component") if not isinstance(entry.get(key, True), bool)]
    if unclear:
        raise InputError(where, f"{unclear[0]} {entry[unclear[0]]!r}", "true or false")
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


def some(values: Sequence[int]) -> str:
    """Values in words, the first five of many."""
    return ", ".join(map(str, values[:5])) + (f", ... ({len(values)} of them)" if len(values) > 5 else "")


def load_table(name_or_path: str) -> LabelTable:
    """A table by name (`freesurfer`, `neuromorphometrics`, `muse`, `brain`, ...) or from a JSON file.

    Raises InputError, naming the nearest known table, when there is none of that name.
    """
    state = find_named("Labels", name_or_path, "label table").stat()
    return _table(name_or_path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _table(name_or_path: str, _changed_ns: int, _size: int) -> LabelTable:
    """Users edit their tables while Slicer is open: what a number means must not be remembered from before."""
    record, path = read_named("Labels", name_or_path, "label table")
    return LabelTable.from_json(record, path)

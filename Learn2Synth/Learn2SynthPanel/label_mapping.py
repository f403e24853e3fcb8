"""What the numbers found in label maps become in the target, as a table that the user edits."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import Label, LabelTable, load_table, side_of

NOT_USED = 0  # becomes background in the target
UNDECIDED = -1
_EDITED = " edited"


@dataclass(frozen=True)
class Row:
    """One value found in label maps.

    target: value of its structure in the target table, NOT_USED for none, UNDECIDED while nobody has said what a value that is not known
    counts as. known: the source table says what it counts as. files: how many label maps have it.
    """

    value: int
    name: str
    target: int
    known: bool
    files: int


class LabelMapping:
    """Every value found in label maps and the structure of the target that it counts as.

    It starts as the source table says; values that this table does not know, or that are several structures of the target, start as UNDECIDED,
    and a training refuses them: where there are many, the source table is the wrong one.
    """

    def __init__(self, source: LabelTable, target: LabelTable, found: Mapping[int, int], names: Mapping[int, str] | None = None) -> None:
        """found: value -> how many label maps have it. names: value -> name, for values that the source table does not know."""
        self.source, self.target = source, target
        self._found = {value: files for value, files in found.items() if value != 0}
        self._names = {value: name for value, name in (names or {}).items() if value not in source.values and value != 0}
        parted = source.parted_by(target)
        self._usual = {value: structure for value, structure in source.mapping_to(target).items() if value not in parted}
        self._edits: dict[int, int] = {}
        self._structure_of = target.by_freesurfer

    @property
    def rows(self) -> list[Row]:
        """One row per value, those that are not known first, each part by value; background is not listed."""
        known = self._usual
        values = sorted({*self._found, *self._names}, key=lambda value: (value in known, value))
        return [Row(value, self._name(value), self._structure(value), value in known, self._found.get(value, 0)) for value in values]

    @property
    def choices(self) -> list[Label]:
        """Structures that a value can be assigned to: those of the target that have a FreeSurfer id, by which tables find each other."""
        reached = set(self._structure_of.values())
        return [label for label in self.target.foreground if label.value in reached]

    @property
    def undecided(self) -> list[int]:
        """Values that nobody knows the meaning of yet."""
        return [row.value for row in self.rows if row.target == UNDECIDED]

    @property
    def changed(self) -> bool:
        """The source table does not say what the rows say: `table()` has to be used in its place."""
        return bool(self._edits)

    def assign(self, value: int, target_value: int) -> None:
        """Count `value` as that structure of the target, or as NOT_USED; UNDECIDED takes back what was said of a value that is not known.

        Raises InputError on a value or structure that is not there.
        """
        if value not in self._found and value not in self._names:
            raise InputError("label mapping", f"value {value} is in none of the label maps")
        choices = {NOT_USED: "not used"} | {label.value: label.name for label in self.choices}
        if target_value not in choices and target_value != self._usual.get(value, UNDECIDED):
            raise InputError("label mapping", f"'{self.target.name}' has no structure {target_value} with a FreeSurfer id", ", ".join(choices.values()))
        self._edits.pop(value, None)
        if target_value != self._structure(value):
            self._edits[value] = target_value

    def table(self) -> LabelTable:
        """The source table with the edits in it; `mapping_to(target)` gives what the rows say, and does not know what is undecided.

        A value that was assigned gets the FreeSurfer ids, tissue class and colour of its structure; one that is not used keeps
        its own tissue class. Raises InputError for a structure that no edited table can reach, because it has no FreeSurfer id.
        """
        found = {row.value: self._record(row) for row in self.rows if row.target != UNDECIDED}
        records = {label.value: asdict(label) for label in self.source.labels} | found
        name = self.source.name.removesuffix(_EDITED) + _EDITED
        return LabelTable.from_json({"name": name, "source": self.source.source, "labels": list(records.values())}, "label mapping")

    def to_json(self) -> dict[str, Any]:
        """What was found and edited; the tables are only named."""
        maps: dict[str, Mapping[int, Any]] = {"found": self._found, "names": self._names, "edits": self._edits}
        record = {key: {str(value): entry for value, entry in entries.items()} for key, entries in maps.items()}
        return record | {"source": self.source.name, "target": self.target.name}

    @classmethod
    def from_json(cls, record: Mapping[str, Any], source: LabelTable, target: LabelTable) -> LabelMapping:
        """The mapping of `to_json`; edits made for another pair of tables are dropped, because their numbers mean something else."""
        found, names, edits = ({int(value): entry for value, entry in record[key].items()} for key in ("found", "names", "edits"))
        mapping = cls(source, target, found, names)
        if (record["source"], record["target"]) == (source.name, target.name):
            for value, target_value in edits.items():
                with suppress(InputError):  # a table of the user's own may have lost a structure since
                    mapping.assign(value, target_value)
        return mapping

    def _name(self, value: int) -> str:
        return self.source[value].name if value in self.source.values else self._names.get(value, f"label {value}")

    def _structure(self, value: int) -> int:
        return self._edits.get(value, self._usual.get(value, UNDECIDED))

    def _record(self, row: Row) -> dict[str, Any]:
        """The row as an entry of a label table; what an entry leaves out follows from its name and ids."""
        record: dict[str, Any] = {"value": row.value, "name": row.name, "freesurfer": (), "side": side_of(row.name)}
        if row.value in self.source.values:
            record = asdict(self.source[row.value])
        says = self.target.having(tuple(record["freesurfer"])) or [NOT_USED]
        if says == [row.target]:
            return record
        if row.target == NOT_USED:
            return record | {"freesurfer": ()}
        return record | self._like_structure(self.target[row.target], record["side"])

    def _like_structure(self, structure: Label, side: str) -> dict[str, Any]:
        side = structure.side if structure.side != "both" else side
        ids = [i for i in structure.freesurfer if self._structure_of.get(i) == structure.value]
        if not ids:
            raise InputError(f"label table '{self.target.name}'", f"structure '{structure.name}' has no FreeSurfer id of its own", remedy="give it one")
        own_side = [i for i in ids if side in ("both", _side_of_id(i))]
        return {"freesurfer": tuple(own_side or ids), "side": side, "generation": structure.generation, "colour": structure.colour}


def _side_of_id(freesurfer_id: int) -> str:
    hub = load_table("freesurfer")
    return hub[freesurfer_id].side if freesurfer_id in hub.values else "both"

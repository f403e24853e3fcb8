"""A label table of the structures that a user drew, so that a network can learn just these."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from Learn2SynthLib.files import write_json
from Learn2SynthLib.labels import Label, LabelTable, load_table

from .scene.labels import FIRST_NEW_VALUE, values_for

_KNOWN = ("brain-sided", "brain", "freesurfer")  # where a structure of the same name is looked for; the first that has it counts


def drawn_table(names: Iterable[str]) -> LabelTable:
    """Of structures of these names, numbered from 1 on in alphabetical order.

    One that a usual table knows gets its FreeSurfer ids, by which label maps in other tables hold it too, its tissue class and its colour.
    """
    names = sorted(set(names))
    records = [{"value": 0, "name": "background"}, *({**_known(name), "value": k + 1, "name": name} for k, name in enumerate(names))]
    return LabelTable.from_json({"name": ", ".join(names), "labels": records}, "the structures that were drawn")


def keep_table(table: LabelTable, folder: Path) -> Path:
    """Writes the table into the folder, once: the same structures have the same file. Raises InputError where the disk refuses."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", table.name).strip("-")[:40]
    path = folder / f"{plain or 'structures'}-{sha256(table.name.encode()).hexdigest()[:6]}.json"
    if not path.is_file():
        write_json(path, table.to_json())
    return path


def _known(name: str) -> dict[str, object]:
    label = next(filter(None, (_named(name, load_table(table)) for table in _KNOWN)), None)
    return {key: value for key, value in asdict(label).items() if key in ("freesurfer", "generation", "colour")} if label else {}


def _named(name: str, table: LabelTable) -> Label | None:
    value = values_for([name], table)[name]
    return table[value] if value < FIRST_NEW_VALUE else None

"""The table of what a user drew: known structures find each other in all tables, new ones are new."""

from __future__ import annotations

from pathlib import Path

import pytest
from Learn2SynthPanel.drawn import drawn_table, keep_table

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import load_table

FREESURFER = load_table("freesurfer")


def test_known_structures_are_found_in_other_label_maps_and_new_ones_are_tissues_of_their_own() -> None:
    table = drawn_table(["Left-Hippocampus", "Läsion", "hippocampus_right", "thalamus"])
    assert [(label.value, label.name, label.side) for label in table.labels] == [
        (0, "background", "both"), (1, "Left-Hippocampus", "left"), (2, "Läsion", "both"), (3, "hippocampus_right", "right"), (4, "thalamus", "both"),
    ]  # fmt: skip
    assert {value: row for value, row in FREESURFER.mapping_to(table).items() if row} == {17: 1, 53: 3, 9: 4, 10: 4, 48: 4, 49: 4}
    assert [label.generation for label in table.foreground] == ["hippocampus", "Läsion", "hippocampus", "thalamus"]
    table.check_flips("nothing")


def test_the_same_structures_have_the_same_file(tmp_path: Path) -> None:
    folder = tmp_path / "gibt es noch nicht"
    one, other = (keep_table(drawn_table(names), folder) for names in (["a", "b/c: d"], ["b/c: d", "a"]))
    assert one == other and load_table(str(one)) == drawn_table(["a", "b/c: d"])
    assert keep_table(drawn_table(["a", "b-c- d"]), folder) != one and len(list(folder.iterdir())) == 2


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError):
        keep_table(drawn_table(["a"]), tmp_path / "file")

"""The editable mapping: rows say what the written table does, whatever was edited."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from Learn2SynthPanel.label_mapping import NOT_USED, UNDECIDED, LabelMapping, Row

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.files import write_json
from Learn2SynthLib.labels import Label, LabelTable, load_table

FREESURFER, BRAIN, SIDED = load_table("freesurfer"), load_table("brain"), load_table("brain-sided")
HIPPOCAMPUS, AMYGDALA, THALAMUS = 10, 11, 6
FOUND = {0: 3, 17: 3, 53: 3, 24: 2, 777: 1}
TARGETS = ["brain", "brain-sided", "brain-coarse"]
SOURCES = ["freesurfer", "neuromorphometrics", "muse", "brain", "brain-sided"]


def mapping(target: LabelTable = BRAIN, names: dict[int, str] | None = None) -> LabelMapping:
    return LabelMapping(FREESURFER, target, FOUND, names)


def said_by_rows(edited: LabelMapping) -> dict[int, int]:
    return {row.value: row.target for row in edited.rows}


def done_by_table(edited: LabelMapping, table: LabelTable) -> dict[int, int]:
    done = table.mapping_to(edited.target)
    return {row.value: done[row.value] for row in edited.rows}


# --- rows


def test_rows_say_what_was_found_unknown_values_first_and_no_background() -> None:
    assert mapping(names={10000: "left lesion"}).rows == [
        Row(777, "label 777", UNDECIDED, False, 1),
        Row(10000, "left lesion", UNDECIDED, False, 0),
        Row(17, "Left-Hippocampus", HIPPOCAMPUS, True, 3),
        Row(24, "CSF", NOT_USED, True, 2),
        Row(53, "Right-Hippocampus", HIPPOCAMPUS, True, 3),
    ]


def test_an_edit_changes_its_row_only_and_keeps_the_order() -> None:
    edited = mapping()
    before = {row.value: row for row in edited.rows}
    edited.assign(17, AMYGDALA)
    assert [row.value for row in edited.rows] == list(before)
    assert [row for row in edited.rows if row != before[row.value]] == [Row(17, "Left-Hippocampus", AMYGDALA, True, 3)]


def test_a_name_of_the_table_is_not_overruled() -> None:
    assert mapping(names={17: "something else"}).rows == mapping().rows


def test_the_table_is_used_by_name_as_long_as_it_knows_all_and_nothing_is_edited() -> None:
    known = LabelMapping(FREESURFER, BRAIN, {0: 1, 17: 1})
    assert not known.changed and known.undecided == []
    known.assign(17, AMYGDALA)
    assert known.changed
    known.assign(17, HIPPOCAMPUS)
    assert not known.changed


def test_an_unknown_value_is_not_in_the_table_before_somebody_has_said_what_it_means() -> None:
    edited = mapping()
    assert edited.undecided == [777] and not edited.changed and 777 not in edited.table().values
    edited.assign(777, NOT_USED)
    assert edited.undecided == [] and edited.changed and edited.table()[777].freesurfer == ()


def test_a_value_that_is_several_structures_of_the_target_waits_for_a_decision() -> None:
    edited = LabelMapping(BRAIN, SIDED, {THALAMUS: 1})
    assert edited.undecided == [THALAMUS] and edited.rows[0].name == "thalamus" and not edited.changed
    assert edited.table().parted_by(SIDED)[THALAMUS] == ["left thalamus", "right thalamus"]  # which a check refuses
    for structure in (NOT_USED, next(label.value for label in SIDED.labels if label.name == "right thalamus")):
        edited.assign(THALAMUS, structure)
        assert edited.undecided == [] and edited.changed
        assert edited.table().mapping_to(SIDED)[THALAMUS] == structure and THALAMUS not in edited.table().parted_by(SIDED)


def test_what_was_said_of_an_unknown_value_can_be_taken_back() -> None:
    edited = mapping()
    edited.assign(777, THALAMUS)
    edited.assign(777, UNDECIDED)
    assert edited.undecided == [777] and not edited.changed
    with pytest.raises(InputError, match="no structure -1"):
        edited.assign(17, UNDECIDED)


def test_choices_are_the_structures_of_the_target() -> None:
    assert [label.name for label in mapping().choices] == [label.name for label in BRAIN.foreground]


@pytest.mark.parametrize(
    ("value", "target", "words"), [(18, HIPPOCAMPUS, "value 18 is in none"), (17, 99, "'brain' has no structure 99 .* allowed: not used, cerebral white")]
)
def test_what_is_not_there_cannot_be_assigned(value: int, target: int, words: str) -> None:
    edited = mapping()
    with pytest.raises(InputError, match=words):
        edited.assign(value, target)
    assert not edited.to_json()["edits"]


# --- the table that is written


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source", SOURCES)
def test_every_structure_can_be_reached_from_every_value_of_every_table(source: str, target: str) -> None:
    table = load_table(source)
    values = [*(label.value for label in table.foreground), 7777]
    edited = LabelMapping(table, load_table(target), dict.fromkeys(values, 1))
    structures = [NOT_USED, *(label.value for label in edited.choices)]
    for shift in range(len(structures)):
        for place, value in enumerate(values):
            edited.assign(value, structures[(place + shift) % len(structures)])
        assert done_by_table(edited, edited.table()) == said_by_rows(edited)


def test_the_edited_table_survives_its_file(tmp_path: Path) -> None:
    edited = mapping(SIDED, {10000: "Hippocampe à gauche"})
    edited.assign(777, 5)
    edited.assign(53, NOT_USED)
    edited.assign(10000, 3)
    write_json(tmp_path / "labels.json", edited.table().to_json())
    read = load_table(str(tmp_path / "labels.json"))
    assert read == edited.table() and read.name == "freesurfer edited"
    assert done_by_table(edited, read) == said_by_rows(edited)
    assert read[10000].name == "Hippocampe à gauche"


def test_what_was_not_edited_stays_as_it_was() -> None:
    edited = mapping()
    edited.assign(17, AMYGDALA)
    table = edited.table()
    assert {label.value for label in table.labels} == set(FREESURFER.values)
    assert [label for label in FREESURFER.labels if table[label.value] != label] == [FREESURFER[17]]


def test_an_assigned_value_looks_like_its_structure() -> None:
    edited = mapping()
    edited.assign(777, THALAMUS)
    label = edited.table()[777]
    assert (label.generation, label.colour, label.side) == ("thalamus", BRAIN[THALAMUS].colour, "both")
    assert label.freesurfer == BRAIN[THALAMUS].freesurfer


def test_an_unused_value_keeps_its_tissue() -> None:
    edited = mapping(names={10000: "lesion"})
    edited.assign(17, NOT_USED)
    edited.assign(10000, NOT_USED)
    table = edited.table()
    assert table[17].generation == "hippocampus" and table[17].freesurfer == () and table[17].side == "left"
    assert table[24] == FREESURFER[24]  # fluid was not used before either
    assert table[10000].generation == "lesion" and table[10000].freesurfer == ()


def test_sides_are_kept_and_take_the_ids_of_their_side() -> None:
    edited = mapping(names={10000: "Left_blob", 10001: "right blob"})
    for value in (17, 10000, 10001):
        edited.assign(value, AMYGDALA)
    table = edited.table()
    assert [(table[value].side, table[value].freesurfer) for value in (17, 10000, 10001)] == [("left", (18,)), ("left", (18,)), ("right", (54,))]
    assert table.mirrored()[10000] == 10001
    assert SIDED[table.mapping_to(SIDED)[10001]].name == "right amygdala"


def test_the_side_of_a_sided_structure_wins() -> None:
    edited = mapping(SIDED)
    right = next(label for label in SIDED.labels if label.name == "right hippocampus")
    edited.assign(17, right.value)
    assert edited.table()[17].side == "right" and edited.table()[17].freesurfer == (53,)


def test_editing_an_edited_table_does_not_pile_up_names() -> None:
    first = mapping()
    first.assign(777, THALAMUS)
    second = LabelMapping(first.table(), BRAIN, FOUND)
    assert not second.changed and said_by_rows(second)[777] == THALAMUS
    second.assign(777, AMYGDALA)
    assert second.table().name == "freesurfer edited" and second.table()[777].freesurfer == BRAIN[AMYGDALA].freesurfer


def test_a_structure_without_freesurfer_id_is_no_choice_and_is_refused_once_the_table_changes() -> None:
    own = LabelTable("own", (Label(0, "background", (0, 0, 0), (0,)), Label(1, "lesion", (9, 9, 9)), Label(2, "stem", (8, 8, 8), (16,))))
    edited = LabelMapping(own, own, {1: 1, 2: 1})
    assert said_by_rows(edited) == {1: 1, 2: 2} and not edited.changed
    assert [label.name for label in edited.choices] == ["stem"]
    edited.assign(2, NOT_USED)
    with pytest.raises(InputError, match="'own': structure 'lesion' has no FreeSurfer id"):
        edited.table()
    edited.assign(1, NOT_USED)
    assert done_by_table(edited, edited.table()) == {1: 0, 2: 0}


# --- state of the panel


def test_the_state_survives_json() -> None:
    edited = mapping(names={10000: "left lesion"})
    edited.assign(10000, AMYGDALA)
    edited.assign(17, NOT_USED)
    again = LabelMapping.from_json(json.loads(json.dumps(edited.to_json())), FREESURFER, BRAIN)
    assert again.rows == edited.rows and again.table() == edited.table() and again.changed


@pytest.mark.parametrize(("source", "target"), [(FREESURFER, SIDED), (load_table("muse"), BRAIN)])
def test_edits_for_other_tables_are_dropped(source: LabelTable, target: LabelTable) -> None:
    edited = mapping()
    edited.assign(17, AMYGDALA)
    again = LabelMapping.from_json(edited.to_json(), source, target)
    assert again.rows == LabelMapping(source, target, FOUND).rows


def test_an_edit_to_a_structure_that_the_table_has_lost_is_dropped() -> None:
    edited = mapping()
    edited.assign(17, AMYGDALA)
    edited.assign(53, THALAMUS)
    smaller = LabelTable("brain", tuple(label for label in BRAIN.labels if label.value != AMYGDALA))
    again = LabelMapping.from_json(edited.to_json(), FREESURFER, smaller)
    assert said_by_rows(again) == {777: UNDECIDED, 17: HIPPOCAMPUS, 24: NOT_USED, 53: THALAMUS}

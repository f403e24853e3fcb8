import json
from pathlib import Path

import pytest

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import LabelTable, load_table
from Learn2SynthLib.resources import names

TABLES = names("Labels", ".json")


@pytest.mark.parametrize("name", TABLES)
def test_every_table_survives_json_and_has_a_colour_for_all(name: str) -> None:
    table = load_table(name)
    assert LabelTable.from_json(json.loads(json.dumps(table.to_json())), name) == table
    assert table[0].freesurfer[0] == 0
    assert all(label.colour != (0, 0, 0) for label in table.foreground if label.freesurfer[0] != 0)


@pytest.mark.parametrize("source", ["freesurfer", "neuromorphometrics", "muse"])
@pytest.mark.parametrize("target", ["brain", "brain-sided", "brain-coarse"])
def test_every_source_reaches_every_structure_of_every_target(source: str, target: str) -> None:
    reached = set(load_table(source).mapping_to(load_table(target)).values())
    assert reached == set(load_table(target).values)


@pytest.mark.parametrize(
    ("source", "value", "target", "name"),
    [
        ("freesurfer", 17, "brain", "hippocampus"),
        ("freesurfer", 1025, "brain", "cerebral cortex"),
        ("freesurfer", 2025, "brain-sided", "right cerebral cortex"),
        ("freesurfer", 516, "brain", "background"),
        ("neuromorphometrics", 47, "brain-sided", "right hippocampus"),
        ("neuromorphometrics", 207, "brain-coarse", "cerebral cortex"),
        ("muse", 51, "brain", "lateral ventricle"),
        ("brain", 10, "brain-coarse", "hippocampus amygdala"),
    ],
)
def test_known_labels_go_where_they_belong(source: str, value: int, target: str, name: str) -> None:
    table = load_table(target)
    assert table[load_table(source).mapping_to(table)[value]].name == name


def test_what_the_target_parts_is_nobodys() -> None:
    brain, sided, coarse = (load_table(name) for name in ("brain", "brain-sided", "brain-coarse"))
    parted = brain.parted_by(sided)
    thalamus = next(label.value for label in brain.labels if label.name == "thalamus")
    assert parted[thalamus] == ["left thalamus", "right thalamus"] and brain.mapping_to(sided)[thalamus] == 0
    assert len(parted) == 13 and not sided.parted_by(brain) and not brain.parted_by(coarse) and not brain.parted_by(brain)
    assert {"thalamus", "caudate"} <= {name for names in coarse.parted_by(brain).values() for name in names}


@pytest.mark.parametrize("source", TABLES)
@pytest.mark.parametrize("target", TABLES)
def test_background_stays_background(source: str, target: str) -> None:
    assert load_table(source).mapping_to(load_table(target))[0] == 0


def test_the_first_of_two_labels_has_an_id_that_both_name() -> None:
    labels = [{"value": 0, "name": "background"}, {"value": 1, "name": "head", "freesurfer": [17]}, {"value": 2, "name": "all", "freesurfer": [17, 53]}]
    target = LabelTable.from_json({"labels": labels}, "own")
    assert {value: row for value, row in load_table("freesurfer").mapping_to(target).items() if row} == {17: 1, 53: 2}


def test_a_parcel_is_itself_where_the_target_knows_it_and_its_whole_elsewhere() -> None:
    labels = [{"value": 0, "name": "background"}, {"value": 1, "name": "rest", "freesurfer": [3]}, {"value": 2, "name": "precentral", "freesurfer": [1024]}]
    mapping = load_table("freesurfer").mapping_to(LabelTable.from_json({"labels": labels}, "own"))
    assert (mapping[1024], mapping[1025], mapping[3]) == (2, 1, 1)


@pytest.mark.parametrize("name", TABLES)
def test_a_flip_twice_is_no_flip_and_keeps_the_structure(name: str) -> None:
    table = load_table(name)
    mirrored = table.mirrored()
    for label in table.labels:
        other = table[mirrored[label.value]]
        assert mirrored[other.value] == label.value and other.generation == label.generation
        assert (other.side != label.side) == (label.side != "both" and other.value != label.value)


def test_brain_has_fifteen_structures_of_which_twelve_are_scored() -> None:
    brain = load_table("brain")
    assert len(brain.foreground) == 15 and sum(label.scored for label in brain.foreground) == 12
    assert len(load_table("brain-coarse").foreground) == 7


def test_a_custom_table_takes_colours_and_tissues_from_freesurfer(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(
        json.dumps({"labels": [{"value": 0, "name": "background"}, {"value": 1, "name": "hippo", "freesurfer": [17, 53]}, {"value": 9, "name": "tumour"}]})
    )
    table = load_table(str(path))
    assert table[1].colour == load_table("freesurfer")[17].colour and table[1].generation == "hippocampus"
    assert table[9].generation == "tumour" and table.mapping_to(load_table("brain")) == {0: 0, 1: 10, 9: 0}


def table_of(*rows: dict) -> LabelTable:
    return LabelTable.from_json({"labels": [{"value": 0, "name": "background"}, *rows]}, "mine")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"name": "left hippocampus", "freesurfer": [17]}, {"name": "right hippocampus", "freesurfer": [53]}),
        ({"name": "left hippocampus"}, {"name": "right hippocampus"}),
        ({"name": "hippo A", "freesurfer": [17]}, {"name": "hippo B", "freesurfer": [53]}),
        ({"name": "Hippocampus L"}, {"name": "Hippocampus R"}),
        ({"name": "Hippocampus (L)", "side": "left"}, {"name": "Hippocampus (R)", "side": "right"}),
        ({"name": "lh_hippocampus"}, {"name": "rh_hippocampus"}),
        ({"name": "LeftHippocampus"}, {"name": "RightHippocampus"}),
        ({"name": "Left-L-Sg"}, {"name": "Right-L-Sg"}),
        ({"name": "wm-lh-3001", "freesurfer": [3001]}, {"name": "wm-rh-4001", "freesurfer": [4001]}),
        ({"name": "a", "side": "left", "freesurfer": [13101]}, {"name": "b", "side": "right", "freesurfer": [14101]}),
    ],
)
def test_left_and_right_are_found_by_name_or_id_and_swap(left: dict, right: dict) -> None:
    table = table_of({"value": 1, **left}, {"value": 2, **right}, {"value": 3, "name": "lesion"})
    assert [label.side for label in table.labels] == ["both", "left", "right", "both"]
    assert table.mirrored() == {0: 0, 1: 2, 2: 1, 3: 3}
    table.check_flips("")


def test_parcels_of_freesurfer_swap_by_number() -> None:
    mirrored = load_table("freesurfer").mirrored()
    assert [mirrored[i] for i in (17, 1001, 2035, 11100, 12175, 16)] == [53, 2001, 1035, 12100, 11175, 16]


def test_ids_of_one_side_alone_tell_no_side_and_what_is_said_stands() -> None:
    parts = table_of({"value": 1, "name": "anterior", "freesurfer": [17]}, {"value": 2, "name": "posterior", "freesurfer": [17]})
    said = table_of({"value": 1, "name": "left eye", "side": "both"}, {"value": 2, "name": "hippocampi", "freesurfer": [17, 53]})
    assert {label.side for table in (parts, said) for label in table.labels} == {"both"}


@pytest.mark.parametrize(
    "rows",
    [
        ({"value": 1, "name": "left eye"},),
        ({"value": 1, "name": "left eye"}, {"value": 2, "name": "eye, left"}, {"value": 3, "name": "right eye"}),
        ({"value": 1, "name": "eye", "side": "left"}, {"value": 2, "name": "ear", "side": "right"}),
    ],
)
def test_a_side_without_a_partner_stays_and_is_refused_for_flips(rows: tuple[dict, ...]) -> None:
    table = table_of(*rows)
    assert table.mirrored() == {value: value for value in table.values}
    with pytest.raises(InputError, match=rf"'{rows[0]['name']}' \(value 1, left\).*no partner.*do without"):
        table.check_flips("do without")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({}, "no list 'labels'"),
        ({"labels": [{"value": 1, "name": "x"}]}, "no label has value 0"),
        ({"labels": [{"value": 0, "name": "a"}, {"value": 0, "name": "b"}]}, "twice"),
        ({"labels": [{"value": 0, "name": "a"}, {"value": 1, "name": "b"}, {"value": 2, "name": "b"}]}, r"names \['b'\] appear twice"),
        ({"labels": [{"value": 0, "nam": "a"}]}, "did you mean 'name'"),
        ({"labels": [{"value": "0", "name": "a"}]}, "whole number"),
        ({"labels": [{"value": 0, "name": "a", "side": "up"}]}, "left, right, both"),
        ({"labels": [{"value": 0, "name": "a", "colour": [0, 0, 999]}]}, "0 to 255"),
        ({"labels": [{"value": 0, "name": "a", "generation": 5}]}, "generation 5; allowed: a text"),
        ({"labels": [{"value": 0, "name": "a", "scored": "no"}]}, "scored 'no'; allowed: true or false"),
    ],
)
def test_what_is_no_table_is_refused(record: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        LabelTable.from_json(record, "file")


def test_an_unknown_table_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'neuromorphometrics'"):
        load_table("neuromorphometric")


def test_a_table_that_was_edited_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    for value in (1, 22):
        path.write_text(f'{{"labels": [{{"value": 0, "name": "background"}}, {{"value": {value}, "name": "Left-Hippocampus"}}]}}')
        assert load_table(str(path)).values == (0, value)

"""Evaluation: label maps and folders of them, whatever their numbering, as one JSON record."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.segmentation.evaluation import evaluate, evaluate_paths
from Learn2SynthLib.volume.files import write_label_map
from Learn2SynthLib.volume.image import Grid, LabelMap
from Learn2SynthLib.volume.relabel import relabel

BRAIN = load_table("brain")
CORTEX, THALAMUS = 2, 6


@pytest.fixture
def pair(make_grid: Callable[..., Grid]) -> tuple[LabelMap, LabelMap]:
    """A prediction in `brain` and a reference in FreeSurfer's numbering; the cortex (left and right) is moved by two voxels."""
    grid = make_grid((20, 16, 16), (2, 1, 1))
    found, truth = torch.zeros(grid.shape, dtype=torch.int32), torch.zeros(grid.shape, dtype=torch.int32)
    found[4:8, 4:8, 4:8] = CORTEX
    truth[6:8, 4:8, 4:8], truth[8:10, 4:8, 4:8] = 3, 42
    found[14:16, 4:8, 4:8] = THALAMUS
    return LabelMap(found, grid, "brain"), LabelMap(truth, grid, "freesurfer")


def test_both_numberings_are_compared_in_the_target(pair: tuple[LabelMap, LabelMap]) -> None:
    scores = evaluate(*pair, BRAIN)
    assert scores["dice"]["cerebral cortex"] == 0.5
    assert scores["hd95_mm"]["cerebral cortex"] == 4
    assert scores["volume_difference_mm3"]["cerebral cortex"] == 0
    assert scores["dice"]["hippocampus"] is None


def test_a_structure_that_only_one_has_lowers_the_mean_of_dice(pair: tuple[LabelMap, LabelMap]) -> None:
    scores = evaluate(*pair, BRAIN)
    assert scores["dice"]["thalamus"] == 0
    assert scores["dice"]["mean"] == 0.25
    assert scores["hd95_mm"]["thalamus"] is None
    assert scores["hd95_mm"]["mean"] == 4
    assert scores["volume_difference_mm3"]["thalamus"] == 2 * 4 * 4 * 2


def test_structures_that_are_not_scored_do_not_count_in_the_mean(pair: tuple[LabelMap, LabelMap]) -> None:
    unscored = next(label.value for label in BRAIN.foreground if not label.scored)
    pair[0].data[0:2, 0:2, 0:2] = unscored
    scores = evaluate(*pair, BRAIN)
    assert scores["dice"][BRAIN[unscored].name] == 0
    assert scores["dice"]["mean"] == 0.25


def test_what_a_numbering_cannot_say_is_left_out(pair: tuple[LabelMap, LabelMap]) -> None:
    coarse = LabelMap(relabel(pair[1].data, load_table("freesurfer").mapping_to(load_table("brain-coarse"))), pair[1].grid, "brain-coarse")
    scores = evaluate(pair[0], coarse, BRAIN)
    assert "cerebral cortex" in scores["dice"]
    assert len(scores["dice"]) - 1 < len(BRAIN.foreground)


def test_other_grids_are_refused(pair: tuple[LabelMap, LabelMap], make_grid: Callable[..., Grid]) -> None:
    moved = LabelMap(pair[1].data, make_grid((20, 16, 16), (2, 1, 1), origin=(1, 0, 0)), "freesurfer")
    with pytest.raises(InputError, match=r"ours.nii.*theirs.nii"):
        evaluate(pair[0], moved, BRAIN, ("ours.nii", "theirs.nii"))


def test_values_outside_the_numbering_are_refused(pair: tuple[LabelMap, LabelMap]) -> None:
    pair[0].data[0, 0, 0] = 77
    with pytest.raises(InputError, match=r"prediction: values 77 .*'brain'"):
        evaluate(*pair, BRAIN)


def test_two_files_make_valid_json(pair: tuple[LabelMap, LabelMap], tmp_path: Path) -> None:
    write_label_map(pair[0], tmp_path / "a.nii.gz")
    write_label_map(pair[1], tmp_path / "b.mgz")
    record = evaluate_paths(tmp_path / "a.nii.gz", tmp_path / "b.mgz")
    assert list(record) == ["dice", "hd95_mm", "volume_difference_mm3", "cases"]
    assert record["dice"] == record["cases"][0]["dice"] == evaluate(*pair, BRAIN)["dice"]
    assert record["cases"][0]["prediction"] == str(tmp_path / "a.nii.gz")
    json.dumps(record, allow_nan=False)


def folders(pair: tuple[LabelMap, LabelMap], root: Path, ours: list[str], theirs: list[str]) -> tuple[Path, Path]:
    for labels, folder, names in ((pair[0], "ours", ours), (pair[1], "theirs", theirs)):
        for name in names:
            write_label_map(labels, root / folder / name)
    return root / "ours", root / "theirs"


def test_folders_are_paired_by_name_and_averaged(pair: tuple[LabelMap, LabelMap], tmp_path: Path) -> None:
    ours, theirs = folders(pair, tmp_path, ["s-1_T1w_dseg.nii.gz"], ["s-1_dseg.nii.gz", "s-2_dseg.nii.gz"])
    perfect = LabelMap(relabel(pair[1].data, load_table("freesurfer").mapping_to(BRAIN)), pair[1].grid, "brain")
    write_label_map(perfect, ours / "s-2_T1w_dseg.nii.gz")
    record = evaluate_paths(ours, theirs)
    assert [Path(case["reference"]).name for case in record["cases"]] == ["s-1_dseg.nii.gz", "s-2_dseg.nii.gz"]
    assert record["dice"]["cerebral cortex"] == 0.75
    assert record["dice"]["thalamus"] == 0  # in the first case only
    assert record["hd95_mm"]["cerebral cortex"] == 2


@pytest.mark.parametrize(
    ("ours", "theirs", "named"),
    [
        (["a_dseg.nii.gz", "b_dseg.nii.gz"], ["a_dseg.nii.gz"], "ours.b_dseg"),
        (["a_dseg.nii.gz"], ["a_dseg.nii.gz", "c_dseg.nii.gz"], "theirs.c_dseg"),
        (["a_T1w_dseg.nii.gz", "a_FLAIR_dseg.nii.gz"], ["a_dseg.nii.gz"], "same case"),
    ],
)
def test_what_has_no_partner_is_named(
    pair: tuple[LabelMap, LabelMap], tmp_path: Path, ours: list[str], theirs: list[str], named: str
) -> None:
    with pytest.raises(InputError, match=named):
        evaluate_paths(*folders(pair, tmp_path, ours, theirs))


def test_the_target_is_the_predictions_own_table_when_it_is_one(pair: tuple[LabelMap, LabelMap], tmp_path: Path) -> None:
    write_label_map(pair[1], tmp_path / "b.nii.gz")
    assert len(evaluate_paths(tmp_path / "b.nii.gz", tmp_path / "b.nii.gz", "freesurfer")["dice"]) == 1 + len(BRAIN.foreground)
    sided = load_table("brain-sided")
    found = LabelMap(relabel(pair[1].data, load_table("freesurfer").mapping_to(sided)), pair[1].grid, "brain-sided")
    write_label_map(found, tmp_path / "sided.nii.gz")
    scores = evaluate_paths(tmp_path / "sided.nii.gz", tmp_path / "b.nii.gz", "brain-sided")["dice"]
    assert scores["left cerebral cortex"] == scores["right cerebral cortex"] == 1
    write_label_map(LabelMap(relabel(found.data, sided.mapping_to(BRAIN)), found.grid, "brain"), tmp_path / "brain.nii.gz")
    coarser = evaluate_paths(tmp_path / "sided.nii.gz", tmp_path / "brain.nii.gz", "brain-sided", "brain")["dice"]
    assert coarser["cerebral cortex"] == coarser["mean"] == 1 and "left cerebral cortex" not in coarser


def test_manual_labels_against_themselves_are_perfect(data_folder: Path) -> None:
    path = data_folder / "nichart_t1_flair"
    found = sorted(path.glob("*_dseg.nii.gz"))[:1]
    if not found:
        pytest.skip("no label map there")
    record = evaluate_paths(found[0], found[0], "muse", "muse")
    assert record["dice"]["mean"] == 1
    assert record["hd95_mm"]["mean"] == 0


def test_a_table_of_ones_own_is_compared_as_it_is_and_nothing_is_no_result(pair: tuple[LabelMap, LabelMap], tmp_path: Path) -> None:
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps({"labels": [{"value": value, "name": f"structure {value}"} for value in range(50)]}))
    for labels, name in zip(pair, ("ours", "theirs")):
        write_label_map(replace(labels, table=str(mine)), tmp_path / f"{name}.nii.gz")
    files = tmp_path / "ours.nii.gz", tmp_path / "theirs.nii.gz"
    assert all(name.startswith(("mean", "structure")) for name in evaluate_paths(*files, str(mine), str(mine))["dice"])
    with pytest.raises(InputError, match="have no structure of 'brain' in common"):
        evaluate_paths(*files, str(mine), "freesurfer")


def test_a_segmentation_says_what_its_numbers_mean(pair: tuple[LabelMap, LabelMap], tmp_path: Path) -> None:
    prediction, reference = tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"
    sided = load_table("brain-sided")
    numbers = relabel(pair[1].data, load_table("freesurfer").mapping_to(sided))
    write_label_map(LabelMap(numbers, pair[1].grid, "brain-sided"), prediction, sided)
    write_label_map(pair[1], reference)
    scores = evaluate_paths(prediction, reference)
    assert {name: value for name, value in scores["dice"].items() if value} == {"mean": 1, "left cerebral cortex": 1, "right cerebral cortex": 1}
    edited = replace(sided, labels=(*sided.labels[:-2], *(replace(one, value=two.value) for one, two in zip(sided.labels[-2:], sided.labels[:-3:-1]))))
    write_label_map(LabelMap(numbers, pair[1].grid, "brain-sided"), prediction, edited)
    with pytest.raises(InputError, match="'brain-sided', which is none of the package's"):
        evaluate_paths(prediction, reference)

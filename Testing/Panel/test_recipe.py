"""From choices to arguments that the command line takes, with nodes as files and edited labels as a table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer.util
from Learn2SynthPanel.label_mapping import NOT_USED, UNDECIDED
from Learn2SynthPanel.recipe import LABELS, SCANS, Recipe, found_labels, lacking, refused_folder
from Learn2SynthPanel.settings import ALIKE, ANY, MEASURE, Scan, Settings, Source

from Learn2SynthLib.__main__ import build_parser
from Learn2SynthLib.config import build_config
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.run import Run
from Learn2SynthLib.volume.files import read_image, read_label_map
from Testing.Panel.nodes import add_segmentation, add_volume, put_under, put_under_bending, turn

BRAIN = load_table("brain")


def parsed(recipe: Recipe) -> argparse.Namespace:
    """As the command line understands the arguments."""
    return build_parser().parse_args(["train", "RUN", *recipe.arguments()])


def recipe_of(settings: Settings, scene: Any, tmp_path: Path) -> Recipe:
    return Recipe(settings, scene, tmp_path / "Lauf größer" / "inputs")


def add_label_map(scene: Any, values: tuple[int, ...]) -> Any:
    node = add_volume(scene, name="Labels, größer / a:b", kind="vtkMRMLLabelMapVolumeNode")
    array = np.zeros(slicer.util.arrayFromVolume(node).shape, np.int16)
    array[: len(values)] = np.array(values)[:, None, None]
    slicer.util.updateVolumeFromArray(node, array)
    return node


# --- files


def test_files_and_folders_go_as_they_are(tmp_path: Path) -> None:
    settings = Settings(
        label_maps=[Source("/a b/maps"), Source("/ä.nii.gz")],
        scans=[Scan(Source("/real")), Scan(Source("/i.nii"), Source("/l.nii")), Scan(Source("/m.nii"), Source("/n.nii"), MEASURE)],
        scans_table="neuromorphometrics",
        target="brain-sided",
        preset="low-memory",
        steps=7,
        enhancement="both",
        train_device="cuda:1",
        assignments='grid.shape=[16,16]  seed=3 network.pretrained="/my models/first, of two.l2s"',
    )
    options = parsed(recipe_of(settings, None, tmp_path))
    assert options.labels == ["/a b/maps", "/ä.nii.gz"] and options.labels_ids == "freesurfer" and options.real_ids == "neuromorphometrics"
    assert options.real == [["/real"], ["/i.nii", "/l.nii"]] and options.validation == [["/m.nii", "/n.nii"]]
    assert (options.target, options.preset, options.strategy, options.device, options.steps) == ("brain-sided", "low-memory", "learn2synth", "cuda:1", 7)
    assert options.assignments == ["learn2synth.enhancement=both", "grid.shape=[16,16]", "seed=3", 'network.pretrained="/my models/first, of two.l2s"']
    assert build_config(assignments=options.assignments).network.pretrained == "/my models/first, of two.l2s"
    assert not (tmp_path / "Lauf größer").exists()


@pytest.mark.parametrize(
    ("served", "strategy", "more", "share"),
    [(ANY, "learn2synth", "", None), (ALIKE, "learn2synth", "", 0), (ALIKE, "learn2synth", "0.5", 0.5), (ALIKE, "mixed", "", None)],
)
def test_scans_that_are_all_alike_need_no_wide_images(served: str, strategy: str, more: str, share: float | None, tmp_path: Path) -> None:
    assignments = f"learn2synth.share={more}" if more else ""
    options = parsed(recipe_of(Settings(label_maps=[Source("/maps")], served=served, strategy=strategy, assignments=assignments), None, tmp_path))
    usual = build_config(strategy=strategy).learn2synth.share
    assert build_config(assignments=options.assignments, strategy=strategy).learn2synth.share == (usual if share is None else share)


def test_a_path_in_quotes_is_taken_as_it_is_written() -> None:
    written = r'network.pretrained="C:\new models\übung.l2s" learn2synth.begin=C:\models\x.l2s target="\\server\tables\a.json"'
    config = build_config(assignments=Settings(assignments=written).assigned)
    found = (config.network.pretrained, config.learn2synth.begin, config.target)
    assert found == (r"C:\new models\übung.l2s", r"C:\models\x.l2s", r"\\server\tables\a.json")


def test_what_was_not_chosen_is_left_to_the_command_line(tmp_path: Path) -> None:
    options = parsed(recipe_of(Settings(strategy="mixed"), None, tmp_path))
    assert (options.steps, options.assignments, options.labels, options.real, options.validation) == (None, [], [], [], [])


# --- nodes


def test_nodes_become_files_that_fit_each_other(scene: Any, tmp_path: Path) -> None:
    image = add_volume(scene, name="T1 größer: a/b")
    put_under(image, turn(20))
    segmentation = add_segmentation(image, "Left-Thalamus", "thalamus right")
    labels = add_label_map(scene, (2, 41))
    settings = Settings(label_maps=[Source(node=labels.GetID())], scans=[Scan(Source(node=image.GetID()), Source(node=segmentation.GetID()))])
    recipe = recipe_of(settings, scene, tmp_path)
    options = parsed(recipe)
    paths = [Path(path) for path in (*options.labels, *options.real[0])]
    assert all(path.parent == recipe.inputs and path.name.isascii() for path in paths) and paths[1].name == "scan1_T1-gr-er-a-b_image.nrrd"
    scan, numbers = read_image(paths[1]), read_label_map(paths[2])
    assert np.allclose(scan.grid.affine, numbers.grid.affine) and not np.allclose(scan.grid.affine, np.diag(np.diag(scan.grid.affine)))
    assert set(np.unique(numbers.data)) == {0, 10, 49} and options.real_ids == "freesurfer" and recipe.notes == []
    assert set(np.unique(read_label_map(paths[0]).data)) == {0, 2, 41}


def test_scans_without_labels_go_to_the_strategy_that_needs_them(scene: Any, tmp_path: Path) -> None:
    turned, same = (add_volume(scene, name="T1 größer: a/b") for _ in range(2))
    put_under(turned, turn(20))
    unlabelled = [Source(node=turned.GetID()), Source("/cohort ä"), Source(node=same.GetID()), Source("/u.nii")]
    settings = Settings(scans=[Scan(Source("/i.nii"), Source("/l.nii"))], unlabelled=unlabelled, strategy="learned_transforms", target="brain-coarse")
    options = parsed(recipe_of(settings, scene, tmp_path))
    first, folder, second, file = options.unlabelled
    assert (folder, file, options.target) == ("/cohort ä", "/u.nii", "brain-coarse") and options.real == [["/i.nii", "/l.nii"]]
    assert [Path(path).name for path in (first, second)] == ["unlabelled1_T1-gr-er-a-b_image.nrrd", "unlabelled3_T1-gr-er-a-b_image.nrrd"]
    affines = [read_image(Path(path)).grid.affine for path in (first, second)]
    assert np.allclose(affines[0], turn(20) @ affines[1])
    settings.strategy = "learn2synth"
    assert parsed(recipe_of(settings, scene, tmp_path / "other")).unlabelled == [] and not (tmp_path / "other").exists()


def test_nodes_of_one_name_become_files_of_their_own(scene: Any, tmp_path: Path) -> None:
    nodes = [add_label_map(scene, (2,)) for _ in range(2)]
    options = parsed(recipe_of(Settings(label_maps=[Source(node=node.GetID()) for node in nodes]), scene, tmp_path))
    assert len(set(options.labels)) == 2


def test_what_is_done_otherwise_is_noted(scene: Any, tmp_path: Path) -> None:
    image, labels = add_volume(scene, name="bent"), add_label_map(scene, (2,))
    labels.SetAndObserveTransformNodeID(put_under_bending(image).GetID())
    recipe = recipe_of(Settings(scans=[Scan(Source(node=image.GetID()), Source(node=labels.GetID()))]), scene, tmp_path)
    recipe.arguments()
    assert recipe.notes and all("'bent': its transform bends" in note for note in recipe.notes)


@pytest.mark.parametrize("setting", ["label_maps", "unlabelled"])
def test_a_node_that_is_gone_is_told(scene: Any, tmp_path: Path, setting: str) -> None:
    node = add_label_map(scene, (2,))
    recipe = recipe_of(Settings(**{setting: [Source(node=node.GetID())]}, strategy="learned_transforms"), scene, tmp_path)
    scene.RemoveNode(node)
    with pytest.raises(InputError, match="a node that was chosen is not in the scene any more; remove it from the list"):
        recipe.arguments()


def test_a_node_without_voxels_is_told(scene: Any, tmp_path: Path) -> None:
    node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "empty")
    with pytest.raises(InputError, match="empty: an image without voxels"):
        recipe_of(Settings(label_maps=[Source(node=node.GetID())]), scene, tmp_path).arguments()


def test_a_disk_that_refuses_is_told(scene: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    recipe = Recipe(Settings(label_maps=[Source(node=add_label_map(scene, (2,)).GetID())]), scene, tmp_path / "file" / "inputs")
    with pytest.raises(InputError, match="cannot be written"):
        recipe.arguments()


# --- what the numbers mean


def test_edited_labels_become_a_table_that_the_library_reads(tmp_path: Path) -> None:
    settings = Settings(label_maps=[Source("/maps")], scans=[Scan(Source("/real"))])
    settings.mappings[LABELS] = {"found": {"17": 2, "777": 1}, "names": {}, "edits": {}, "source": "freesurfer", "target": "brain"}
    recipe = recipe_of(settings, None, tmp_path)
    mapping = recipe.mapping(LABELS)
    assert mapping.undecided == [777]
    mapping.assign(777, 6)
    mapping.assign(17, 0)
    settings.mappings[LABELS] = json.loads(json.dumps(mapping.to_json()))
    options = parsed(recipe)
    assert options.labels_ids == str(recipe.inputs / "labels_table.json") and options.real_ids == "freesurfer"
    counts = load_table(options.labels_ids).mapping_to(BRAIN)
    assert (counts[777], counts[17], counts[53]) == (6, 0, load_table("freesurfer").mapping_to(BRAIN)[53])


def test_segments_that_no_table_knows_get_numbers_of_their_own(scene: Any, tmp_path: Path) -> None:
    image = add_volume(scene)
    node = add_segmentation(image, "Läsion", "left thalamus", "other")
    settings = Settings(scans=[Scan(Source(node=image.GetID()), Source(node=node.GetID()))])
    recipe = recipe_of(settings, scene, tmp_path)
    rows = {row.name: row for row in recipe.mapping(SCANS).rows}
    assert set(rows) == {"Läsion", "other"} and all(row.target == UNDECIDED for row in rows.values())
    mapping = recipe.mapping(SCANS)
    mapping.assign(rows["other"].value, 6)
    mapping.assign(rows["Läsion"].value, NOT_USED)
    settings.mappings[SCANS] = mapping.to_json()
    options = parsed(recipe)
    counts = load_table(options.real_ids).mapping_to(BRAIN)
    assert counts[rows["other"].value] == 6 and counts[rows["Läsion"].value] == 0
    assert set(np.unique(read_label_map(Path(options.real[0][1])).data)) == {0, 10, rows["other"].value, rows["Läsion"].value}


def test_a_mapping_of_another_version_is_no_trouble(tmp_path: Path) -> None:
    recipe = recipe_of(Settings(mappings={LABELS: {"found": {"17": 1}, "colour": {}}}), None, tmp_path)
    assert [row.value for row in recipe.mapping(LABELS).rows] == [17]


def test_found_labels_are_counted_by_subject_and_group() -> None:
    subjects = [
        {"role": "label_map", "label_voxels": {"2": 10, "3": 1}},
        {"role": "label_map", "label_voxels": {"2": 5}},
        {"role": "real", "label_voxels": {"2": 7}},
        {"role": "validation", "label_voxels": {"9": 7}},
    ]
    assert found_labels(subjects, LABELS) == {"2": 2, "3": 1} and found_labels(subjects, SCANS) == {"2": 1, "9": 1}


# --- what is missing

MAPS, REAL, OTHERS = [Source("/maps")], [Scan(Source("/real"))], [Scan(Source("/real"), use=MEASURE)]


@pytest.mark.parametrize(
    ("strategy", "maps", "scans", "words"),
    [
        ("learn2synth", [], [], "annotated scan"),
        ("learn2synth", MAPS, OTHERS, "annotated scan"),
        ("learn2synth", [], REAL, ""),
        ("learn2synth", MAPS, REAL, ""),
        ("randomised", [], [], "label map"),
        ("randomised", [], OTHERS, "label map"),
        ("randomised", [], REAL, ""),
        ("randomised", MAPS, [], ""),
        ("mixed", MAPS, [], "annotated scan"),
        ("supervised", MAPS, [], "annotated scan"),
        ("supervised", [], REAL, ""),
        ("cooperative", [], REAL, ""),
        ("learned_transforms", MAPS, [], "annotated scan"),
        ("learned_transforms", [], REAL, "scan without labels"),
    ],
)
def test_what_is_missing_is_said(strategy: str, maps: list[Source], scans: list[Scan], words: str) -> None:
    said = lacking(Settings(strategy=strategy, label_maps=maps, scans=scans))
    assert words in said and bool(said) == bool(words)


def test_with_scans_without_labels_nothing_is_missing() -> None:
    assert lacking(Settings(strategy="learned_transforms", scans=REAL, unlabelled=[Source("/cohort")])) == ""


def test_a_folder_that_is_new_empty_or_prepared_is_taken(tmp_path: Path) -> None:
    (tmp_path / "prepared" / "inputs").mkdir(parents=True)
    (tmp_path / "prepared" / "log.txt").touch()
    (tmp_path / "empty").mkdir()
    assert [refused_folder(str(tmp_path / name)) for name in ("new ä", "empty", "prepared")] == ["", "", ""]


def test_other_folders_are_refused_with_what_to_do(tmp_path: Path) -> None:
    Run(tmp_path / "run").prepare({}, {})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.doc").touch()
    (tmp_path / "file").touch()
    for path, words in (
        ("", "Choose a folder"),
        ("somewhere", "whole path"),
        (str(tmp_path / "run"), "press Resume"),
        (str(tmp_path / "full"), "something else"),
        (str(tmp_path / "file"), "This is a file"),
        (str(tmp_path / ("long" * 100)), "cannot be used (File name too long)"),
    ):
        assert words in refused_folder(path)

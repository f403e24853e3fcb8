"""What was chosen in the panel, kept in the scene: there and back, through a file, and into a scene that numbers its nodes otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from Learn2SynthPanel.settings import ATTRIBUTE, LEARN, MEASURE, Scan, Settings, Source

NASTY = "/data/größe \"a\" 'b'; c:d, 100% & <e>=\\f\t{g}"


def add_nodes(scene: Any, count: int = 3) -> list[str]:
    return [scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"image {k}").GetID() for k in range(count)]


def parameter_node(scene: Any) -> Any:
    """As a scripted module's logic makes it."""
    import slicer

    node = slicer.vtkMRMLScriptedModuleNode()
    node.SetSingletonTag("Learn2Synth")
    node.SetModuleName("Learn2Synth")
    node.SetHideFromEditors(True)
    return scene.AddNode(node)


def all_set(ids: list[str]) -> Settings:
    first, second, third = (Source(node=i) for i in ids)
    return Settings(
        volumes=[first, second],
        model="/models/größer.l2s",
        segment_device="cuda:1",
        label_maps=[Source(NASTY), third],
        labels_table="muse",
        scans=[Scan(first, third), Scan(Source("/a folder"), use=MEASURE), Scan(Source("/i.nii"), Source("/l.nii")), Scan(second, Source("/l.nii"))],
        scans_table="neuromorphometrics",
        unlabelled=[second, Source("/cohort"), third],
        target="brain-sided",
        mappings={"labels": {"found": {"17": 3}, "names": {"10000": "Läsion"}, "edits": {"17": 0}, "source": "muse", "target": "brain-sided"}},
        strategy="mixed",
        enhancement="both",
        served="alike",
        preset="low-memory",
        steps=77,
        train_device="cpu",
        run=NASTY,
        assignments="grid.shape=[16,16] seed=3",
        keep=True,
        chart="Dice",
    )


def test_all_comes_back(scene: Any) -> None:
    settings, node = all_set(add_nodes(scene)), parameter_node(scene)
    settings.write(node)
    assert Settings.read(node) == settings != Settings()


def test_an_untouched_node_gives_defaults(scene: Any) -> None:
    assert Settings.read(parameter_node(scene)) == Settings()


def test_what_is_written_again_replaces_what_was_there(scene: Any) -> None:
    ids, node = add_nodes(scene), parameter_node(scene)
    node.SetNodeReferenceID("others", ids[2])
    all_set(ids).write(node)
    fewer = Settings(volumes=[Source(node=ids[2])])
    fewer.write(node)
    assert Settings.read(node) == fewer
    roles = [node.GetNthNodeReferenceRole(n) for n in range(node.GetNumberOfNodeReferenceRoles())]
    assert sorted(role for role in roles if node.GetNodeReferenceID(role)) == ["others", "source0"]


def test_writing_leaves_the_settings_as_they_are(scene: Any) -> None:
    ids = add_nodes(scene)
    settings = all_set(ids)
    settings.write(parameter_node(scene))
    assert settings == all_set(ids)


def save(scene: Any, path: Path) -> None:
    scene.SetRootDirectory(str(path.parent))
    assert scene.Commit(str(path))


def load(scene: Any, path: Path, how: str) -> Settings:
    scene.SetURL(str(path))
    assert getattr(scene, how)()
    (node,) = [node for node in nodes_of(scene, "vtkMRMLScriptedModuleNode") if node.GetModuleName() == "Learn2Synth"]
    return Settings.read(node)


def nodes_of(scene: Any, kind: str) -> list[Any]:
    return [scene.GetNthNodeByClass(n, kind) for n in range(scene.GetNumberOfNodesByClass(kind))]


@pytest.fixture
def saved(scene: Any, tmp_path: Path) -> Path:
    """A scene with nodes and settings, in a file; `scene` is empty again."""
    all_set(add_nodes(scene)).write(parameter_node(scene))
    save(scene, tmp_path / "Szene größer.mrml")
    scene.Clear(1)
    return tmp_path / "Szene größer.mrml"


def test_a_reopened_scene_has_them(scene: Any, saved: Path) -> None:
    settings = load(scene, saved, "Connect")
    assert settings == all_set([scene.GetFirstNodeByName(f"image {k}").GetID() for k in range(3)])


@pytest.mark.parametrize("panel_was_open", [False, True])
def test_nodes_that_get_other_ids_are_followed(scene: Any, saved: Path, panel_was_open: bool) -> None:
    others = [scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"mine {k}").GetID() for k in range(2)]
    if panel_was_open:
        Settings(volumes=[Source(node=others[0])], label_maps=[Source(node=others[1])], steps=5).write(parameter_node(scene))
    settings = load(scene, saved, "Import")
    ids = [scene.GetFirstNodeByName(f"image {k}").GetID() for k in range(3)]
    assert not set(ids) & set(others) and settings == all_set(ids)


def test_nodes_that_are_gone_are_left_out_and_take_their_scan_along(scene: Any) -> None:
    ids, node = add_nodes(scene), parameter_node(scene)
    settings = Settings(
        volumes=[Source(node=ids[0]), Source(node=ids[1])],
        label_maps=[Source("/l.nii"), Source(node=ids[2])],
        scans=[Scan(Source(node=ids[0]), Source(node=ids[2])), Scan(Source("/image.nii"), Source(node=ids[2])), Scan(Source(node=ids[0]), Source("/l.nii"))],
        unlabelled=[Source(node=ids[2]), Source("/u.nii"), Source(node=ids[1])],
    )
    settings.write(node)
    scene.RemoveNode(scene.GetNodeByID(ids[2]))
    left = Settings(
        volumes=settings.volumes,
        label_maps=[Source("/l.nii")],
        scans=[Scan(Source(node=ids[0]), Source("/l.nii"))],
        unlabelled=[Source("/u.nii"), Source(node=ids[1])],
    )
    assert Settings.read(node) == left
    settings.forget(ids[2])
    assert settings == left


class Stored:
    """A parameter node that holds only what somebody wrote."""

    def __init__(self, text: str) -> None:
        self.text = text

    def GetAttribute(self, name: str) -> str:
        assert name == ATTRIBUTE
        return self.text

    def GetNodeReference(self, role: str) -> None:
        return None


def test_what_another_version_wrote_more_is_left_out() -> None:
    scan = {"image": {"path": "/i", "node": "", "frame": 3}, "labels": {"path": "/l", "node": ""}, "use": LEARN, "weight": 2}
    record = {"steps": 9, "colour": "blue", "volumes": [], "label_maps": [{"path": "/m", "node": "", "weight": 1}], "scans": [scan]}
    expected = Settings(steps=9, label_maps=[Source("/m")], scans=[Scan(Source("/i"), Source("/l"))])
    assert Settings.read(Stored(json.dumps(record))) == expected


def test_a_strategy_that_only_another_version_has_gives_way_to_the_usual_one() -> None:
    assert Settings.read(Stored(json.dumps({"strategy": "telepathy", "steps": 9}))) == Settings(steps=9)


@pytest.mark.parametrize("text", ["", "{", "no json", '{"steps": 3'])
def test_what_cannot_be_read_gives_defaults(text: str) -> None:
    assert Settings.read(Stored(text)) == Settings()


def test_the_nodes_that_are_named() -> None:
    assert all_set(["a", "b", "c"]).nodes() == {"a", "b", "c"} and Settings(label_maps=[Source("/x")]).nodes() == set()
    assert Settings(unlabelled=[Source(node="d"), Source("/x")]).nodes() == {"d"}

"""Nodes that the panel shows a training with: never saved with the scene, and found again whoever made them."""

from __future__ import annotations

from typing import Any

_MARK = "Learn2Synth.shows"


def add_node(scene: Any, kind: str, name: str, shows: str) -> Any:
    """A new node of class `kind`. shows: what it belongs to, for `remove_nodes`.

    It has no place in the subject hierarchy, see `unlist`. A sequence, which only its browser has to know, is in no selector; the other nodes are chosen
    in those of the views that show them.
    """
    node = mark(scene.CreateNodeByClass(kind), shows)
    node.UnRegister(None)
    node.SetName(name)
    node.SetHideFromEditors(kind == "vtkMRMLSequenceNode")
    unlist(scene, scene.AddNode(node))
    return node


def unlist(scene: Any, *nodes: Any) -> None:
    """Takes nodes out of the subject hierarchy, which would be saved, and come back with empty items when the scene is opened again.

    Slicer adds every node that has no item after each import and each batch of changes.
    """
    hierarchy = scene.GetSubjectHierarchyNode()
    items = [hierarchy.GetItemByDataNode(node) for node in nodes] if hierarchy is not None else []
    for item in filter(None, items):
        hierarchy.RemoveItem(item, False, False)


def previews(scene: Any) -> list[Any]:
    """All nodes that the panel shows a training with, in the order they were made."""
    nodes = [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())]
    return [node for node in nodes if is_preview(node)]


def mark(node: Any, shows: str) -> Any:
    """The files that it stems from lie in the run's folder: a scene need not hold them as well."""
    node.SetAttribute(_MARK, shows)
    node.SaveWithSceneOff()
    return node


def is_preview(node: Any) -> bool:
    """Whether the panel shows a training with the node."""
    return bool(node.GetAttribute(_MARK))


def remove_nodes(scene: Any, shows: str) -> None:
    """All that belong together, in the order they were made: a sequence browser that is still there would make its volumes again."""
    for node in previews(scene):
        if node.GetAttribute(_MARK) == shows:
            scene.RemoveNode(node)


def is_there(scene: Any, node: Any) -> bool:
    """Whether the node, if any, is still in the scene: users delete nodes and close scenes at any time."""
    return node is not None and bool(scene.IsNodePresent(node))

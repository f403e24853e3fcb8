"""A MRML scene as a running Slicer has it: node classes registered, module logics attached. No Qt."""

from __future__ import annotations

import tempfile
import types
from pathlib import Path
from typing import Any

import slicer
import slicer.util
import vtk

AUTO_WINDOW = 8  # a bit of vtkSlicerVolumesLogic::AddArchetypeVolume
SINGLETONS = (("vtkMRMLCrosshairNode", "default"), ("vtkMRMLSelectionNode", "Singleton"), ("vtkMRMLInteractionNode", "Singleton"))
LOGICS = {
    "Colors": "vtkSlicerColorLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Volumes": "vtkSlicerVolumesLogic",
}
WITH_ITEM = ("vtkMRMLDisplayableNode", "vtkMRMLTableNode", "vtkMRMLSequenceNode", "vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode")


def make_scene() -> slicer.vtkMRMLScene:
    """A fresh scene. From now on it is `slicer.mrmlScene`, `slicer.modules` holds its logics, and there is a bare `slicer.app`.

    These names keep the logics alive: they know each other by weak pointers.
    """
    scene, application = slicer.vtkMRMLScene(), slicer.vtkSlicerApplicationLogic()
    _add_cache(scene)
    for kind, tag in SINGLETONS:
        _add_singleton(scene, getattr(slicer, kind)(), tag)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)  # before any slice node, which looks its orientation up
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    application.SetMRMLScene(scene)
    vtk.vtkObject.GlobalWarningDisplayOff()  # colour files are not in the wheel, and the logic of colours says so at length
    logics = {name: _attach(name, getattr(slicer, kind)(), scene, application) for name, kind in LOGICS.items()}
    vtk.vtkObject.GlobalWarningDisplayOn()
    _add_generic_colours(scene)
    scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, _add_item)
    scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, _remove_item)
    for event in (slicer.vtkMRMLScene.EndImportEvent, slicer.vtkMRMLScene.EndBatchProcessEvent):
        scene.AddObserver(event, _add_items, 10)  # before others hear of it, as in Slicer
    slicer.mrmlScene, slicer.app = scene, _bare_application(application)
    slicer.modules = types.SimpleNamespace(**{name.lower(): types.SimpleNamespace(logic=lambda logic=logic: logic) for name, logic in logics.items()})
    return scene


def _bare_application(application: slicer.vtkSlicerApplicationLogic) -> types.SimpleNamespace:
    """`slicer.app` where there is no Qt: what the functions of `slicer.util` ask of it while they load and save."""
    manager = types.SimpleNamespace(loadNodes=_load, saveNodes=_save)
    return types.SimpleNamespace(applicationLogic=lambda: application, coreIOManager=lambda: manager)


def _attach(name: str, logic: Any, scene: slicer.vtkMRMLScene, application: slicer.vtkSlicerApplicationLogic) -> Any:
    """The application comes before the scene: some logics reach for it while they take the scene."""
    application.SetModuleLogic(name, logic)
    logic.SetMRMLApplicationLogic(application)
    logic.SetMRMLScene(scene)
    return logic


def _add_cache(scene: slicer.vtkMRMLScene) -> None:
    """A scene bundle is unpacked in the cache folder."""
    cache, manager = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
    cache.SetRemoteCacheDirectory(str(Path(tempfile.gettempdir(), "SlicerHost-RemoteIO")))
    manager.SetCacheManager(cache)
    scene.SetCacheManager(cache)
    scene.SetDataIOManager(manager)


def _add_singleton(scene: slicer.vtkMRMLScene, node: slicer.vtkMRMLNode, tag: str) -> None:
    node.SetSingletonTag(tag)
    scene.AddNode(node)


def _add_generic_colours(scene: slicer.vtkMRMLScene) -> None:
    """The table that label maps take by default; Slicer reads it from a file that the wheel lacks."""
    node = slicer.vtkMRMLColorTableNode()
    node.SetTypeToRandom()
    node.SetName("GenericColors")
    node.HideFromEditorsOn()
    node.SaveWithSceneOff()
    _add_singleton(scene, node, "FileGenericColors.txt")


# --- subject hierarchy items, which a plug-in of Slicer's Qt side makes


def _add_items(scene: slicer.vtkMRMLScene, event: str) -> None:
    """Not while a scene is destroyed."""
    for index in range(scene.GetNumberOfNodes() if scene is not None else 0):
        _add_item(scene, event, scene.GetNthNode(index))


@vtk.calldata_type(vtk.VTK_OBJECT)
def _add_item(scene: slicer.vtkMRMLScene, _event: str, node: slicer.vtkMRMLNode) -> None:
    hierarchy = scene.GetSubjectHierarchyNode()
    wanted = any(node.IsA(kind) for kind in WITH_ITEM) and not node.GetHideFromEditors()
    if hierarchy and wanted and not hierarchy.GetItemByDataNode(node):
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)


@vtk.calldata_type(vtk.VTK_OBJECT)
def _remove_item(scene: slicer.vtkMRMLScene, _event: str, node: slicer.vtkMRMLNode) -> None:
    """Not while a scene closes or is destroyed: then the items go with it."""
    hierarchy = None if scene is None or scene.IsClosing() else scene.GetSubjectHierarchyNode()
    if hierarchy and (item := hierarchy.GetItemByDataNode(node)):
        hierarchy.RemoveItem(item, False, False)


# --- what `slicer.util.loadVolume`, `loadScene` and `saveScene` stand on


def _load(kind: str, properties: dict[str, Any], loaded: vtk.vtkCollection, _messages: Any) -> bool:
    """A scene bundle takes the place of the scene; a volume is shown in the slice views."""
    path, application = properties["fileName"], slicer.app.applicationLogic()
    if kind == "SceneFile":
        return bool(slicer.mrmlScene.ReadFromMRB(path, True))
    node = slicer.modules.volumes.logic().AddArchetypeVolume(path, Path(path).name.split(".")[0], AUTO_WINDOW)
    if node is not None:
        loaded.AddItem(node)
        application.GetSelectionNode().SetActiveVolumeID(node.GetID())
        application.PropagateVolumeSelection()
    return node is not None


def _save(kind: str, properties: dict[str, Any], _messages: Any) -> bool:
    return kind == "SceneFile" and bool(slicer.mrmlScene.WriteToMRB(properties["fileName"]))

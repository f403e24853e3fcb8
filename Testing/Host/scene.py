"""A MRML scene as a running Slicer has it: node classes registered, every module logic attached. No Qt."""

from __future__ import annotations

import contextlib
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import slicer
import slicer.util
import vtk

from Testing.Host.files import CoreIOManager

LOGICS = {
    "Annotations": "vtkSlicerAnnotationModuleLogic",
    "Colors": "vtkSlicerColorLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Units": "vtkSlicerUnitsLogic",
    "Volumes": "vtkSlicerVolumesLogic",
}
WITH_ITEM = ("vtkMRMLDisplayableNode", "vtkMRMLTableNode", "vtkMRMLTextNode", "vtkMRMLSequenceNode", "vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode")


def make_scene() -> slicer.vtkMRMLScene:
    """A fresh scene. From now on it is `slicer.mrmlScene`, `slicer.modules` holds its logics, and there is a bare `slicer.app`."""
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    _add_cache(scene)
    _add_singletons(scene)
    _add_views(scene, application)
    application.SetHomeDirectory(tempfile.gettempdir())
    application.SetMRMLScene(scene)
    with quiet():  # terminologies and colour files are not in the wheel, and two logics say so at length
        logics = {name: _attach(name, getattr(slicer, kind)(), scene, application) for name, kind in LOGICS.items()}
        application.SetColorLogic(logics["Colors"])
        logics["Colors"].AddDefaultColorNodes()
    _add_generic_colors(scene)
    scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, _add_item)
    scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, _remove_item)
    _publish(scene, application, logics)
    return scene


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """VTK prints no warnings and errors meanwhile."""
    vtk.vtkObject.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        vtk.vtkObject.GlobalWarningDisplayOn()


def _publish(scene: slicer.vtkMRMLScene, application: slicer.vtkSlicerApplicationLogic, logics: dict[str, Any]) -> None:
    """Make the scene the one that `slicer.*` speaks of. These names keep the logics alive: they know each other by weak pointers."""
    slicer.mrmlScene = scene
    slicer.modules = types.SimpleNamespace(
        **{name.lower(): types.SimpleNamespace(name=name, logic=lambda logic=logic: logic) for name, logic in logics.items()}
    )
    slicer.app = _bare_application(application)


def _bare_application(application: slicer.vtkSlicerApplicationLogic) -> types.SimpleNamespace:
    """`slicer.app` where there is no Qt: what the functions of `slicer.util` ask of it while they load, save and compute."""
    manager = CoreIOManager()
    return types.SimpleNamespace(
        applicationName="Slicer",
        applicationLogic=lambda: application,
        coreIOManager=lambda: manager,
        layoutManager=lambda: None,
        pauseRender=lambda: None,
        resumeRender=lambda: None,
        processEvents=lambda: None,
        temporaryPath=tempfile.gettempdir(),
        testingEnabled=lambda: True,
    )


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


def _add_singletons(scene: slicer.vtkMRMLScene) -> None:
    for kind, tag in (("vtkMRMLCrosshairNode", "default"), ("vtkMRMLSelectionNode", "Singleton"), ("vtkMRMLInteractionNode", "Singleton")):
        node = getattr(slicer, kind)()
        node.SetSingletonTag(tag)
        scene.AddNode(node)


def _add_views(scene: slicer.vtkMRMLScene, application: slicer.vtkSlicerApplicationLogic) -> None:
    """Orientation presets come first: a slice node looks its orientation up when it is added."""
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())


def _add_generic_colors(scene: slicer.vtkMRMLScene) -> None:
    """The table that label maps take by default; Slicer reads it from a file that the wheel lacks."""
    node = slicer.vtkMRMLColorTableNode()
    node.SetTypeToRandom()
    node.SetName("GenericColors")
    node.SetSingletonTag("FileGenericColors.txt")
    node.HideFromEditorsOn()
    node.SaveWithSceneOff()
    scene.AddNode(node)


@vtk.calldata_type(vtk.VTK_OBJECT)
def _remove_item(scene: slicer.vtkMRMLScene, _event: str, node: slicer.vtkMRMLNode) -> None:
    """Not while a scene closes or is destroyed: then the items go with it."""
    if scene is None or scene.IsClosing():
        return
    hierarchy = scene.GetSubjectHierarchyNode()
    if hierarchy is not None and (item := hierarchy.GetItemByDataNode(node)):
        hierarchy.RemoveItem(item, False, False)


@vtk.calldata_type(vtk.VTK_OBJECT)
def _add_item(scene: slicer.vtkMRMLScene, _event: str, node: slicer.vtkMRMLNode) -> None:
    """A subject hierarchy item for each data node, as a plug-in of Slicer's Qt side makes it."""
    hierarchy = scene.GetSubjectHierarchyNode()
    if hierarchy is None or node.GetHideFromEditors() or not any(node.IsA(kind) for kind in WITH_ITEM):
        return
    if not hierarchy.GetItemByDataNode(node):
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

"""What `slicer.util.load*` and `save*` stand on: a small `slicer.app.coreIOManager()` over the real storage nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
import slicer.util

LABEL_MAP, SINGLE_FILE, AUTO_WINDOW = 1, 4, 8  # bits of vtkSlicerVolumesLogic::AddArchetypeVolume
STORED_AS = {
    "SequenceFile": ("vtkMRMLSequenceNode", "vtkMRMLVolumeSequenceStorageNode"),
    "TableFile": ("vtkMRMLTableNode", "vtkMRMLTableStorageNode"),
    "TransformFile": ("vtkMRMLTransformNode", "vtkMRMLTransformStorageNode"),
    "TextFile": ("vtkMRMLTextNode", "vtkMRMLTextStorageNode"),
    "SegmentationFile": ("vtkMRMLSegmentationNode", "vtkMRMLSegmentationStorageNode"),
}


def stem(path: str) -> str:
    """File name without what says its format, `.nii.gz` and `.seg.nrrd` too."""
    return Path(path).name.split(".")[0]


class CoreIOManager:
    """qSlicerCoreIOManager as far as `slicer.util` calls it. Methods answer False where a file cannot be read or written, and never raise for that."""

    def fileType(self, path: str) -> str:
        suffixes = {
            ".mrml": "SceneFile",
            ".mrb": "SceneFile",
            ".tsv": "TableFile",
            ".csv": "TableFile",
            ".h5": "TransformFile",
            ".tfm": "TransformFile",
            ".txt": "TextFile",
        }
        return "SegmentationFile" if ".seg." in Path(path).name else suffixes.get(Path(path).suffix, "VolumeFile")

    def fileWriterFileType(self, node: slicer.vtkMRMLNode) -> str:
        return next((kind for kind, (name, _) in STORED_AS.items() if node.IsA(name)), "VolumeFile")

    def loadNodes(self, kind: str, properties: dict[str, Any], loaded: Any = None, _messages: Any = None) -> bool:
        path = str(properties["fileName"])
        if kind == "SceneFile":
            return self._load_scene(path, clear=properties.get("clear", True))
        node = {"VolumeFile": self._load_volume, "SegmentationFile": self._load_segmentation}.get(kind, self._load_stored)(kind, path, properties)
        if node is None:
            return False
        if loaded is not None:
            loaded.AddItem(node)
        return True

    def saveNodes(self, kind: str, properties: dict[str, Any], _messages: Any = None) -> bool:
        path = str(properties["fileName"])
        if kind == "SceneFile":
            return self._save_scene(path)
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        node.AddDefaultStorageNode(path)
        storage = node.GetStorageNode()
        storage.SetFileName(path)
        storage.SetUseCompression(properties.get("useCompression", 1))
        return bool(storage.WriteData(node))

    def _load_volume(self, _kind: str, path: str, properties: dict[str, Any]) -> slicer.vtkMRMLNode | None:
        options = AUTO_WINDOW | (LABEL_MAP if properties.get("labelmap") else 0) | (SINGLE_FILE if properties.get("singleFile") else 0)
        logic = slicer.modules.volumes.logic()
        node = logic.AddArchetypeVolume(path, properties.get("name", stem(path)), options)
        if node is not None and properties.get("show", True):
            selection = slicer.app.applicationLogic().GetSelectionNode()
            (selection.SetActiveLabelVolumeID if properties.get("labelmap") else selection.SetActiveVolumeID)(node.GetID())
            slicer.app.applicationLogic().PropagateVolumeSelection()
        return node

    def _load_segmentation(self, kind: str, path: str, properties: dict[str, Any]) -> slicer.vtkMRMLNode | None:
        node = self._load_stored(kind, path, properties)
        if node is not None:
            node.CreateDefaultDisplayNodes()
        return node

    def _load_stored(self, kind: str, path: str, properties: dict[str, Any]) -> slicer.vtkMRMLNode | None:
        node_kind, storage_kind = STORED_AS[kind]
        node = slicer.mrmlScene.AddNewNodeByClass(node_kind, properties.get("name", stem(path)))
        storage = slicer.mrmlScene.AddNewNodeByClass(storage_kind)
        storage.SetFileName(path)
        if not Path(path).is_file() or not storage.ReadData(node):
            slicer.mrmlScene.RemoveNode(storage)
            slicer.mrmlScene.RemoveNode(node)
            return None
        node.SetAndObserveStorageNodeID(storage.GetID())
        return node

    def _load_scene(self, path: str, clear: bool) -> bool:
        scene = slicer.mrmlScene
        if path.endswith(".mrb"):
            return bool(scene.ReadFromMRB(path, clear))
        scene.SetURL(path)
        return bool(scene.Connect() if clear else scene.Import())

    def _save_scene(self, path: str) -> bool:
        scene = slicer.mrmlScene
        if path.endswith(".mrb"):
            return bool(scene.WriteToMRB(path))
        scene.SetURL(path)
        scene.SetRootDirectory(str(Path(path).parent))
        return bool(scene.Commit())

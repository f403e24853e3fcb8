"""The test host against facts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
import slicer.util


def test_scene_loads_and_saves_with_the_functions_of_slicer(scene, tmp_path: Path):
    voxels = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    volume = slicer.util.addVolumeFromArray(voxels, name="Volume")
    assert slicer.util.saveNode(volume, str(tmp_path / "köpf.nii.gz"), {})
    loaded = slicer.util.loadVolume(tmp_path / "köpf.nii.gz", {})
    assert np.array_equal(slicer.util.arrayFromVolume(loaded), voxels)
    items = scene.GetSubjectHierarchyNode()
    assert items.GetItemByDataNode(loaded) != items.GetInvalidItemID()
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"), {})
    scene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"), {})
    assert np.array_equal(slicer.util.arrayFromVolume(slicer.util.getNode("Volume")), voxels)


def test_scene_is_fresh(scene):
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    assert slicer.mrmlScene is scene

"""Images of a real MRML scene to files: nothing moves, nothing of the user's is changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import slicer.util
from Learn2SynthPanel import scene as bridge
from vtk.util.numpy_support import numpy_to_vtk

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.volume.files import read_image
from Testing.Panel.nodes import GRIDS, SHEAR, add_volume, put_under, put_under_bending, turn


@pytest.mark.parametrize("name", GRIDS)
def test_the_library_reads_what_was_written(scene, tmp_path: Path, name: str):
    volume = add_volume(scene, GRIDS[name])
    assert bridge.write_volume(volume, tmp_path / "image.nrrd") == ""
    image = read_image(tmp_path / "image.nrrd")
    assert np.array_equal(image.data.numpy(), slicer.util.arrayFromVolume(volume).T)
    assert np.allclose(image.grid.affine, GRIDS[name], atol=1e-12)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"])
def test_every_type_of_voxel(scene, tmp_path: Path, dtype: str):
    volume = add_volume(scene)
    voxels = slicer.util.arrayFromVolume(volume).astype(dtype)
    volume.GetImageData().GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True))
    bridge.write_volume(volume, tmp_path / "image.nrrd")
    assert sitk.ReadImage(str(tmp_path / "image.nrrd")).GetPixelID() == sitk.GetImageFromArray(voxels).GetPixelID()
    assert np.array_equal(read_image(tmp_path / "image.nrrd").data.numpy(), slicer.util.arrayFromVolume(volume).T)


@pytest.mark.parametrize("name", GRIDS)
def test_a_file_lies_where_the_user_sees_the_image(scene, tmp_path: Path, name: str):
    volume = add_volume(scene, GRIDS[name])
    moved = turn(40, (3, 1, 0)) @ np.diag([2.0, 2, 2, 1])
    inner = put_under(volume, turn(-10))
    inner.SetAndObserveTransformNodeID(put_under(inner, moved).GetID())
    assert bridge.write_volume(volume, tmp_path / "image.nrrd") == ""
    image = read_image(tmp_path / "image.nrrd")
    assert np.allclose(image.grid.affine, moved @ turn(-10) @ GRIDS[name], atol=1e-9)
    assert np.array_equal(image.data.numpy(), slicer.util.arrayFromVolume(volume).T)


@pytest.mark.parametrize("transform", [put_under_bending, lambda node: put_under(node, SHEAR)], ids=["bending", "shear"])
def test_what_bends_or_shears_is_left_out_and_said(scene, tmp_path: Path, transform):
    volume = add_volume(scene, GRIDS["oblique"], name="Köpf")
    transform(volume)
    note = bridge.write_volume(volume, tmp_path / "image.nrrd")
    assert "Köpf" in note and "transform" in note
    assert np.allclose(read_image(tmp_path / "image.nrrd").grid.affine, GRIDS["oblique"], atol=1e-12)


def test_a_sheared_image_keeps_its_own_geometry(scene, tmp_path: Path):
    volume = add_volume(scene, SHEAR @ GRIDS["anisotropic"])
    assert bridge.write_volume(volume, tmp_path / "image.nrrd") == ""
    assert np.allclose(read_image(tmp_path / "image.nrrd").grid.affine, SHEAR @ GRIDS["anisotropic"], atol=1e-12)


def test_the_users_node_is_untouched(scene, tmp_path: Path):
    volume = add_volume(scene)
    volume.AddDefaultStorageNode()
    storage = volume.GetStorageNode()
    storage.SetFileName("/somewhere/else.nrrd")
    put_under(volume, turn(20))
    watched = [volume, volume.GetImageData(), storage, volume.GetDisplayNode()]
    before = [each.GetMTime() for each in watched], scene.GetNumberOfNodes(), scene.GetMTime(), storage.GetFileName(), volume.GetModifiedSinceRead()
    bridge.write_volume(volume, tmp_path / "image.nrrd")
    assert before == ([each.GetMTime() for each in watched], scene.GetNumberOfNodes(), scene.GetMTime(), storage.GetFileName(), volume.GetModifiedSinceRead())


def test_names_and_folders_in_any_script(scene, tmp_path: Path):
    volume = add_volume(scene, name="Kopf ß 頭")
    path = tmp_path / "Mein Ordner 頭" / "Übung 1.nrrd"
    bridge.write_volume(volume, path)
    assert np.array_equal(read_image(path).data.numpy(), slicer.util.arrayFromVolume(volume).T)


def test_empty_and_coloured_images_are_refused_in_one_line(scene, tmp_path: Path):
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing")
    coloured = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Photo")
    slicer.util.updateVolumeFromArray(coloured, np.zeros((2, 3, 4, 3), np.uint8))
    for node, words in ((empty, "Nothing: an image without voxels"), (coloured, "Photo: 3 values per voxel")):
        with pytest.raises(InputError, match=words) as refused:
            bridge.write_volume(node, tmp_path / "image.nrrd")
        assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_refuses_is_said(scene, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        bridge.write_volume(add_volume(scene), tmp_path / "file" / "image.nrrd")

"""Label maps: whole numbers of every type round trip, anything else is refused."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import torch

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.volume.files import read_label_map, write_label_map
from Learn2SynthLib.volume.image import LabelMap


def save_nifti(path, voxels):
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)
    return path


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mgz", ".nrrd", ".mha"])
@pytest.mark.parametrize("low, high", [(0, 255), (-3, 100), (0, 530), (0, 40000), (-7, 14175), (0, 2**30)])
def test_label_maps_round_trip(tmp_path, make_grid, suffix, low, high):
    data = torch.zeros((3, 4, 5), dtype=torch.int32)
    data[0], data[1] = low, high
    path = tmp_path / f"labels{suffix}"
    write_label_map(LabelMap(data, make_grid((3, 4, 5)), "muse"), path)
    back = read_label_map(path, "muse")
    assert torch.equal(back.data, data) and back.data.dtype == torch.int32 and back.table == "muse"


@pytest.mark.parametrize("high, kind", [(255, np.uint8), (256, np.int16), (40000, np.uint16), (70000, np.int32)])
def test_labels_are_stored_in_the_smallest_type(tmp_path, make_grid, high, kind):
    data = torch.zeros((3, 4, 5), dtype=torch.int32)
    data[1] = high
    write_label_map(LabelMap(data, make_grid((3, 4, 5))), tmp_path / "labels.nii.gz")
    assert nibabel.load(tmp_path / "labels.nii.gz").get_data_dtype() == kind


def test_whole_numbers_stored_as_floats_are_labels(tmp_path):
    path = save_nifti(tmp_path / "l.nii", np.arange(24).reshape(2, 3, 4).astype(np.float64))
    assert read_label_map(path).data.flatten().tolist() == list(range(24))


def test_labels_a_little_off_whole_numbers_are_rounded(tmp_path):
    path = save_nifti(tmp_path / "l.nii", np.arange(24).reshape(2, 3, 4) + 5e-4)
    assert read_label_map(path).data.flatten().tolist() == list(range(24))


@pytest.mark.parametrize("kind", ["u1", "i1", "<i2", ">i2", "u2", "<i4", ">i4", "u4", "i8", "<f4", ">f4", "f8"])
def test_labels_of_every_type_are_read_in_the_order_of_the_file(tmp_path, kind):
    voxels = np.arange(24).reshape(2, 3, 4)
    nibabel.save(nibabel.Nifti1Image(voxels.astype(kind), np.eye(4), dtype=np.dtype(kind)), tmp_path / "l.nii")
    data = read_label_map(tmp_path / "l.nii").data
    assert data.dtype == torch.int32 and data.tolist() == voxels.tolist() and data.stride() == (1, 2, 6)


def test_what_is_read_does_not_change_with_the_file(tmp_path):
    """Files that are not packed are mapped into memory by default: then a file written anew would change the labels."""
    path = save_nifti(tmp_path / "l.nii", np.ones((2, 3, 4), np.int32))
    data = read_label_map(path).data
    path.write_bytes(bytes(path.stat().st_size))
    assert (data == 1).all()


@pytest.mark.parametrize("value, words", [(1.5, "1 voxels are not whole"), (np.nan, "1 voxels are not whole"), (2.0**40, "labels from")])
def test_label_maps_must_be_whole_numbers(tmp_path, value, words):
    voxels = np.zeros((3, 3, 3))
    voxels[1, 1, 1] = value
    with pytest.raises(InputError, match=words):
        read_label_map(save_nifti(tmp_path / "l.nii.gz", voxels))

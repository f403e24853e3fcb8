"""The reader of preview files, held to nibabel."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from Learn2SynthPanel.nifti import read_volume

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.volume.files import write_image, write_label_map
from Learn2SynthLib.volume.image import Grid, Image, LabelMap

AFFINE = np.array([[0.0, -1.5, 0.1, 10.0], [2.0, 0.0, 0.0, -160.5], [0.0, 0.2, 3.0, -255.0], [0.0, 0.0, 0.0, 1.0]])
SHAPE = (5, 4, 3)


def assert_as_nibabel(path: Path) -> None:
    expected = nibabel.load(path)
    voxels, matrix = read_volume(path)
    np.testing.assert_allclose(voxels, np.asarray(expected.dataobj).reshape(expected.shape[:3]).T, rtol=1e-6)
    np.testing.assert_allclose(matrix, expected.affine, rtol=1e-6)
    assert voxels.dtype.isnative


def test_reads_what_the_library_writes(tmp_path: Path) -> None:
    grid, rng = Grid(SHAPE, AFFINE), np.random.default_rng(0)
    write_image(Image(torch.tensor(rng.random(SHAPE), dtype=torch.float32), grid), tmp_path / "image.nii.gz")
    assert_as_nibabel(tmp_path / "image.nii.gz")
    for highest in (15, 1000, 70000):
        labels = torch.tensor(rng.integers(0, highest, SHAPE, endpoint=True), dtype=torch.int32)
        labels[0, 0, 0] = highest
        write_label_map(LabelMap(labels, grid, "brain"), tmp_path / "labels.nii.gz")
        assert_as_nibabel(tmp_path / "labels.nii.gz")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "u4", "f4", "f8"])
def test_reads_every_type_in_either_byte_order(tmp_path: Path, kind: str, order: str) -> None:
    voxels = np.arange(60).reshape(SHAPE).astype(kind)
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(kind)
    image = nibabel.Nifti1Image(voxels, AFFINE, header)
    image.set_sform(AFFINE, 1)
    nibabel.save(image, tmp_path / "v.nii.gz")
    assert read_volume(tmp_path / "v.nii.gz").voxels.dtype == np.dtype(kind)
    assert_as_nibabel(tmp_path / "v.nii.gz")


def test_scales_where_the_header_says_so(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.linspace(-3, 7, 60).reshape(SHAPE), AFFINE)
    image.set_data_dtype(np.int16)
    image.set_sform(AFFINE, 1)
    nibabel.save(image, tmp_path / "v.nii.gz")
    assert_as_nibabel(tmp_path / "v.nii.gz")


def test_a_fourth_axis_of_one_is_no_axis(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((*SHAPE, 1), np.uint8), AFFINE), tmp_path / "v.nii.gz")
    assert_as_nibabel(tmp_path / "v.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.zeros((*SHAPE, 2), np.uint8), AFFINE), tmp_path / "v.nii.gz")
    with pytest.raises(InputError, match="no NIfTI volume"):
        read_volume(tmp_path / "v.nii.gz")


def test_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    whole = tmp_path / "whole.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.random.default_rng(0).random(SHAPE), AFFINE), whole)
    raw = gzip.decompress(whole.read_bytes())
    broken = {
        "half.nii.gz": whole.read_bytes()[:200],
        "empty.nii.gz": b"",
        "plain.nii.gz": b"no gzip at all",
        "text.nii.gz": gzip.compress(b"not a volume"),
        "short.nii.gz": gzip.compress(raw[:-8]),
        "other.nii.gz": gzip.compress(raw[:344] + b"ni1\0" + raw[348:]),
        "complex.nii.gz": gzip.compress(raw[:70] + (32).to_bytes(2, "little") + raw[72:]),
        "placeless.nii.gz": gzip.compress(raw[:254] + bytes(2) + raw[256:]),
    }
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            read_volume(tmp_path / name)
    with pytest.raises(InputError, match="No such file"):
        read_volume(tmp_path / "missing.nii.gz")

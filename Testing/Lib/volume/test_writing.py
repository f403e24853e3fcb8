"""Writing: the whole file or nothing, and probabilities as a series of volumes."""

from __future__ import annotations

import errno
import os

import nibabel
import numpy as np
import pytest
import torch

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.volume import formats
from Learn2SynthLib.volume.files import write_image, write_probabilities


@pytest.mark.parametrize("code, words", [(errno.ENOSPC, "disk is full"), (errno.EROFS, "may write to")])
def test_a_refusing_disk_leaves_nothing_behind(tmp_path, make_grid, noise_image, monkeypatch, code, words):
    def half_written(path, suffix, voxels, affine, described=""):
        path.write_bytes(b"half")
        raise OSError(code, os.strerror(code))

    image = noise_image(make_grid((3, 3, 3)))
    path = tmp_path / "old.nii.gz"
    write_image(image, path)
    before = path.read_bytes()
    monkeypatch.setattr(formats, "store_volume", half_written)
    for write in (lambda: write_image(image, path), lambda: write_probabilities(image.data[None], image.grid, path)):
        with pytest.raises(InputError, match=words) as caught:
            write()
        assert "old.nii.gz" in str(caught.value)
    assert os.listdir(tmp_path) == ["old.nii.gz"] and path.read_bytes() == before


def test_a_file_in_place_of_the_folder_is_refused(tmp_path, make_grid, noise_image):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        write_image(noise_image(make_grid((3, 3, 3))), tmp_path / "folder" / "scan.nii.gz")


@pytest.mark.parametrize("name", ["scan.png", "scan", "scan.mhd"])
def test_unknown_suffixes_are_not_written(tmp_path, make_grid, noise_image, name):
    with pytest.raises(InputError, match=r"nii.gz"):
        write_image(noise_image(make_grid((3, 3, 3))), tmp_path / name)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["new folder/p.nii.gz", "p.nii"])
def test_probabilities_are_a_series_of_volumes(tmp_path, make_grid, name):
    grid = make_grid((5, 6, 7), (1, 0.75, 2.5), (-11, 22, 33.5), "LIA", 12)
    probabilities = torch.rand((3, *grid.shape), generator=torch.Generator().manual_seed(0), dtype=torch.float64).softmax(0)
    write_probabilities(probabilities, grid, tmp_path / name)
    stored = nibabel.load(tmp_path / name)
    assert stored.shape == (5, 6, 7, 3) and stored.get_data_dtype() == np.float32
    np.testing.assert_array_equal(np.asanyarray(stored.dataobj), probabilities.movedim(0, -1).float().numpy())
    np.testing.assert_allclose(stored.affine, grid.affine, atol=1e-5)
    assert stored.header.get_xyzt_units()[0] == "mm" and os.listdir((tmp_path / name).parent) == [(tmp_path / name).name]


@pytest.mark.parametrize("name", ["p.mgz", "p.nrrd", "p"])
def test_probabilities_are_written_as_nifti_only(tmp_path, make_grid, name):
    with pytest.raises(InputError, match="allowed: .nii.gz, .nii; end the name in .nii.gz"):
        write_probabilities(torch.zeros(2, 3, 3, 3), make_grid((3, 3, 3)), tmp_path / name)
    assert not os.listdir(tmp_path)

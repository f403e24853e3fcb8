"""Images: every format round trips, every kind of bad file is refused with a reason."""

from __future__ import annotations

import gzip
import os
import zipfile

import nibabel
import numpy as np
import pytest
import SimpleITK
import torch

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.volume import formats
from Learn2SynthLib.volume.files import is_volume, read_grid, read_image, stem, volume_suffix, write_image
from Learn2SynthLib.volume.image import Image

SUFFIXES = [".nii.gz", ".nii", ".mgz", ".nrrd", ".mha"]


def save_nifti(path, voxels):
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)
    return path


def save_with_affine_row(path, voxels, row):
    """A file whose header's first affine row is `row`, which nibabel would not write by itself."""
    header = nibabel.Nifti1Header()
    header["sform_code"], header["srow_x"], header["srow_y"], header["srow_z"] = 1, row, (0, 1, 0, 0), (0, 0, 1, 0)
    nibabel.save(nibabel.Nifti1Image(voxels, None, header), path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("axes, degrees", [("RAS", 0), ("LIA", 0), ("PSR", 12)])
def test_images_round_trip(tmp_path, make_grid, noise_image, suffix, axes, degrees):
    image = noise_image(make_grid((5, 6, 7), (1, 0.75, 2.5), (-11, 22, 33.5), axes, degrees))
    path = tmp_path / "Ein Ordner mit Größe 脑" / f"scan é{suffix}"
    write_image(image, path)
    back = read_image(path)
    assert torch.equal(back.data, image.data) and back.data.dtype == torch.float32 and back.data.is_contiguous()
    assert back.grid.matches(image.grid, 1e-4)
    assert read_grid(path).matches(image.grid, 1e-4)
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_itk_files_mean_the_same_place(tmp_path, make_grid, noise_image, suffix):
    """A voxel lies where ITK says it lies, once x and y change sign (LPS to RAS)."""
    image = noise_image(make_grid((5, 6, 7), (1, 2, 3), (10, 20, 30), "LPS", 15))
    write_image(image, tmp_path / f"scan{suffix}")
    itk = SimpleITK.ReadImage(tmp_path / f"scan{suffix}")
    point = image.grid.affine @ (1, 2, 3, 1)
    np.testing.assert_allclose(itk.TransformIndexToPhysicalPoint((1, 2, 3)), point[:3] * (-1, -1, 1), atol=1e-4)
    assert itk[1, 2, 3] == pytest.approx(float(image.data[1, 2, 3]))


def test_nifti_and_itk_agree_on_a_nifti(tmp_path, make_grid, noise_image):
    image = noise_image(make_grid((5, 6, 7), (1, 2, 3), (10, 20, 30), "LIA", 15))
    write_image(image, tmp_path / "scan.nii.gz")
    SimpleITK.WriteImage(SimpleITK.ReadImage(tmp_path / "scan.nii.gz"), tmp_path / "scan.mha")
    assert read_grid(tmp_path / "scan.mha").matches(image.grid, 1e-3)


def test_scaling_and_units_of_the_header_are_applied(tmp_path):
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.diag([0.001, 0.001, 0.002, 1]))
    image.header.set_slope_inter(0.5, 10)
    image.header.set_xyzt_units("meter")
    nibabel.save(image, tmp_path / "scan.nii.gz")
    stored = nibabel.load(tmp_path / "scan.nii.gz").dataobj
    back = read_image(tmp_path / "scan.nii.gz")
    np.testing.assert_allclose(back.data.numpy(), np.asarray(stored), rtol=1e-6)
    np.testing.assert_allclose(back.grid.spacing_mm, (1, 1, 2), rtol=1e-5)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # nibabel leaves the cut file open
def test_unknown_units_are_mm_and_a_cut_mgz_is_refused(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.int16), np.diag([1, 1, 2, 1]))
    image.header["xyzt_units"] = 7
    nibabel.save(image, tmp_path / "scan.nii")
    np.testing.assert_allclose(read_grid(tmp_path / "scan.nii").spacing_mm, (1, 1, 2))
    for size in (0, 3, 100):
        (tmp_path / "cut.mgh").write_bytes(bytes(size))
        with pytest.raises(InputError, match="cannot be read"):
            read_image(tmp_path / "cut.mgh")


def test_nan_is_the_lowest_intensity(tmp_path):
    voxels = np.arange(27, dtype=np.float32).reshape(3, 3, 3) + 5
    voxels[1, 1, 1:] = np.nan
    image = read_image(save_nifti(tmp_path / "masked.nii", voxels))
    assert torch.equal(image.data, torch.from_numpy(np.where(np.isnan(voxels), 5, voxels)))
    assert image.note.startswith("2 of its 27 voxels are NaN")


def test_one_volume_along_the_time_axis_is_3d(tmp_path):
    path = save_nifti(tmp_path / "scan.nii.gz", np.arange(24, dtype=np.float32).reshape(2, 3, 4, 1))
    assert read_image(path).data.shape == (2, 3, 4)


# --- refused


def bad_file(folder, case):
    voxels = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    path = folder / "scan.nii.gz"
    if case == "truncated":
        save_nifti(path, np.random.default_rng(0).normal(size=(20, 20, 20)))
        path.write_bytes(path.read_bytes()[:5000])
    elif case == "truncated plain":
        path = save_nifti(folder / "scan.nii", np.zeros((20, 20, 20)))
        path.write_bytes(path.read_bytes()[:5000])
    elif case == "text":
        path.write_text("not an image")
    elif case == "text in gzip":
        path.write_bytes(gzip.compress(b"not an image" * 100))
    elif case == "empty":
        path.write_bytes(b"")
    elif case == "nrrd text":
        path = folder / "scan.nrrd"
        path.write_text("not an image")
    elif case == "suffix":
        path = folder / "scan.jpeg"
        path.write_text("x")
    elif case == "series":
        save_nifti(path, np.zeros((4, 4, 4, 7), np.float32))
    elif case == "colour":
        save_nifti(path, np.zeros((4, 4, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")]))
    elif case == "vector":
        path = folder / "scan.mha"
        SimpleITK.WriteImage(SimpleITK.Image([4, 4, 4], SimpleITK.sitkVectorFloat32, 3), path)
    elif case == "2D":
        save_nifti(path, voxels[:, :, :1])
    elif case == "2D mha":
        path = folder / "scan.mha"
        SimpleITK.WriteImage(SimpleITK.Image([4, 4], SimpleITK.sitkFloat32), path)
    elif case == "singular":
        save_with_affine_row(path, voxels, (0, 0, 0, 5))
    elif case == "affine NaN":
        save_with_affine_row(path, voxels, (1, np.nan, 0, 0))
    elif case == "NaN":
        voxels[0, 0, :3] = np.nan, np.inf, -np.inf
        save_nifti(path, voxels)
    elif case == "constant":
        save_nifti(path, np.full((3, 3, 3), 7.0))
    elif case == "complex":
        save_nifti(path, voxels.astype(np.complex64))
    elif case == "no DICOM":
        path = folder / "series"
        path.mkdir()
        (path / "notes.txt").write_text("x")
    return path


@pytest.mark.parametrize(
    "case, words",
    [
        ("missing", "no such file"), ("truncated", "truncated"), ("truncated plain", "truncated"), ("text", "cannot be read"),
        ("text in gzip", "cannot be read"), ("empty", "cannot be read"), ("nrrd text", "cannot be read"),
        ("suffix", "unknown file type '.jpeg'"),
        ("series", "4 axes (4 x 4 x 4 x 7)"), ("colour", "3 values per voxel"), ("vector", "3 values per voxel"), ("2D", "2D image"),
        ("2D mha", "2D image"), ("singular", "geometry"),
        ("affine NaN", "geometry"), ("NaN", "2 of 24 voxels"), ("constant", "every voxel is 7"),
        ("complex", "complex64"), ("no DICOM", "without DICOM"),
    ],
)  # fmt: skip
def test_bad_images_are_refused_in_one_line(tmp_path, case, words):
    path = bad_file(tmp_path, case)
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert words in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_suggests_the_nearest_name(tmp_path):
    save_nifti(tmp_path / "sub-01_T1w.nii.gz", np.zeros((2, 2, 2), np.float32))
    with pytest.raises(InputError, match=r"did you mean 'sub-01_T1w.nii.gz'"):
        read_image(tmp_path / "sub-01_T1.nii.gz")
    with pytest.raises(InputError, match="check the path"):  # alike are the endings alone
        read_image(tmp_path / "missing.nii.gz")


# --- names


@pytest.mark.parametrize(
    "name, suffix, without",
    [
        ("a.nii.gz", ".nii.gz", "a"),
        ("A.B.NII", ".nii", "A.B"),
        ("a.gz", None, "a.gz"),
        ("x.seg.nrrd", ".nrrd", "x.seg"),
        ("folder", None, "folder"),
    ],
)
def test_suffix_and_stem(name, suffix, without):
    assert volume_suffix(name) == suffix and stem(f"/some/where/{name}") == without


def test_hidden_and_missing_files_are_no_volumes(tmp_path):
    for name in ("scan.nii.gz", "._scan.nii.gz", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in sorted(tmp_path.iterdir()) if is_volume(p)] == ["scan.nii.gz"]
    assert not is_volume(tmp_path / "none.nii.gz") and not is_volume(tmp_path)


# --- DICOM


def write_dicom(folder, slices, series, step=5.0, positions=None):
    """A series with a gap-free step along z, or the given positions, its file names in reverse order of position."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for z, position in enumerate(np.arange(slices) * step if positions is None else positions):
        image = SimpleITK.GetImageFromArray((np.arange(20).reshape(1, 4, 5) + 100 * z).astype(np.int16))
        tags = {"0008|0060": "MR", "0020|000e": f"1.2.3.{series}", "0020|000d": "1.2.3", "0008|0018": f"1.2.3.{series}.{z}"}
        tags |= {"0008|103e": f"ax {series}", "0020|0032": f"0\\0\\{position}", "0020|0037": "1\\0\\0\\0\\1\\0", "0020|0013": str(z), "0028|0030": "1\\2"}
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{series}-{slices - z:03d}.dcm"))
        writer.Execute(image)


def test_the_one_dicom_series_with_slices_is_read(tmp_path):
    write_dicom(tmp_path / "a b" / "é", 1, 1)
    write_dicom(tmp_path / "a b" / "é", 6, 2)
    image = read_image(tmp_path)
    assert image.data.shape == (5, 4, 6) and read_grid(tmp_path).matches(image.grid)
    assert image.grid.affine[2, 2] == pytest.approx(5) and image.data[0, 0].tolist() == [0, 100, 200, 300, 400, 500]
    assert is_volume(tmp_path / "a b" / "é") and not is_volume(tmp_path)
    with pytest.raises(InputError, match="folder of the whole series"):
        read_image(next((tmp_path / "a b" / "é").iterdir()).rename(tmp_path / "one"))


def test_several_dicom_series_are_listed_whether_in_one_folder_or_two(tmp_path):
    write_dicom(tmp_path / "both", 3, 1)
    write_dicom(tmp_path / "both", 6, 2)
    for file in (tmp_path / "both").glob("1-*"):  # a description in Latin letters that are not UTF-8
        file.write_bytes(file.read_bytes().replace(b"ax 1", b"\xe4x 1"))
    write_dicom(tmp_path / "each" / "a", 3, 1)
    write_dicom(tmp_path / "each" / "b", 6, 2)
    for folder, first in (("both", "[?]x 1"), ("each", "ax 1")):
        with pytest.raises(InputError, match=rf"{folder}: 2 DICOM series: '{first}' \(3 slices\), 'ax 2' \(6 slices\); allowed: one series"):
            read_grid(tmp_path / folder)


@pytest.mark.parametrize("positions, words", [
    ([0, 5, 10, 15] * 2, "8 slices at 4 positions, 2 volumes"), ([0, 5, 10, 20, 25], "slices are missing"),
])  # fmt: skip
def test_a_series_that_is_not_one_volume_is_refused(tmp_path, positions, words):
    write_dicom(tmp_path / "s", len(positions), 1, positions=positions)
    with pytest.raises(InputError, match=words) as caught:
        read_image(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_volume_in_one_dicom_file_is_read_and_two_of_them_are_told(tmp_path):
    image = SimpleITK.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    image.SetSpacing((1, 2, 3))
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for name in ("1", "2"):
        for tag, value in {"0020|000e": "1.2.3.1", "0020|000d": "1.2.3", "0008|0018": f"1.2.3.1.{name}", "0008|0060": "MR"}.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(tmp_path / f"{name}.dcm"))
        writer.Execute(image)
        if name == "1":
            assert read_image(tmp_path).data.shape == (5, 4, 3) and read_grid(tmp_path).spacing_mm == pytest.approx((1, 2, 3))
    with pytest.raises(InputError, match="2 volumes in one series"):
        read_image(tmp_path)
    write_dicom(tmp_path / "below", 4, 2)
    (tmp_path / "2.dcm").unlink()
    with pytest.raises(InputError, match=r"2 DICOM series: 'no description' \(3 slices\), 'ax 2' \(4 slices\)"):
        read_image(tmp_path)


def test_a_real_dicom_series_lies_where_itk_says(data_folder, tmp_path):
    with zipfile.ZipFile(data_folder / "user_scans" / "tcia-PGBM-003_FLAIR_dicom.zip") as archive:
        archive.extractall(tmp_path)
    image = read_image(tmp_path)
    itk = SimpleITK.ReadImage(list(formats.dicom_series(tmp_path)))
    assert image.data.shape == (280, 320, 22) == read_grid(tmp_path).shape
    expected = np.multiply(itk.TransformIndexToPhysicalPoint((200, 30, 20)), (-1, -1, 1))
    for grid in (image.grid, read_grid(tmp_path)):
        np.testing.assert_allclose((grid.affine @ (200, 30, 20, 1))[:3], expected, atol=0.01)
    assert float(image.data[200, 30, 20]) == itk[200, 30, 20]


def test_real_scans_read_as_nibabel_reads_them(data_folder):
    path = data_folder / "nichart_t1_flair" / "sub-01_T1w.nii.gz"
    image = read_image(path)
    np.testing.assert_allclose(image.data.numpy(), nibabel.load(path).get_fdata(), rtol=1e-6)
    assert image.grid.orientation == "LPS" and isinstance(image, Image)

"""Formats: what only one system or one kind of header shows."""

from __future__ import annotations

import locale
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import nibabel
import numpy as np
import pytest
import SimpleITK

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.volume import formats


def test_on_windows_itk_gets_names_in_utf8_and_the_locale_comes_back(monkeypatch):
    calls = []
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(locale, "setlocale", lambda kind, name=None: calls.append(name) or "before")
    with formats._utf8_file_names():
        assert calls == [None, ".UTF8"]
    assert calls == [None, ".UTF8", "before"]


def test_on_windows_two_readers_do_not_take_each_others_locale_away(monkeypatch):
    now, inside, both_inside, one_left = ["usual"], Event(), Event(), Event()

    def setlocale(kind, name=None):
        now[0] = name or now[0]
        return now[0]

    def first():
        with formats._utf8_file_names():
            inside.set()
            both_inside.wait(0.2)
        one_left.set()

    def second():
        inside.wait()
        with formats._utf8_file_names():
            both_inside.set()
            one_left.wait()
            return now[0]

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(locale, "setlocale", setlocale)
    with ThreadPoolExecutor() as readers:
        seen, _ = readers.submit(second), readers.submit(first)
        assert seen.result() == ".UTF8"
    assert now == ["usual"]


def test_a_sheared_affine_is_kept_exactly_and_not_approximated_beside_it(tmp_path):
    affine = np.array([[1, 0.2, 0, 3], [0, 1, 0, 4], [0, 0, 2, 5], [0, 0, 0, 1.0]])
    formats.store_volume(tmp_path / "x.nii", ".nii", np.arange(24, dtype=np.float32).reshape(2, 3, 4), affine)
    header = nibabel.load(tmp_path / "x.nii").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 0)
    np.testing.assert_allclose(formats.open_volume(tmp_path / "x.nii", ".nii").affine, affine, atol=1e-6)


def test_a_folder_without_dicom_has_no_series(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "short").write_bytes(b"DICM")
    assert formats.dicom_series(tmp_path) == () and not formats.is_dicom_folder(tmp_path / "below")


def nhdr(folder, units, field="space units"):
    """A detached NRRD of 1 x 2 x 3 of these units, its origin at 4, 5, 6 of them."""
    image = SimpleITK.GetImageFromArray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    image.SetSpacing((1, 2, 3))
    image.SetOrigin((4, 5, 6))
    SimpleITK.WriteImage(image, folder / "x.nhdr")
    text = (folder / "x.nhdr").read_text()
    (folder / "x.nhdr").write_text(text.replace("endian:", f"{field}: {units}\nendian:"))
    return folder / "x.nhdr"


@pytest.mark.parametrize("unit, mm", [("mm", 1), ("cm", 10), ("um", 0.001), ("", 1)])
def test_space_units_of_nrrd_are_applied(tmp_path, unit, mm):
    affine = formats.open_volume(nhdr(tmp_path, " ".join([f'"{unit}"'] * 3)), ".nhdr").affine
    np.testing.assert_allclose(affine, [[-mm, 0, 0, -4 * mm], [0, -2 * mm, 0, -5 * mm], [0, 0, 3 * mm, 6 * mm], [0, 0, 0, 1]])


def plain_nrrd(folder, header):
    """An NRRD that says nothing of its space, of 2 x 2 x 2 voxels."""
    path = folder / "plain.nrrd"
    path.write_bytes(f"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nencoding: raw\n{header}\n".encode() + bytes(8))
    return path


def test_units_of_the_axes_of_a_nrrd_are_applied(tmp_path):
    path = plain_nrrd(tmp_path, 'spacings: 0.1 0.2 0.3\nunits: "cm" "cm" "cm"\n')
    np.testing.assert_allclose(formats.open_volume(path, ".nrrd").affine.diagonal(), [-1, -2, 3, 1])


@pytest.mark.parametrize("space, guess", [("", True), ("space: scanner-xyz\n", True), ("space: left-posterior-superior\n", False), ("space: RAS\n", False)])
def test_a_nrrd_without_orientation_is_known(tmp_path, space, guess):
    assert formats.is_placed_by_guess(plain_nrrd(tmp_path, space), ".nrrd") is guess


@pytest.mark.parametrize("units", ['"mm" "mm" "cm"', '"inch" "inch" "inch"'])
def test_other_space_units_of_nrrd_are_refused(tmp_path, units):
    with pytest.raises(InputError, match="units"):
        formats.open_volume(nhdr(tmp_path, units), ".nhdr")


def test_data_files_are_those_that_the_header_names(tmp_path):
    assert formats.data_files(nhdr(tmp_path, '"mm" "mm" "mm"')) == [tmp_path / "x.raw"]
    image = SimpleITK.GetImageFromArray(np.zeros((2, 3, 4), np.int16))
    for name in ("y.mhd", "z.mha"):
        SimpleITK.WriteImage(image, tmp_path / name)
    assert formats.data_files(tmp_path / "y.mhd") == [tmp_path / "y.raw"] and formats.data_files(tmp_path / "z.mha") == []
    (tmp_path / "z.mha").rename(tmp_path / "z.mhd")  # its voxels follow the header
    assert formats.data_files(tmp_path / "z.mhd") == []
    (tmp_path / "long.mhd").write_bytes(b"ElementDataFile = LOCAL\n" + b"v" * 5000 + b"\ny.raw\n")
    assert formats.data_files(tmp_path / "long.mhd") == []
    (tmp_path / "list.mhd").write_text("NDims = 3\nElementDataFile = LIST\ny.raw\nx.raw\n")
    assert formats.data_files(tmp_path / "list.mhd") == [tmp_path / "y.raw", tmp_path / "x.raw"]


@pytest.mark.parametrize("codes, guess", [((0, 0), True), ((1, 0), False), ((0, 2), False)])
def test_a_nifti_without_orientation_is_known(tmp_path, codes, guess):
    image = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.int16), np.eye(4))
    image.set_qform(np.eye(4), codes[0])
    image.set_sform(np.eye(4), codes[1])
    nibabel.save(image, tmp_path / "x.nii")
    assert formats.is_placed_by_guess(tmp_path / "x.nii", ".nii") is guess
    assert not formats.is_placed_by_guess(tmp_path / "x.mha", ".mha")

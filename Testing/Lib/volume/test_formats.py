"""Formats: what only one system or one kind of header shows."""

from __future__ import annotations

import locale
import sys

import nibabel
import numpy as np

from Learn2SynthLib.volume import formats


def test_on_windows_itk_gets_names_in_utf8_and_the_locale_comes_back(monkeypatch):
    calls = []
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(locale, "setlocale", lambda kind, name=None: calls.append(name) or "before")
    with formats._utf8_file_names():
        assert calls == [None, ".UTF8"]
    assert calls == [None, ".UTF8", "before"]


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

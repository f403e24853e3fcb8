"""How each file format keeps a volume: NIfTI and MGH through nibabel; NRRD, MetaImage and DICOM through SimpleITK.

Every format is opened into the same record, in RAS millimetres. What may be used of it is decided in files.py.
"""

from __future__ import annotations

import locale
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import SimpleITK

from ..errors import InputError
from .slices import stack

NIFTI_SUFFIXES = (".nii.gz", ".nii")
NIBABEL_SUFFIXES = (*NIFTI_SUFFIXES, ".mgz", ".mgh")
NRRD_SUFFIXES = (".nrrd", ".nhdr")
ITK_SUFFIXES = (*NRRD_SUFFIXES, ".mha", ".mhd")
WRITABLE_SUFFIXES = (".nii.gz", ".nii", ".mgz", ".nrrd", ".mha")

# ITK keeps physical points as left-posterior-superior, the whole of this library as right-anterior-superior.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MM_PER_UNIT = {1: 1000.0, 3: 0.001}  # by the code of NIfTI's header; any other is or means mm
_MM_PER_NRRD_UNIT = {"mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "µm": 0.001}
_HEADER_BYTES = 2**16
GUESS = "which side is left (no orientation): that of the format's old convention is taken; write its orientation into it"
_SERIES_DESCRIPTION = "0008|103e"
_LOCALE = threading.Lock()  # the locale is that of the whole process


@dataclass(frozen=True, eq=False)
class StoredVolume:
    """What a header says, and how to get the voxels.

    shape: as stored, 2 to 7 axes. components: values per voxel, 3 for RGB. affine: voxel to RAS mm, 4x4.
    voxels(): the array with the stored scaling applied, axes in the order of `shape`.
    """

    shape: tuple[int, ...]
    components: int
    affine: np.ndarray
    voxels: Callable[[], np.ndarray]


def is_placed_by_guess(path: Path, suffix: str | None) -> bool:
    """True for a NIfTI or NRRD file whose header says nothing of where its voxels lie: left and right are a convention's, not the scan's."""
    if suffix in NRRD_SUFFIXES:
        return not re.search(r"^space: *(?:left|right|[lr][ap]s)", _text_header(path), re.MULTILINE | re.IGNORECASE)
    if suffix not in NIFTI_SUFFIXES:
        return False
    header: Any = nibabel.load(path).header
    return int(header["qform_code"]) == int(header["sform_code"]) == 0


def open_volume(path: Path, suffix: str) -> StoredVolume:
    """Read a header; the voxels are read when asked for. Raises whatever the format's library raises."""
    return _open_nibabel(path) if suffix in NIBABEL_SUFFIXES else _open_itk(path)


def _open_nibabel(path: Path) -> StoredVolume:
    image: Any = nibabel.load(path)
    affine = np.array(image.affine, dtype=np.float64)
    if isinstance(image, nibabel.Nifti1Pair):
        affine[:3] *= _MM_PER_UNIT.get(int(image.header["xyzt_units"]) & 7, 1.0)
    fields = image.get_data_dtype().names
    return StoredVolume(tuple(image.shape), len(fields) if fields else 1, affine, lambda: np.asanyarray(image.dataobj))


@contextmanager
def _utf8_file_names() -> Iterator[None]:
    """Let ITK open names such as 'Gehirn_äöü.nrrd' on Windows, where its C library reads names in the locale's encoding."""
    if sys.platform != "win32":
        yield
        return
    with _LOCALE:
        before = locale.setlocale(locale.LC_CTYPE)
        locale.setlocale(locale.LC_CTYPE, ".UTF8")
        try:
            yield
        finally:
            locale.setlocale(locale.LC_CTYPE, before)


@_utf8_file_names()
def _open_itk(path: Path) -> StoredVolume:
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(os.fspath(path))
    reader.ReadImageInformation()
    affine = _ras_affine(reader.GetOrigin(), reader.GetSpacing(), reader.GetDirection())
    affine[:3] *= _mm_per_nrrd_unit(path)
    return StoredVolume(tuple(reader.GetSize()), reader.GetNumberOfComponents(), affine, lambda: _itk_voxels(reader))


def _mm_per_nrrd_unit(path: Path) -> float:
    """What the header's units (of its space or, in files without one, of its axes) are in mm; ITK does not look at them, and no word means mm.

    Raises InputError for units not known.
    """
    if path.suffix.lower() not in NRRD_SUFFIXES:
        return 1.0
    line = re.search(r"^(?:space )?units:(.*)$", _text_header(path), re.MULTILINE | re.IGNORECASE)
    units = set(re.findall(r'"([^"]*)"', line[1])) - {""} if line else set()
    if len(units) > 1 or not units <= set(_MM_PER_NRRD_UNIT):
        raise InputError(path, f"units {', '.join(sorted(units))}", "mm, cm, m or um, along all axes", "export it again in millimetres")
    return _MM_PER_NRRD_UNIT[units.pop()] if units else 1.0


def _text_header(path: Path) -> str:
    with open(path, "rb") as file:
        return re.split(r"\r?\n\r?\n", file.read(_HEADER_BYTES).decode(errors="replace"), maxsplit=1)[0]


def data_files(path: Path) -> list[Path]:
    """The files that a MetaImage or NRRD header names as holding its voxels, in its order; none for voxels in the same file."""
    if path.suffix.lower() not in (".mhd", ".nhdr"):
        return []
    named = re.search(r"^(?:ElementDataFile *=|data ?file:)(.*)", _text_header(path), re.MULTILINE | re.IGNORECASE | re.DOTALL)
    first, *others = (named[1] if named else "").splitlines() or [""]
    names = others if first.strip().upper().startswith("LIST") else [first]  # after LIST one a line; after LOCAL come the voxels
    return [file for name in names if name.strip() and (file := path.parent / name.strip()).is_file()]


@_utf8_file_names()
def _itk_voxels(reader: Any) -> np.ndarray:
    # SimpleITK's arrays run z, y, x.
    return SimpleITK.GetArrayFromImage(reader.Execute()).T


def _ras_affine(origin: Any, spacing: Any, direction: Any) -> np.ndarray:
    ndim = len(origin)
    n = min(ndim, 3)
    affine = np.eye(4)
    affine[:n, :n] = (np.reshape(direction, (ndim, ndim)) * np.asarray(spacing))[:n, :n]
    affine[:n, 3] = origin[:n]
    return _LPS_TO_RAS @ affine


def is_dicom_file(path: Path) -> bool:
    """True for a file with the DICOM signature."""
    try:
        with open(path, "rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def is_dicom_folder(folder: Path) -> bool:
    """True when a DICOM file lies directly in the folder."""
    return folder.is_dir() and any(is_dicom_file(path) for path in sorted(folder.iterdir()) if path.is_file())


def dicom_series(folder: Path) -> tuple[str, ...]:
    """Files of the one series with slices in the folder or below; none when there is no DICOM file. Raises InputError for several."""
    series = [files for place in _dicom_folders(folder) for files in _series_in(os.fspath(place))]
    if len(series) < 2:
        return series[0] if series else ()
    slices = {files: count for files in series if (count := _slices_in(files)) > 1}
    if len(slices) > 1:
        listed = ", ".join(f"'{_description(files)}' ({count} slices)" for files, count in slices.items())
        raise InputError(folder, f"{len(slices)} DICOM series: {listed}", "one series", "give a folder that holds only the one you want")
    return next(iter(slices), series[0])


def _dicom_folders(folder: Path) -> Iterator[Path]:
    for place, folders, _ in os.walk(folder):
        folders.sort()
        if is_dicom_folder(Path(place)):
            yield Path(place)


@_utf8_file_names()
def _series_in(folder: str) -> list[tuple[str, ...]]:
    reader = SimpleITK.ImageSeriesReader
    return [tuple(reader.GetGDCMSeriesFileNames(folder, series)) for series in reader.GetGDCMSeriesIDs(folder)]


def _slices_in(files: tuple[str, ...]) -> int:
    """One file may hold one slice, a whole volume, or what ITK cannot read, which is none."""
    if len(files) > 1:
        return len(files)
    with suppress(RuntimeError):
        return (*_open_itk(Path(files[0])).shape, 1, 1)[2]
    return 0


@_utf8_file_names()
def _description(files: tuple[str, ...]) -> str:
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(files[0])
    reader.ReadImageInformation()
    text = reader.GetMetaData(_SERIES_DESCRIPTION) if reader.HasMetaDataKey(_SERIES_DESCRIPTION) else "no description"
    return text.strip().encode(errors="replace").decode()  # of letters that are not UTF-8 SimpleITK makes what cannot be printed


def open_dicom(files: tuple[str, ...]) -> StoredVolume:
    """One series. Raises InputError when its slices do not make one volume."""
    slices = [_open_itk(Path(file)) for file in files]
    first = slices[0]
    if len(files) == 1:
        return first
    folder = Path(files[0]).parent
    if any(each.shape[2:] != (1,) for each in slices):
        raise InputError(folder, f"{len(files)} volumes in one series", "one volume", "give a folder that holds only the file you want")
    order, affine = stack(folder, [each.affine for each in slices])
    files = tuple(files[index] for index in order)
    return StoredVolume((*first.shape[:2], len(files)), first.components, affine, lambda: _series_voxels(files))


def _series_voxels(files: tuple[str, ...]) -> np.ndarray:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(files)
    return _itk_voxels(reader)


def description(path: Path, suffix: str | None) -> str:
    """What the header of a NIfTI file says of it in words; empty in other formats."""
    if suffix not in NIFTI_SUFFIXES:
        return ""
    header: Any = nibabel.load(path).header
    return header["descrip"].item().decode("ascii", "replace")


def store_volume(path: Path, suffix: str, voxels: np.ndarray, affine: np.ndarray, described: str = "") -> None:
    """Write voxels (X, Y, Z), in NIfTI also (X, Y, Z, C), and their voxel-to-RAS affine in the format of `suffix`; `described`: for headers of NIfTI files."""
    if suffix in ITK_SUFFIXES:
        _store_itk(path, voxels, affine)
    elif suffix == ".mgz":
        nibabel.save(nibabel.MGHImage(voxels, affine), path)
    else:
        nibabel.save(_nifti(voxels, affine, described), path)


def _nifti(voxels: np.ndarray, affine: np.ndarray, described: str) -> nibabel.Nifti1Image:
    image = nibabel.Nifti1Image(voxels, affine)
    image.header["descrip"] = described.encode("ascii")
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, 1)
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    # The quaternion form cannot hold a shear, and a wrong one beside a right matrix would mislead its readers.
    image.set_qform(affine, 1 if np.allclose(axes.T @ axes, np.eye(3), atol=1e-4) else 0)
    return image


@_utf8_file_names()
def _store_itk(path: Path, voxels: np.ndarray, affine: np.ndarray) -> None:
    lps = _LPS_TO_RAS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(voxels.T))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    SimpleITK.WriteImage(image, os.fspath(path), useCompression=True)

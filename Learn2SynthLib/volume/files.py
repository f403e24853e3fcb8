"""Reading and writing images and label maps: whatever the format, 3D, RAS millimetres, or refused with a reason."""

from __future__ import annotations

import errno
import os
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
from nibabel.filebasedimages import ImageFileError
from nibabel.freesurfer.mghformat import MGHError
from nibabel.spatialimages import HeaderDataError, HeaderTypeError

from ..errors import InputError, nearest
from ..files import replace
from ..labels import MARK, LabelTable
from . import formats
from .formats import StoredVolume, is_dicom_file, is_dicom_folder
from .image import Grid, Image, LabelMap

VOLUME_SUFFIXES = formats.NIBABEL_SUFFIXES + formats.ITK_SUFFIXES
_ALLOWED = ", ".join(VOLUME_SUFFIXES) + " or a DICOM folder"
_WHOLE_NUMBER_TOLERANCE = 1e-3  # label maps stored with a scale factor come back a little off


def volume_suffix(path: str | os.PathLike[str]) -> str | None:
    """The suffix, lower case, of a file that can hold a volume ('.nii.gz', '.mgz', ...); None for any other name."""
    name = Path(path).name.lower()
    return next((suffix for suffix in VOLUME_SUFFIXES if name.endswith(suffix) and name != suffix), None)


def is_volume(path: str | os.PathLike[str]) -> bool:
    """True for an existing file with a volume's suffix, not hidden, and for a folder with DICOM files directly in it."""
    path = Path(path)
    if path.is_dir():
        return is_dicom_folder(path)
    return path.is_file() and volume_suffix(path) is not None and not path.name.startswith(".")


def stem(path: str | os.PathLike[str]) -> str:
    """The name without its volume suffix: 'sub-01_T1w' for 'sub-01_T1w.nii.gz'."""
    name = Path(path).name
    return name[: len(name) - len(volume_suffix(path) or "")]


def read_grid(path: str | os.PathLike[str]) -> Grid:
    """Shape and affine from the header alone.

    Raises InputError for what is not one 3D volume of single values: 2D, time series, colours, a broken affine.
    """
    return _open(Path(path))[1]


def read_image(path: str | os.PathLike[str]) -> Image:
    """Read intensities, scaled as the header says; float32 (X, Y, Z).

    NaN, as some programs write outside of a mask, becomes the lowest intensity, and the image notes it. Raises InputError as `read_grid` does, and for voxels
    that cannot be read, are infinite, or are all the same.
    """
    path = Path(path)
    stored, grid = _open(path)
    voxels = np.ascontiguousarray(_voxels(path, stored, grid), dtype=np.float32)
    finite, missing = int(np.isfinite(voxels).sum()), int(np.isnan(voxels).sum())
    infinite = voxels.size - finite - missing
    if infinite or not finite:
        found = f"{infinite or missing} of {voxels.size} voxels are {'infinite' if infinite else 'NaN'}"
        raise InputError(path, found, "finite numbers", "replace them by 0 and save the image again")
    note = f"{missing} of its {voxels.size} voxels are NaN, and count as its lowest intensity" if missing else ""
    voxels = np.nan_to_num(voxels, nan=float(np.nanmin(voxels))) if missing else voxels
    if np.min(voxels) == np.max(voxels):
        raise InputError(
            path, f"every voxel is {voxels.flat[0]:g}", "an image with more than one intensity", "export it again from its source"
        )
    return Image(torch.from_numpy(voxels), grid, note)


def read_label_map(path: str | os.PathLike[str], table: str = "freesurfer") -> LabelMap:
    """Read labels numbered as in the label table `table`; int32 (X, Y, Z), in memory in the order of the file.

    Raises InputError as `read_grid` does, and for voxels that cannot be read or are not whole numbers.
    """
    path = Path(path)
    stored, grid = _open(path)
    return LabelMap(torch.from_numpy(_whole_numbers(path, _voxels(path, stored, grid))), grid, table)


def keep_inputs(outputs: Sequence[Path], inputs: Sequence[str | Path]) -> None:
    """Raises InputError when one of the outputs is one of the inputs, which are there."""
    for path in outputs:
        if is_dicom_file(path) or (os.path.exists(path) and any(os.path.samefile(path, given) for given in inputs)):
            raise InputError(path, "is an input and would be overwritten", remedy="choose another file or folder for the output")


def write_image(image: Image, path: str | os.PathLike[str]) -> None:
    """Write float32 intensities as .nii.gz, .nii, .mgz, .nrrd or .mha: the whole file or, on failure, nothing.

    The folder is made when it does not exist. Raises InputError for another suffix and when the disk refuses.
    """
    _write(image.data.detach().cpu().numpy().astype(np.float32, copy=False), image.grid, Path(path))


def write_label_map(labels: LabelMap, path: str | os.PathLike[str], table: LabelTable | None = None) -> None:
    """Write labels in the smallest integer type that holds them; formats, folder and errors as in `write_image`.

    table: what their numbers mean; a NIfTI file's header then says so (`mark_of`).
    """
    path = Path(path)
    voxels = labels.data.detach().cpu().numpy()
    described = table.mark if table else ""
    _write(voxels.astype(_smallest_type(voxels, volume_suffix(path)), copy=False), labels.grid, path, described=described)


def mark_of(path: Path) -> str:
    """What the header of a segmentation by this program says of its numbers, a `LabelTable.mark`; empty for other files."""
    with _refusing_unreadable(path):
        told = formats.description(path, volume_suffix(path))
    return told if told.startswith(MARK) else ""


def write_probabilities(probabilities: torch.Tensor, grid: Grid, path: str | os.PathLike[str]) -> None:
    """Write probabilities (C, X, Y, Z) as a float32 NIfTI file (X, Y, Z, C); folder and errors as in `write_image`."""
    voxels = probabilities.detach().movedim(0, -1).cpu().numpy().astype(np.float32, copy=False)
    _write(voxels, grid, Path(path), formats.NIFTI_SUFFIXES)


def _open(path: Path) -> tuple[StoredVolume, Grid]:
    if not path.exists():
        raise InputError(path, "no such file or folder", remedy=similar_name(path))
    with _refusing_unreadable(path):
        stored = _open_folder(path) if path.is_dir() else _open_file(path)
    return stored, _grid(path, stored)


def _open_file(path: Path) -> StoredVolume:
    suffix = volume_suffix(path)
    if suffix is None and formats.is_dicom_file(path):
        raise InputError(path, "one DICOM file", "the folder of the whole series", f"give '{path.parent}'")
    if suffix is None:
        raise InputError(path, f"unknown file type '{path.suffix or path.name}'", _ALLOWED, "convert it, for example with 3D Slicer")
    return formats.open_volume(path, suffix)


def _open_folder(folder: Path) -> StoredVolume:
    files = formats.dicom_series(folder)
    if not files:
        raise InputError(folder, "a folder without DICOM files", _ALLOWED, "give the image file, or the folder of one DICOM series")
    return formats.open_dicom(files)


def _grid(path: Path, stored: StoredVolume) -> Grid:
    if stored.components != 1:
        raise InputError(
            path, f"{stored.components} values per voxel (colour or vector)", "one value per voxel", "convert it to a scalar image"
        )
    # A 2D file is short of a third axis; a time axis of one volume is no time series.
    shape = stored.shape[:3] if all(n == 1 for n in stored.shape[3:]) else stored.shape
    if len(shape) > 3:
        sizes = " x ".join(map(str, shape))
        raise InputError(path, f"{len(shape)} axes ({sizes}), a series of volumes", "one 3D volume", "save one volume of it, or their mean")
    if len(shape) < 3 or min(shape) < 2:
        raise InputError(path, f"a 2D image ({' x '.join(map(str, shape))})", "a 3D volume, at least 2 voxels along every axis")
    _refuse_broken_affine(path, stored.affine)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), stored.affine)


def _refuse_broken_affine(path: Path, affine: np.ndarray) -> None:
    axes = affine[:3, :3]
    volume = np.prod(np.linalg.norm(axes, axis=0))
    if not np.isfinite(affine).all() or volume == 0 or abs(np.linalg.det(axes)) < 1e-6 * volume:
        rows = "; ".join(" ".join(f"{value:g}" for value in row) for row in affine[:3])
        raise InputError(
            path, f"a header without usable geometry (affine {rows})", "a finite, invertible affine", "export it again from its source"
        )


def _voxels(path: Path, stored: StoredVolume, grid: Grid) -> np.ndarray:
    with _refusing_unreadable(path):
        voxels = stored.voxels()
    if voxels.dtype.kind not in "biuf":
        raise InputError(path, f"voxels of type {voxels.dtype}", "integers or real numbers")
    return voxels.reshape(grid.shape)


def _whole_numbers(path: Path, voxels: np.ndarray) -> np.ndarray:
    """int32, a copy in the order of memory that `voxels` has. Raises InputError for a fraction, NaN, or a number beyond int32."""
    if np.can_cast(voxels.dtype, np.int32):
        return np.array(voxels, dtype=np.int32, order="K")
    with np.errstate(invalid="ignore"):  # what int32 cannot hold becomes another number, and so is not equal
        whole = voxels.astype(np.int32, order="K")
    return whole if (whole == voxels).all() else _rounded(path, voxels)


def _rounded(path: Path, voxels: np.ndarray) -> np.ndarray:
    rounded = np.rint(voxels)
    # not <=, so that NaN is counted too
    fractions = int((~(np.abs(voxels - rounded) <= _WHOLE_NUMBER_TOLERANCE)).sum())
    if fractions:
        raise InputError(path, f"{fractions} voxels are not whole numbers", "a label map", "is it an image, or was it resampled linearly?")
    limits = np.iinfo(np.int32)
    if rounded.min() < limits.min or rounded.max() > limits.max:
        raise InputError(path, f"labels from {rounded.min()} to {rounded.max()}", f"{limits.min} to {limits.max}")
    return rounded.astype(np.int32, order="K")


def _smallest_type(voxels: np.ndarray, suffix: str | None) -> type[np.generic]:
    low, high = (int(voxels.min()), int(voxels.max())) if voxels.size else (0, 0)
    # MGH has no uint16.
    types = (np.uint8, np.int16, np.int32) if suffix == ".mgz" else (np.uint8, np.int16, np.uint16, np.int32)
    return next(kind for kind in types if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)


def _write(voxels: np.ndarray, grid: Grid, path: Path, allowed: tuple[str, ...] = formats.WRITABLE_SUFFIXES, described: str = "") -> None:
    suffix = volume_suffix(path)
    if suffix not in allowed:
        raise InputError(path, f"cannot write '{path.suffix or path.name}'", ", ".join(allowed), "end the name in .nii.gz")
    aside = path.with_name(f".{uuid.uuid4().hex}{suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        formats.store_volume(aside, suffix, voxels, grid.affine, described)
        replace(aside, path)
    except (OSError, RuntimeError) as error:  # SimpleITK raises RuntimeError for a full disk too
        raise _refused_by_disk(path, error) from error
    finally:
        with suppress(OSError):  # after success there is nothing left to remove
            aside.unlink()


def _refused_by_disk(path: Path, error: Exception) -> InputError:
    code = getattr(error, "errno", None)
    if code == errno.ENOSPC:
        return InputError(path, "the disk is full", remedy="free some space or write to another disk")
    reason = getattr(error, "strerror", None) or str(error).strip().splitlines()[-1]
    return InputError(path, f"cannot be written ({reason})", remedy="choose a folder that you may write to, on a disk with free space")


@contextmanager
def _refusing_unreadable(path: Path) -> Iterator[None]:
    """Turn what the formats' libraries raise on a broken file into InputError."""
    try:
        yield
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(path, "may not be read (permission denied)", remedy="change its permissions or copy it") from error
    except MemoryError as error:
        raise InputError(path, "larger than the memory of this computer", remedy="crop or resample it first") from error
    except (
        ImageFileError,
        HeaderDataError,
        HeaderTypeError,
        MGHError,
        KeyError,
        TypeError,
        EOFError,
        OSError,
        ValueError,
        OverflowError,
        zlib.error,
        RuntimeError,
    ) as error:
        reason = " ".join(str(error).split())[-160:]
        raise InputError(
            path, f"cannot be read, truncated or not what its suffix says ({reason})", _ALLOWED, "copy or export it again"
        ) from error


def similar_name(path: Path) -> str:
    """What to do about a path where nothing is."""
    if not path.parent.is_dir():
        return f"the folder '{path.parent}' does not exist either"
    hint = nearest(path.name, [p.name for p in path.parent.iterdir()], of=stem)
    return hint if hint.startswith("did") else "check the path"

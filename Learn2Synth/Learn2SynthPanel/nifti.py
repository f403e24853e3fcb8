"""Reads the preview volumes that a run writes: NIfTI-1, whole, with a matrix.

No library, because Slicer's process has no nibabel, and Slicer's own readers make nodes and so belong to the GUI thread. This one
belongs in any other thread: Python lets the GUI thread run while the standard library inflates.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from Learn2SynthLib.errors import InputError

_HEADER_BYTES = 348
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}


class Volume(NamedTuple):
    """voxels: (K, J, I), the order that VTK and numpy share. ijk_to_ras: 4 x 4, mm."""

    voxels: np.ndarray
    ijk_to_ras: np.ndarray


def read_volume(path: Path) -> Volume:
    """Raises InputError when the file is missing, half-written or something else."""
    try:
        return decode_volume(path.read_bytes(), path)
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror or error})") from error


def decode_volume(content: bytes, where: object) -> Volume:
    """The volume in the bytes of a .nii.gz file. Raises InputError, which names `where`."""
    try:
        raw = gzip.decompress(content)
        order = "<" if struct.unpack_from("<i", raw)[0] == _HEADER_BYTES else ">"
        (length, magic), (rank, *shape) = struct.unpack_from(f"{order}i340x4s", raw), struct.unpack_from(f"{order}8h", raw, 40)
        if length != _HEADER_BYTES or magic != b"n+1\0" or rank < 3 or any(size > 1 for size in shape[3:rank]):
            raise ValueError("it is no NIfTI volume")
        return Volume(_voxels(raw, order, shape[2::-1]), _matrix(raw, order))
    except (EOFError, OSError, ValueError, KeyError, struct.error, zlib.error) as error:
        raise InputError(where, f"cannot be read ({error})", remedy="it may be half-written") from error


def _voxels(raw: bytes, order: str, shape: list[int]) -> np.ndarray:
    """In the machine's own byte order, scaled where the header says so."""
    code, offset, slope, intercept = *struct.unpack_from(f"{order}h", raw, 70), *struct.unpack_from(f"{order}3f", raw, 108)
    dtype = np.dtype(order + _TYPES[code])
    voxels = np.frombuffer(raw, dtype, int(np.prod(shape)), int(offset)).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    scaled = np.isfinite(slope) and slope != 0 and (slope, intercept) != (1.0, 0.0)
    return (voxels * slope + intercept).astype(np.float32) if scaled else voxels


def _matrix(raw: bytes, order: str) -> np.ndarray:
    if struct.unpack_from(f"{order}h", raw, 254)[0] < 1:
        raise ValueError("it has no matrix (sform)")
    return np.vstack([np.reshape(struct.unpack_from(f"{order}12f", raw, 280), (3, 4)), [0.0, 0.0, 0.0, 1.0]])

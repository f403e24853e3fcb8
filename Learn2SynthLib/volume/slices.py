"""Whether the slices of a series make one volume, and where that volume lies: by their positions, whatever else their headers say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError

_SAME_AXES = 1e-3  # of a pixel, for each pixel that one goes along a row or column: half a pixel over 500
_SAME_PLACE_MM = 0.01
_UNEVEN, _UNEVEN_MM = 0.01, 0.1  # part of the step, or what scanners lose that write positions to a tenth of a millimetre
_CONVERT = "convert it and give the volume that you want, for example with dcm2niix or 3D Slicer"


def stack(where: object, affines: Sequence[np.ndarray]) -> tuple[list[int], np.ndarray]:
    """The order of slices along their normal, and the affine of their volume, given the affine (4x4, RAS mm) of each of two or more.

    The step is that of the positions: the slice thickness of headers leaves gaps out, and a tilted gantry shears the volume.
    Raises InputError, naming `where`, for slices that do not lie in parallel, several at one position, and missing ones.
    """
    axes, positions = np.stack(affines)[:, :3, :2], np.stack(affines)[:, :3, 3]
    if np.abs(axes - axes[0]).max() > _SAME_AXES * np.linalg.norm(axes[0], axis=0).min():
        raise InputError(where, f"{len(axes)} slices of different orientations or pixel sizes", "one volume", _CONVERT)
    normal = np.cross(axes[0, :, 0], axes[0, :, 1])
    along = positions @ (normal / np.linalg.norm(normal))
    order = np.argsort(along, kind="stable").tolist()
    _refuse_uneven(where, np.diff(along[order]))
    affine = affines[order[0]].copy()
    affine[:3, 2] = (positions[order[-1]] - positions[order[0]]) / (len(order) - 1)
    return order, affine


def _refuse_uneven(where: object, steps: np.ndarray) -> None:
    count, places = len(steps) + 1, 1 + int((steps > _SAME_PLACE_MM).sum())
    if places < count:
        found = f"{count} slices at {places} positions, {-(-count // places)} volumes in one series"
        raise InputError(where, found, "one volume", _CONVERT)
    step = float(np.median(steps))
    # A quarter of the step, lest a missing slice of a very fine scan pass for rounding.
    if np.abs(steps - step).max() > max(_UNEVEN * step, min(_UNEVEN_MM, step / 4)):
        found = f"slices are missing: of its {count} most are {step:.3g} mm apart, others {steps.min():.3g} to {steps.max():.3g} mm"
        raise InputError(where, found, "slices at equal distances", "copy or export the whole series again")

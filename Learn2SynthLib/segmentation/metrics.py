"""How well a segmentation agrees with a reference: Dice, 95 % Hausdorff distance, difference of volumes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from scipy import ndimage

LabelArray = np.ndarray | torch.Tensor


def dice(prediction: LabelArray, reference: LabelArray, classes: Iterable[int]) -> dict[int, float]:
    """Dice overlap 2 |P and R| / (|P| + |R|) of each class: 1 is perfect, 0 no overlap, nan where both lack the class.

    Both arrays hold whole numbers and have one shape.
    """
    predicted, referred = _array(prediction), _array(reference)
    classes = list(classes)
    sizes = [a + b for a, b in zip(_counts(predicted, classes), _counts(referred, classes), strict=True)]
    shared = _counts(predicted[predicted == referred], classes)
    return {c: 2 * both / size if size else float("nan") for c, both, size in zip(classes, shared, sizes, strict=True)}


def volume_difference_mm3(prediction: LabelArray, reference: LabelArray, classes: Iterable[int], voxel_mm3: float) -> dict[int, float]:
    """Volume in the prediction minus volume in the reference, in mm3, of each class; nan where both lack the class."""
    classes = list(classes)
    counts = zip(classes, _counts(_array(prediction), classes), _counts(_array(reference), classes), strict=True)
    return {c: (a - b) * voxel_mm3 if a or b else float("nan") for c, a, b in counts}


def hausdorff95_mm(prediction: LabelArray, reference: LabelArray, classes: Iterable[int], spacing_mm: Sequence[float]) -> dict[int, float]:
    """95 % Hausdorff distance in mm of each class; nan where both lack the class, inf where one does.

    The surface of a class is those of its voxels with a face neighbour outside it (beyond the edge of the array counts as
    outside). The distance is the larger, over both directions, of the 95th percentile (linearly interpolated) of the distances
    from the voxels of one surface to the nearest voxel of the other, as in MONAI's `compute_hausdorff_distance`.
    `spacing_mm`: distance of voxel centres along each axis, one number per axis of the arrays.
    """
    predicted, referred = _array(prediction), _array(reference)
    classes = list(classes)
    boxes = [_boxes(array, classes) for array in (predicted, referred)]
    return {c: _hausdorff95(predicted, referred, c, [box.get(c) for box in boxes], spacing_mm) for c in classes}


def _hausdorff95(predicted: np.ndarray, referred: np.ndarray, value: int, boxes: list[Any], spacing_mm: Sequence[float]) -> float:
    if not any(boxes):
        return float("nan")
    if not all(boxes):
        return float("inf")
    box = tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(*boxes, strict=True))
    ours, theirs = (_surface(array[box] == value) for array in (predicted, referred))
    there, back = _distances_mm(ours, theirs, spacing_mm), _distances_mm(theirs, ours, spacing_mm)
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def _surface(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)


def _distances_mm(source: np.ndarray, target: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Distance from every True voxel of `source` to the nearest one of `target`.

    Only the nearest voxel is asked of the transform: its map of distances would cost three more volumes in float64.
    """
    nearest = ndimage.distance_transform_edt(~target, sampling=spacing_mm, return_distances=False, return_indices=True)
    offsets = (nearest[:, source] - np.argwhere(source).T) * np.asarray(spacing_mm, dtype=float)[:, None]
    return np.sqrt((offsets**2).sum(axis=0))


def _boxes(array: np.ndarray, classes: list[int]) -> dict[int, tuple[slice, ...]]:
    """Bounding box of every class that occurs."""
    ranks = np.zeros(array.shape, dtype=np.int32)
    for rank, value in enumerate(classes, start=1):
        ranks[array == value] = rank
    found = ndimage.find_objects(ranks, max_label=len(classes))
    return {value: box for value, box in zip(classes, found, strict=True) if box is not None}


def _counts(array: np.ndarray, classes: list[int]) -> list[int]:
    return [int(np.count_nonzero(array == value)) for value in classes]


def _array(data: LabelArray) -> np.ndarray:
    return data.detach().cpu().numpy() if isinstance(data, torch.Tensor) else np.asarray(data)

"""Metrics against known overlaps and distances, and against MONAI."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from Learn2SynthLib.segmentation.metrics import dice, hausdorff95_mm, volume_difference_mm3


def cube(corner: tuple[int, int, int], side: int = 4, value: int = 1, size: int = 16) -> np.ndarray:
    labels = np.zeros((size,) * 3, dtype=np.int32)
    labels[tuple(slice(c, c + side) for c in corner)] = value
    return labels


def blobs(seed: int) -> np.ndarray:
    """Three smooth random classes on a background."""
    rng = np.random.default_rng(seed)
    field = torch.from_numpy(rng.normal(size=(1, 4, 5, 6, 4))).float()
    smooth = torch.nn.functional.interpolate(field, size=(24, 20, 16), mode="trilinear")
    return smooth[0].argmax(0).numpy().astype(np.int32)


def test_dice_of_known_overlaps() -> None:
    half = dice(cube((4, 4, 4)), cube((6, 4, 4)), [0, 1, 2])
    assert half[1] == 0.5
    assert math.isnan(half[2])
    assert dice(cube((0, 0, 0)), cube((8, 8, 8)), [1])[1] == 0
    assert dice(cube((1, 2, 3)), cube((1, 2, 3)), [0, 1]) == {0: 1, 1: 1}
    assert dice(cube((1, 2, 3), value=2), cube((1, 2, 3)), [1, 2]) == {1: 0, 2: 0}


def test_tensors_and_arrays_are_scored_alike() -> None:
    a, b = blobs(0), blobs(1)
    assert dice(torch.from_numpy(a), torch.from_numpy(b), range(4)) == dice(a, b, range(4))


def test_volume_difference_is_prediction_minus_reference() -> None:
    difference = volume_difference_mm3(cube((2, 2, 2), side=5), cube((2, 2, 2), side=4), [1, 7], voxel_mm3=2.0)
    assert difference[1] == 2 * (125 - 64)
    assert math.isnan(difference[7])


@pytest.mark.parametrize(
    ("shift", "spacing", "distance"), [((3, 0, 0), (1, 1, 1), 3), ((0, 2, 0), (1, 1.5, 1), 3), ((0, 0, 1), (1, 1, 5), 5)]
)
def test_hausdorff_of_a_shifted_cube_is_the_shift(shift: tuple[int, int, int], spacing: tuple[float, ...], distance: float) -> None:
    moved = tuple(4 + s for s in shift)
    assert hausdorff95_mm(cube((4, 4, 4)), cube(moved), [1], spacing)[1] == pytest.approx(distance)  # type: ignore[arg-type]


def test_hausdorff_where_a_class_is_missing() -> None:
    found = hausdorff95_mm(cube((4, 4, 4)), cube((4, 4, 4), value=2), [1, 2, 3], (1, 1, 1))
    assert found[1] == found[2] == math.inf
    assert math.isnan(found[3])


def test_hausdorff_of_single_voxels() -> None:
    assert hausdorff95_mm(cube((1, 1, 1), side=1), cube((4, 5, 1), side=1), [1], (1, 1, 1))[1] == 5


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 1.2, 4.0)])
def test_dice_and_hausdorff_agree_with_monai(spacing: tuple[float, ...]) -> None:
    metrics = pytest.importorskip("monai.metrics")
    prediction, reference = blobs(2), blobs(3)
    hot = [torch.nn.functional.one_hot(torch.from_numpy(a).long(), 4).movedim(-1, 0)[None] for a in (prediction, reference)]
    theirs = metrics.compute_hausdorff_distance(*hot, include_background=True, percentile=95, spacing=spacing)[0]
    ours = hausdorff95_mm(prediction, reference, range(4), spacing)
    assert list(ours.values()) == pytest.approx(theirs.tolist(), rel=1e-5)
    overlap = metrics.compute_dice(*hot, include_background=True)[0]
    assert list(dice(prediction, reference, range(4)).values()) == pytest.approx(overlap.tolist(), rel=1e-5)

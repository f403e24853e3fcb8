"""Votes: the same labels as a count voxel by voxel, whatever the grids, the order of memory and the labels."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from Learn2SynthLib.volume.geometry import model_grid, resample_labels, voxel_to_voxel
from Learn2SynthLib.volume.image import LabelMap
from Learn2SynthLib.volume.voting import majority


def label_at(data, position):
    """The nearest label, 0 outside."""
    if any(p < -0.5001 or p > n - 0.4999 for p, n in zip(position, data.shape)):
        return 0
    return int(data[tuple(min(max(int(np.floor(p + 0.4999)), 0), n - 1) for p, n in zip(position, data.shape))])


def most_frequent(labels, index):
    """Ties: the first candidate in even voxels, the last in odd ones."""
    counts = [labels.count(label) for label in labels]
    tied = [label for label, count in zip(labels, counts) if count == max(counts)]
    return tied[-1] if sum(index) % 2 else tied[0]


def places(affine, axis):
    """Where a voxel is sampled along an axis: where two places would be half-way between voxels, four."""
    step = affine[:3, axis][np.abs(affine[:3, axis]).argmax()]
    start = affine[np.abs(affine[:3, axis]).argmax(), 3] - step / 4
    if abs(step) < 1.5:
        return (0.0,)
    return (-0.375, -0.125, 0.125, 0.375) if abs(start % 1 - 0.5) < 1e-3 and abs(step % 1) < 1e-3 else (-0.25, 0.25)


def counted(data, affine, shape):
    """Majority vote by the formula, one voxel after the other."""
    shifts = list(product(*(places(affine, axis) for axis in range(3))))
    voxels = np.zeros(shape, np.int32)
    for index in np.ndindex(*shape):
        labels = [label_at(data, affine[:3, :3] @ np.add(index, shift) + affine[:3, 3]) for shift in shifts]
        voxels[index] = most_frequent(labels, index)
    return voxels


def random_labels(shape, low, high, filled, seed):
    """Labels in a part of the volume, half of them background."""
    rng = np.random.default_rng(seed)
    data = np.zeros(shape, np.int32)
    data[filled] = rng.integers(low, high, shape)[filled] * (rng.random(shape) < 0.5)[filled]
    return data


EVERYWHERE, INNER, NOWHERE = np.s_[:], np.s_[2:7, 1:, 3:8], np.s_[:0]


@pytest.mark.parametrize("axes, spacing, origin", [
    ("RAS", (2, 2, 2), (0.5, 0.5, 0.5)), ("RAS", (2, 2, 2), (-2.5, 1, 0)), ("LIA", (2.1, 1.6, 1.4), (9, 8, 1)),
    ("PSR", (0.7, 3, 1), (-1, 8, -2)), ("RAS", (1, 1, 1), (1, -2, 3)), ("RAS", (2, 2, 2), (50, 0, 0)),
])  # fmt: skip
@pytest.mark.parametrize("low, high, filled", [
    (1, 4, EVERYWHERE), (1, 4, INNER), (-2, 3, EVERYWHERE), (70_000, 70_003, INNER), (1, 2, NOWHERE),
])  # fmt: skip
def test_labels_are_those_of_a_count_voxel_by_voxel(make_grid, axes, spacing, origin, low, high, filled):
    source, target = make_grid((9, 10, 11)), make_grid((6, 5, 7), spacing, origin, axes)
    data = random_labels(source.shape, low, high, filled, seed=1)
    expected = counted(data, voxel_to_voxel(target, source), target.shape)
    for order in "CF":
        found = resample_labels(LabelMap(torch.from_numpy(np.array(data, order=order)), source), target).data
        assert found.dtype == torch.int32 and found.is_contiguous()
        np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize("direction", ["RAS", "LPI"])
@pytest.mark.parametrize("spacing", [2, 3, 4, 1.6])
@pytest.mark.parametrize("size", [40, 41])
def test_labels_stay_where_the_image_is(size, spacing, direction, make_grid):
    source = make_grid((size,) * 3, axes=direction)
    where = np.indices(source.shape) - (size - 1) / 2 - 0.3
    ball = torch.from_numpy(((where**2).sum(0) < 12.2**2).astype(np.int32))
    target = model_grid(source, (spacing,) * 3)
    labels = resample_labels(LabelMap(ball, source), target).data
    moved = centre_mm(labels, target) - centre_mm(ball, source)
    assert np.abs(moved).max() < 0.09 * spacing  # how finely so small a ball tells; half a voxel of 1 mm is more


def centre_mm(labels, grid):
    return grid.affine[:3, :3] @ np.argwhere(labels.numpy()).mean(0) + grid.affine[:3, 3]


def test_the_first_and_the_last_candidate_of_a_tie_take_turns():
    votes = [torch.full((2, 2, 2), label) for label in (5, 7, 7, 5)]
    turns = [[[5, 5], [5, 5]], [[5, 5], [5, 5]]], [[[5, 9], [9, 5]], [[9, 5], [5, 9]]]
    assert majority(votes).tolist() == turns[0]
    votes[1:] = [torch.full((2, 2, 2), label) for label in (5, 9, 9)]
    assert majority(votes).tolist() == turns[1]
    assert majority(votes, start=(0, 3, 0)).tolist() == torch.tensor(turns[1]).flip(1).tolist()


def test_one_vote_decides():
    vote = torch.arange(24).view(2, 3, 4)
    assert torch.equal(majority([vote]), vote) and majority([vote]).data_ptr() != vote.data_ptr()

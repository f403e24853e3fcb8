"""Grids that share their axes: interpolation by neighbours is the same as by a matrix."""

from __future__ import annotations

import pytest
import torch

from Learn2SynthLib.volume.axes import along, matched_axes
from Learn2SynthLib.volume.geometry import voxel_to_voxel


@pytest.mark.parametrize("spacing, origin", [((1, 1, 1), (0, 0, 0)), ((0.5, 0.7, 3), (-3, 4.2, -7)), ((1, 1, 1), (-40, 0, 2))])
def test_neighbours_and_matrices_interpolate_alike(make_grid, spacing, origin):
    source, target = make_grid((2, 7, 9), (2, 1.5, 1)), make_grid((8, 9, 6), spacing, origin, "PLS")
    matched = matched_axes(voxel_to_voxel(target, source), source.shape, target.shape)
    volume = torch.rand(source.shape, generator=torch.Generator().manual_seed(0)).permute(matched.source_axis)
    for axis in range(3):
        torch.testing.assert_close(matched.interpolate(volume, axis), along(volume, matched.matrix(axis), axis), atol=1e-6, rtol=0)


def test_turned_axes_are_not_shared(make_grid):
    source, target = make_grid(), make_grid(degrees=2)
    assert matched_axes(voxel_to_voxel(target, source), source.shape, target.shape) is None

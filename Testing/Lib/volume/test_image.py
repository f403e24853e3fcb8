"""Grids: spacing, orientation, and when two are the same."""

from __future__ import annotations

import numpy as np
import pytest

from Learn2SynthLib.volume.image import Grid


def test_a_grid_knows_its_spacing_orientation_and_voxel_volume(make_grid):
    grid = make_grid((4, 5, 6), (1, 2, 3), (7, 8, 9), "LIA", 12)
    assert grid.orientation == "LIA" and grid.voxel_mm3 == pytest.approx(6)
    np.testing.assert_allclose(grid.spacing_mm, (1, 2, 3))


@pytest.mark.parametrize("shift, same", [((0, 0, 0), True), ((0.005, 0, 0), True), ((0.02, 0, 0), False), ((0, 0, -30), False)])
def test_grids_match_when_their_corners_do(make_grid, shift, same):
    assert make_grid(origin=shift).matches(make_grid()) is same
    assert not make_grid((12, 14, 17)).matches(make_grid())


def test_a_small_turn_shows_at_the_far_corner(make_grid):
    large = Grid((256, 256, 256), make_grid(degrees=0.01).affine)
    assert not large.matches(Grid((256, 256, 256), np.eye(4))) and make_grid(degrees=0.01).matches(make_grid())

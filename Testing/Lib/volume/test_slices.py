"""Slices of a series: one volume, sheared by a tilted gantry or not, or refused with what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.volume.slices import stack


def slices(heights, shear=0.0, turn=0.0):
    """Affines of slices at heights along an oblique normal, each pushed along its columns by `shear` times its height."""
    c, s = np.cos(turn), np.sin(turn)
    axes = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]) @ np.diag([0.5, 0.75, 1, 1])
    affines = [axes.copy() for _ in heights]
    for affine, height in zip(affines, heights, strict=True):
        affine[:3, 3] = axes[:3, 1] * shear * height + (3, 4, 5 + height)
    return affines


@pytest.mark.parametrize("shear", [0.0, 0.4])
def test_slices_in_any_order_are_stacked_along_their_normal(shear):
    heights = [10.0, 0.0, 7.5, 2.5, 5.0]
    affines = slices(heights, shear, 0.3)
    order, affine = stack("x", affines)
    assert order == [1, 3, 4, 2, 0]
    for place, index in enumerate(order):
        np.testing.assert_allclose(affine @ (2, 3, place, 1), affines[index] @ (2, 3, 0, 1), atol=1e-9)


def test_positions_written_to_a_tenth_of_a_millimetre_are_even():
    order, affine = stack("x", slices(np.round(np.arange(40) * 0.625, 1)))
    assert order == list(range(40)) and affine[2, 2] == pytest.approx(0.625, rel=0.01)


@pytest.mark.parametrize("heights, words", [
    (np.tile(np.arange(10) * 3.0, 2), "20 slices at 10 positions, 2 volumes in one series"),
    (np.repeat(np.arange(10) * 3.0, 4), "40 slices at 10 positions, 4 volumes in one series"),
    (np.zeros(5), "5 slices at 1 positions, 5 volumes"),
    (np.delete(np.arange(10) * 3.0, 4), "slices are missing: of its 9 most are 3 mm apart, others 3 to 6 mm"),
    (np.delete(np.arange(10) * 0.1, 4), "slices are missing"),
    (np.delete(np.arange(100) * 5.0, np.arange(1, 100, 3)), "slices are missing"),
])  # fmt: skip
def test_several_volumes_and_missing_slices_are_refused(heights, words):
    with pytest.raises(InputError, match=f"series/a: .*{words}.*(dcm2niix|copy or export)"):
        stack("series/a", slices(heights))


def test_slices_that_are_not_parallel_are_refused():
    with pytest.raises(InputError, match="4 slices of different orientations"):
        stack("x", slices([0.0, 3.0, 6.0]) + slices([9.0], turn=0.05))

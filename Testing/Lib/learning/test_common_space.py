"""The common space shows the same anatomy of every scan, wherever it lies in the world."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from Learn2SynthLib.learning.common_space import CommonSpace
from Learn2SynthLib.learning.data import Example, anchors, bounding_box
from Learn2SynthLib.volume.geometry import model_grid, resample_image
from Learn2SynthLib.volume.image import Grid, Image


@pytest.fixture
def atlas(make_grid: Callable, head: Callable) -> Example:
    image, labels = head(make_grid((52, 60, 52), (4, 4, 4)))
    target = (labels.data > 0).to(torch.uint8)
    return Example("atlas", target, target, ((image.data - 30) / 90).clamp(0, 1), image.grid, *[bounding_box(target)] * 3, anchors(target))


def test_the_box_holds_the_structures_and_fits_the_network(atlas: Example) -> None:
    space = CommonSpace.about([atlas], 8.0, 4)
    assert all(size % 4 == 0 and size * 8 < 300 for size in space.window.shape)
    seen = space.target(atlas)
    assert seen.shape == space.image(Image(atlas.image, atlas.grid)).shape == (1, 1, *space.window.shape)
    assert float(seen.sum()) * 8**3 == pytest.approx(float(atlas.target.sum()) * 4**3, rel=0.02)
    assert not seen[0, 0, [0, -1]].any() and not seen[0, 0, :, :, [0, -1]].any()


def test_a_tiny_atlas_leaves_the_networks_norms_something_to_measure(make_grid: Callable) -> None:
    target = torch.zeros(12, 12, 12, dtype=torch.uint8)
    target[5:7, 5:7, 5:7] = 1
    tiny = Example("tiny", target, target, target.float(), make_grid((12, 12, 12)), *[bounding_box(target)] * 3, anchors(target))
    assert CommonSpace.about([tiny], 4.0, 8).window.shape == (16, 16, 16)


def test_the_same_head_elsewhere_is_seen_as_the_same(atlas: Example) -> None:
    space = CommonSpace.about([atlas], 8.0, 4)
    padded = torch.zeros(60, 70, 64)
    padded[5:57, 3:63, 9:61] = atlas.image
    moved = atlas.grid.affine.copy()
    moved[:3, 3] += (40.0, -25.0, 7.0)
    here, there = space.image(Image(atlas.image, atlas.grid)), space.image(Image(padded, Grid((60, 70, 64), moved)))
    assert torch.allclose(here, there, atol=0.02)


def test_a_head_of_other_axes_and_spacing_is_seen_as_nearly_the_same(atlas: Example, make_grid: Callable) -> None:
    space = CommonSpace.about([atlas], 8.0, 4)
    image = Image(atlas.image, atlas.grid)
    other = resample_image(image, make_grid((72, 84, 76), (3, 3, 3), (216, 0, 240), "LAI"))
    on_model_grid = resample_image(other, model_grid(other.grid, (4.0, 4.0, 4.0)))
    assert (space.image(image) - space.image(on_model_grid)).abs().mean() < 0.02


def test_the_box_lies_where_its_centre_is_said_to_be(atlas: Example) -> None:
    space, image = CommonSpace.about([atlas], 8.0, 4), Image(atlas.image, atlas.grid)
    grid = space.grid(image)
    centres = [g.affine @ [*((np.array(g.shape) - 1) / 2), 1.0] for g in (grid, atlas.grid)]
    assert np.allclose((centres[0] - centres[1])[:3], space.centre_mm(image).numpy(), atol=1e-3)

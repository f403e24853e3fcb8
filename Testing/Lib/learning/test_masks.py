"""Masks of codes: the part that was drawn, and where the loss depends on the code most."""

import random

import pytest
import torch
from torch import Tensor

from Learn2SynthLib.learning.masks import LEFT, MaskDraw, draw_mask, mask, masked
from Learn2SynthLib.randomness import stream


def code_and_loss(spatial: tuple[int, ...] = (6, 4)) -> tuple[Tensor, Tensor, Tensor]:
    """A code of ones (2, 5, *spatial), the gradient of a loss with respect to it, and the loss."""
    code = torch.ones(2, 5, *spatial, requires_grad=True)
    gradient = torch.randn(code.shape, generator=torch.Generator().manual_seed(0))
    return code, gradient, (code * gradient).sum()


@pytest.mark.parametrize("spatial", [(6, 4), (4, 4, 2)])
def test_a_mask_of_channels_takes_those_of_the_largest_gradient_of_each_image(spatial: tuple[int, ...]) -> None:
    code, gradient, loss = code_and_loss(spatial)
    (found,) = masked([code], loss, MaskDraw("channels", 0.4, 0.3, 0))
    for image, slopes in zip(found, gradient):
        importance = slopes.flatten(1).abs().sum(1)
        largest = importance.argsort()[-2:].tolist()
        for channel, values in enumerate(image):
            assert (values == (torch.tensor(0.3) if channel in largest else 1)).all()


@pytest.mark.parametrize("spatial", [(6, 4), (4, 4, 2)])
def test_a_mask_of_places_takes_those_of_the_largest_gradient_in_all_channels(spatial: tuple[int, ...]) -> None:
    code, gradient, loss = code_and_loss(spatial)
    (found,) = masked([code], loss, MaskDraw("places", 0.25, 0.0, 0))
    taken = found == 0
    assert (taken == taken[:, :1]).all()
    for image, slopes in zip(taken[:, 0], gradient.abs().sum(1)):
        assert int(image.sum()) == round(0.25 * image.numel())
        assert float(slopes[image].min()) > float(slopes[~image].max())


def test_channels_taken_by_chance_are_a_function_of_the_seed_and_differ_between_images() -> None:
    code = torch.ones(8, 10, 3, 3, requires_grad=True)
    one, again, other = (masked([code], code.sum(), MaskDraw("random", 0.5, 0.0, seed))[0] for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)
    taken = one[:, :, 0, 0] == 0
    assert (taken.sum(1) == 5).all() and len(taken.unique(dim=0)) > 1
    assert ((one == 0).flatten(2).all(2) == taken).all()


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 1.0])
def test_the_part_that_was_drawn_is_taken_exactly(part: float) -> None:
    scores = torch.rand(3, 40, generator=torch.Generator().manual_seed(0))
    assert ((mask(scores, part, 0.0) == 0).sum(1) == round(40 * part)).all()


def test_every_code_is_masked_by_its_own_gradient_and_none_carries_one() -> None:
    fine, coarse = (torch.ones(1, 4, size, size, requires_grad=True) for size in (8, 4))
    loss = 10 * fine[:, 0].sum() + coarse[:, 3].sum()
    found = masked([fine, coarse], loss, MaskDraw("channels", 0.25, 0.0, 0))
    assert [[int(c.any()) for c in code[0]] for code in found] == [[0, 1, 1, 1], [1, 1, 1, 0]]
    assert not any(code.requires_grad for code in found)
    loss.backward()  # the graph is still there


def test_a_draw_is_replayed_stays_in_its_range_and_knows_every_kind() -> None:
    draws = [draw_mask(stream(3, "masks", index), (0.1, 0.4)) for index in range(60)]
    assert draws == [draw_mask(stream(3, "masks", index), (0.1, 0.4)) for index in range(60)]
    assert {draw.kind for draw in draws} == {"random", "channels", "places"}
    assert all(0.1 <= draw.part <= 0.4 and 0 <= draw.left <= LEFT for draw in draws)
    assert all((draw.left == 0) == (draw.kind == "random") for draw in draws)
    assert draw_mask(random.Random(0), (0.2, 0.2)).part == 0.2

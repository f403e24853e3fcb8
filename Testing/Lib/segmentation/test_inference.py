"""Sliding-window inference: exact for networks that look at one voxel at a time, whatever the windows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from Learn2SynthLib.segmentation.inference import Sliding, predict


class Threshold(nn.Module):
    """Class 1 where the image is bright, with logits that follow the intensity."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([0.5 - x, x - 0.5], dim=1) * 10


class Sides(nn.Module):
    """Background, and bright voxels in the first (1) or the second half (2) of the window's left/right axis."""

    def forward(self, x: Tensor) -> Tensor:
        place = torch.linspace(-1, 1, x.shape[2]).view(1, 1, -1, *[1] * (x.ndim - 3)).expand_as(x)
        return torch.cat([0.5 - x, x - 0.5 - place, x - 0.5 + place], dim=1) * 10


def volume(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def exact(image: Tensor) -> Tensor:
    return torch.softmax(Threshold()(image[None, None]), dim=1)[0]


@pytest.mark.parametrize("window", [(16, 16, 16), (8, 12, 10), (16, 12), (40, 8), (64, 64, 64), (64, 64)])
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.8])
def test_a_voxelwise_network_is_reproduced_up_to_the_borders(window: tuple[int, ...], overlap: float) -> None:
    image = volume(37, 20, 19)
    found = predict(Threshold(), image, Sliding(window, overlap, batch_size=3))
    assert found.shape == (2, 37, 20, 19)
    torch.testing.assert_close(found, exact(image), atol=1e-5, rtol=0)


@pytest.mark.parametrize("window", [(12, 12, 12), (12, 12)])
def test_probabilities_sum_to_one_everywhere(window: tuple[int, ...]) -> None:
    image = torch.zeros(40, 36, 30)
    image[10:30, 9:31, 8:27] = volume(20, 22, 19)
    found = predict(Sides(), image, Sliding(window))
    torch.testing.assert_close(found.sum(0), torch.ones(image.shape), atol=1e-5, rtol=0)


def test_what_no_window_covers_is_background() -> None:
    image = torch.zeros(40, 36, 30)
    image[20:28, 20:28, 20:28] = 1
    found = predict(Threshold(), image, Sliding((8, 8, 8), background=1))
    assert found[0, 20:28, 20:28, 20:28].max() < 0.01
    outside = torch.ones(image.shape, dtype=torch.bool)
    outside[20:28, 20:28, 20:28] = False
    assert torch.equal(found[1][outside], torch.ones(int(outside.sum())))
    assert torch.equal(found[0][outside], torch.zeros(int(outside.sum())))


def test_an_empty_volume_is_looked_at_all_over() -> None:
    image = torch.zeros(20, 20, 20)
    torch.testing.assert_close(predict(Threshold(), image, Sliding((8, 8, 8))), exact(image), atol=1e-5, rtol=0)


class Recorder(nn.Module):
    """Remembers the windows that it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.clone())
        return torch.cat([x, 1 - x], dim=1)


def test_a_window_larger_than_the_foreground_is_centred_on_it() -> None:
    image = torch.zeros(40, 40, 40)
    image[18:22, 10:14, 30:34] = 1
    network = Recorder()
    predict(network, image, Sliding((16, 16, 16)))
    (window,) = network.seen
    assert window[0, 0, 6:10, 6:10].sum() == 4**3
    assert torch.equal(window[0, 0].nonzero()[0], torch.tensor([6, 6, 6]))


def test_only_slices_of_the_foreground_are_shown() -> None:
    image = torch.zeros(16, 16, 30)
    image[4:12, 4:12, 11:17] = 1
    network = Recorder()
    predict(network, image, Sliding((16, 16), batch_size=4))
    assert [len(batch) for batch in network.seen] == [4, 2]


@pytest.mark.parametrize("window", [(16, 12, 12), (16, 12)])
@pytest.mark.parametrize("batch_size", [2, 5, 100])
def test_the_batch_size_changes_nothing(window: tuple[int, ...], batch_size: int) -> None:
    torch.manual_seed(0)
    kind = nn.Conv2d if len(window) == 2 else nn.Conv3d
    network = kind(1, 3, 3, padding=1)
    image = volume(30, 24, 17)
    one = predict(network, image, Sliding(window))
    torch.testing.assert_close(predict(network, image, Sliding(window, batch_size=batch_size)), one, atol=1e-5, rtol=0)


@pytest.mark.parametrize("window", [(16, 12, 8), (16, 12)])
def test_flips_make_the_result_equivariant_and_swap_sided_classes(window: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    kind = nn.Conv2d if len(window) == 2 else nn.Conv3d
    network = nn.Sequential(kind(1, 3, 3, padding=1))
    image, sliding = volume(32, 12, 9), Sliding(window, flips=True, mirror=(0, 2, 1))
    straight = predict(network, image, sliding)
    flipped = predict(network, image.flip(0), sliding).flip(1)[[0, 2, 1]]
    torch.testing.assert_close(flipped, straight, atol=1e-5, rtol=0)
    assert not torch.allclose(predict(network, image, Sliding(window)), straight, atol=1e-3)


def test_flips_of_a_symmetric_network_change_nothing() -> None:
    image = volume(24, 12, 9)
    once = predict(Sides(), image, Sliding((24, 12)))
    torch.testing.assert_close(predict(Sides(), image, Sliding((24, 12), flips=True, mirror=(0, 2, 1))), once, atol=1e-5, rtol=0)


def test_progress_counts_windows_to_the_end() -> None:
    steps: list[tuple[int, int]] = []
    predict(Threshold(), volume(20, 20, 20), Sliding((8, 8, 8), batch_size=10), lambda done, total: steps.append((done, total)))
    assert steps[-1] == (64, 64)
    assert steps[0] == (10, 64)


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_in_the_mode_it_was_in(training: bool) -> None:
    network = nn.Sequential(nn.Conv3d(1, 2, 1), nn.Dropout(0.9)).train(training)
    image = volume(9, 9, 9)
    assert torch.equal(predict(network, image, Sliding((8, 8, 8))), predict(network, image, Sliding((8, 8, 8))))
    assert network.training is training


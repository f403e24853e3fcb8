import math

import pytest
import torch

from Learn2SynthLib.synthesis import appearance

SHAPE = (2, 64, 64)


def one(value: float, count: int = 2) -> torch.Tensor:
    return torch.full((count, 1), value)


def test_each_class_gets_its_own_row_of_the_palette() -> None:
    classes = torch.tensor([[[0, 1], [2, 1]]])
    palette = torch.tensor([[[0.0, 0.1], [0.5, 0.2], [1.0, 0.3]]])
    assert torch.equal(appearance.paint(classes, palette)[0, 0], torch.tensor([[0.0, 0.5], [1.0, 0.5]]))
    assert torch.equal(appearance.paint(classes, palette)[0, 1], torch.tensor([[0.1, 0.2], [0.3, 0.2]]))


@pytest.mark.parametrize("texture", [0.0, 0.5, 1.0])
def test_the_mixture_has_the_mean_and_spread_that_were_asked_for(texture: float) -> None:
    images = appearance.mixture(torch.full(SHAPE, 0.4), torch.full(SHAPE, 0.1), one(texture), [1, 2], [4.0, 4.0])
    assert float(images.mean()) == pytest.approx(0.4, abs=0.03)
    assert float(images.std()) == pytest.approx(0.1, rel=0.15)


def test_texture_is_smooth_and_grain_is_not() -> None:
    rough, smooth = (appearance.mixture(torch.zeros(SHAPE), torch.ones(SHAPE), one(part), [1, 2], [8.0, 8.0]) for part in (0.0, 1.0))
    assert rough.diff(dim=1).std() > 1.3 and smooth.diff(dim=1).std() < 0.4


def test_gamma_raises_to_the_power_of_its_exponential() -> None:
    assert torch.allclose(appearance.gamma(torch.full(SHAPE, 0.25), one(math.log(0.5))), torch.full(SHAPE, 0.5))


def test_the_bias_field_multiplies_by_a_log_field_of_that_strength() -> None:
    strengths = torch.tensor([[0.3, 0.0]]).expand(200, -1)
    images = appearance.bias_field(torch.ones(200, 32, 32), strengths, range(200), [[16.0, 16.0], [8.0, 8.0]])
    assert float(images.log().std(0).mean()) == pytest.approx(0.3, rel=0.1)
    assert float(images.log().mean()) == pytest.approx(0, abs=0.05)


def test_gaussian_noise_has_its_level_and_rician_noise_is_never_negative() -> None:
    gaussian, rician = appearance.noise(torch.zeros(SHAPE), one(0.1), torch.tensor([False, True]), [1, 2])
    assert float(gaussian.std()) == pytest.approx(0.1, rel=0.05) and gaussian.min() < 0
    assert rician.min() >= 0
    assert float(rician.mean()) == pytest.approx(0.1 * math.sqrt(math.pi / 2), rel=0.05)


def test_no_noise_leaves_the_image() -> None:
    images = torch.rand(SHAPE) + 0.1
    assert torch.allclose(appearance.noise(images, one(0.0), torch.tensor([False, True]), [1, 2]), images, atol=1e-5)

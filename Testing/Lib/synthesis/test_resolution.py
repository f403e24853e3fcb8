import pytest
import torch

from Learn2SynthLib.synthesis.resolution import FWHM, degrade

NO_SLICES = torch.zeros(1, 2)


def test_no_blur_changes_nothing() -> None:
    images = torch.rand(1, 20, 24)
    assert torch.allclose(degrade(images, torch.zeros(1), NO_SLICES, (1.0, 1.0)), images, atol=1e-5)


@pytest.mark.parametrize("fwhm", [4.0, 7.0])
def test_a_point_is_spread_with_the_width_that_was_asked_for(fwhm: float) -> None:
    images = torch.zeros(1, 61, 61)
    images[0, 30, 30] = 1
    profile = degrade(images, torch.tensor([fwhm]), NO_SLICES, (1.0, 0.5)).double()[0]
    for axis, spacing in enumerate((1.0, 0.5)):
        marginal, place = profile.sum(1 - axis), (torch.arange(61) - 30) * spacing
        deviation = ((marginal * place**2).sum() / marginal.sum()).sqrt()
        assert float(deviation) * FWHM == pytest.approx(fwhm, rel=0.02)


def test_brightness_is_kept() -> None:
    images = torch.full((2, 24, 24), 0.7)
    thick = torch.tensor([[0.0, 5.0], [7.0, 0.0]])
    assert torch.allclose(degrade(images, torch.tensor([2.0, 3.0]), thick, (1.0, 1.0)), images, atol=1e-5)


def test_thick_slices_lose_detail_in_their_direction_only() -> None:
    stripes = (torch.arange(48) % 4 < 2).float()
    along, across = stripes[:, None].expand(48, 48), stripes[None].expand(48, 48)
    seen = degrade(torch.stack([along, across]), torch.zeros(2), torch.tensor([[6.0, 0.0], [6.0, 0.0]]), (1.0, 1.0))
    assert seen[0].std() < 0.1
    assert torch.allclose(seen[1], across, atol=1e-4)


def test_gradients_reach_the_width_of_the_blur() -> None:
    blur = torch.tensor([3.0], dtype=torch.float64, requires_grad=True)
    images = torch.rand(1, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def energy(width: torch.Tensor) -> torch.Tensor:
        return degrade(images, width, torch.tensor([[0.0, 4.0]], dtype=torch.float64), (1.0, 1.0)).square().sum()

    assert torch.autograd.gradcheck(energy, (blur,))

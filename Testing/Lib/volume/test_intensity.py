import numpy as np
import torch

from Learn2SynthLib.volume.intensity import normalise


def test_percentiles_are_those_of_numpy() -> None:
    images = torch.randn(2, 1, 40, 50, generator=torch.Generator().manual_seed(0)) * 30 + 100
    for image, scaled in zip(images.numpy(), normalise(images).numpy(), strict=True):
        low, high = np.percentile(image, [0.5, 99.5])
        assert np.allclose(scaled, np.clip((image - low) / (high - low), 0, 1), atol=1e-4)


def test_a_constant_image_becomes_black() -> None:
    assert torch.equal(normalise(torch.full((1, 1, 8, 8), 7.0)), torch.zeros(1, 1, 8, 8))


def test_scale_and_offset_of_the_scanner_do_not_matter() -> None:
    images = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(normalise(images), normalise(1000 * images - 500), atol=1e-4)

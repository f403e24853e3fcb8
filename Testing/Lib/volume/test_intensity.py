import numpy as np
import pytest
import torch

from Learn2SynthLib.volume.intensity import normalise, normalise_volume


def test_percentiles_are_those_of_numpy() -> None:
    images = torch.randn(2, 1, 40, 50, generator=torch.Generator().manual_seed(0)) * 30 + 100
    for image, scaled in zip(images.numpy(), normalise(images).numpy(), strict=True):
        low, high = np.percentile(image, [0.5, 99.5])
        assert np.allclose(scaled, np.clip((image - low) / (high - low), 0, 1), atol=1e-4)


@pytest.mark.parametrize("shape", [(256, 256, 8), (128, 128, 128), (192, 64, 11)])
def test_large_volumes_are_known_by_all_their_planes(shape: tuple[int, ...]) -> None:
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0)) + torch.arange(shape[2])  # of another brightness in every plane
    low, high = np.percentile(image.numpy(), [0.5, 99.5])
    expected = ((image - low) / (high - low)).clamp(0, 1)
    assert float((normalise(image[None, None])[0, 0] - expected).abs().max()) < 2e-3


def test_a_constant_image_becomes_black() -> None:
    assert torch.equal(normalise(torch.full((1, 1, 8, 8), 7.0)), torch.zeros(1, 1, 8, 8))


def test_scale_and_offset_of_the_scanner_do_not_matter() -> None:
    images = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(normalise(images), normalise(1000 * images - 500), atol=1e-4)


def test_a_small_head_in_a_large_black_field_keeps_its_contrast() -> None:
    images = torch.zeros(2, 1, 64, 64)
    images[0, 0, 30:34, 30:34] = torch.linspace(20, 120, 16).reshape(4, 4)
    images[1] = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0))
    seen = normalise(images)
    assert len(seen[0, 0, 30:34, 30:34].unique()) > 12 and not seen[0, 0, :30].any()
    assert torch.equal(seen[1:], normalise(images[1:]))


@pytest.mark.parametrize("background", [0.0, -1000.0])
def test_a_border_of_background_changes_nothing(background: float) -> None:
    volume = torch.rand(12, 14, 16, generator=torch.Generator().manual_seed(0)) * 100 + 1
    padded = torch.nn.functional.pad(volume, [9, 4, 0, 7, 5, 5], value=background)
    inner = normalise_volume(padded)[5:-5, :-7, 9:-4]
    assert torch.allclose(inner, normalise(volume[None, None])[0, 0]) and int(normalise_volume(padded).count_nonzero()) == int(inner.count_nonzero())
    assert normalise_volume(torch.full((3, 4, 5), 7.0)).count_nonzero() == 0

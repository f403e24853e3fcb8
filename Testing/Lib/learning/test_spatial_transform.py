"""Registration finds a known warp; its fields can be inverted; its measures are what they say."""

from collections.abc import Callable

import pytest
import torch

from Learn2SynthLib.config import NetworkConfig
from Learn2SynthLib.learning.spatial_transform import SpatialTransform, local_correlation, roughness
from Learn2SynthLib.synthesis.deformation import Window, displacement, take, voxel_positions

WINDOW = Window((16, 16, 16), (12.0, 12.0, 12.0))
STRUCTURES = (2, 3, 4, 8, 10)
TINY = NetworkConfig("patched-unet", (2, 3))


def mean_dice(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.tensor([2 * ((one == k) & (other == k)).sum() / ((one == k).sum() + (other == k).sum()) for k in STRUCTURES]).mean())


def jacobians(mapping: torch.Tensor, window: Window) -> torch.Tensor:
    """Determinants of a mapping (X, Y, Z, 3) in mm, between the voxels of a window."""
    inner = tuple(slice(0, size - 1) for size in window.shape)
    return torch.linalg.det(torch.stack([(mapping.diff(dim=axis) / window.spacing_mm[axis])[inner] for axis in range(3)], -1))


@pytest.fixture
def atlas(make_grid: Callable, head: Callable) -> tuple[torch.Tensor, torch.Tensor]:
    """Image, in [0, 1], and labels (1, 1, *shape) of a made-up head in WINDOW."""
    image, labels = head(make_grid(WINDOW.shape, WINDOW.spacing_mm))
    return (image.data / 120).clamp(0, 1)[None, None], labels.data[None, None].float()


def test_a_known_warp_is_found(atlas: tuple[torch.Tensor, torch.Tensor]) -> None:
    image, labels = atlas
    there = voxel_positions(WINDOW, image) + displacement(torch.full((1, 1), 12.0), torch.full((1, 1), 60.0), [3], WINDOW)
    scan, wanted = take(image, there, WINDOW.spacing_mm), take(labels, there, WINDOW.spacing_mm, "nearest")
    torch.manual_seed(0)
    model = SpatialTransform(WINDOW, NetworkConfig("patched-unet", (16, 32)), 0.3)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = model.loss(image.expand(2, -1, -1, -1, -1), scan.expand(2, -1, -1, -1, -1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    flow, _ = model.between(image, scan)
    moved = model.moved(voxel_positions(WINDOW, image)[None], flow)
    found = take(labels, moved, WINDOW.spacing_mm, "nearest")
    assert losses[-1] < losses[0] - 0.05
    assert mean_dice(found, wanted) > 1 - 0.6 * (1 - mean_dice(labels, wanted))
    assert jacobians(moved[0], WINDOW).min() > 0


def test_any_smooth_velocity_makes_a_field_that_can_be_inverted() -> None:
    model = SpatialTransform(Window((24, 24, 24), (8.0, 8.0, 8.0)), TINY, 1.0)
    points = torch.randn(1, 3, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    velocity = 12 * torch.nn.functional.interpolate(points, model.coarse.shape, mode="trilinear", align_corners=True)
    start = voxel_positions(model.window, velocity)[None]
    there = model.moved(start, model.flow(velocity))
    assert jacobians(there[0], model.window).min() > 0
    returned = model.moved(there, model.flow(-velocity))
    inner = (slice(None), *[slice(4, -4)] * 3)
    assert (returned - start)[inner].norm(dim=-1).max() < 0.1 * (there - start)[inner].norm(dim=-1).max()


def test_an_untrained_registration_moves_nothing(atlas: tuple[torch.Tensor, torch.Tensor]) -> None:
    image, _ = atlas
    flow, back = SpatialTransform(WINDOW, TINY, 1.0).between(image, image.flip(2))
    assert not flow.any() and torch.allclose(back, image.flip(2), atol=1e-5)


def test_local_correlation_is_blind_to_brightness_and_contrast_and_not_to_content() -> None:
    one, other = torch.rand(2, 1, 1, 12, 12, 12, generator=torch.Generator().manual_seed(0))
    assert local_correlation(one, 0.3 - 0.2 * one).min() > 0.95
    assert local_correlation(one, other).mean() < 0.05
    assert local_correlation(one, torch.full_like(one, 0.4)).max() < 1e-3


def test_roughness_is_the_squared_gradient_per_mm_but_across_borders() -> None:
    ramp = 0.5 * torch.arange(10.0).reshape(1, 1, 10, 1, 1).expand(1, 1, 10, 6, 6) * 2
    assert roughness(ramp, (2.0, 3.0, 3.0)).item() == pytest.approx(0.25)
    halves = (torch.arange(10) >= 5).float().reshape(1, 1, 10, 1, 1).expand(1, 1, 10, 6, 6)
    assert roughness(7 * halves, (2.0, 3.0, 3.0)) > 1 and roughness(7 * halves, (2.0, 3.0, 3.0), halves) == 0

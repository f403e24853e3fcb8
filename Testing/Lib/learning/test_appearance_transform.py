"""The appearance transform finds what another scanner made of each tissue, and leaves alone what no structure explains."""

from collections.abc import Callable

import torch

from Learn2SynthLib.config import NetworkConfig
from Learn2SynthLib.learning.appearance_transform import AppearanceTransform
from Learn2SynthLib.synthesis.deformation import Window

WINDOW = Window((16, 16, 16), (12.0, 12.0, 12.0))
CHANGES = {0: 0.0, 2: -0.3, 3: 0.2, 8: 0.0}


def test_a_known_change_within_structures_is_found_and_noise_is_not_copied(make_grid: Callable, head: Callable) -> None:
    image, labels = head(make_grid(WINDOW.shape, WINDOW.spacing_mm))
    atlas, structures = (image.data / 120).clamp(0, 1)[None, None], labels.data[None, None]
    change = sum(value * (structures == label) for label, value in CHANGES.items())
    noise = 0.1 * torch.randn(atlas.shape, generator=torch.Generator().manual_seed(1))
    scan = atlas + change + noise
    torch.manual_seed(0)
    model = AppearanceTransform(WINDOW, NetworkConfig("unet", (8, 16, 32)), reach_mm=12.0)
    optimiser = torch.optim.Adam(model.parameters())
    for step in range(60):
        optimiser.param_groups[0]["lr"] = 5e-3 * (1 - step / 60)
        loss = model.loss(*(part.expand(2, -1, -1, -1, -1) for part in (atlas, scan, structures)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    found = model(atlas, scan).detach()
    for label, value in CHANGES.items():
        inside = found[structures == label]
        assert abs(inside.mean() - value) < 0.05 and inside.std() < 0.07


def test_an_untrained_appearance_changes_nothing() -> None:
    atlas, scan = torch.rand(2, 1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    assert not AppearanceTransform(WINDOW, NetworkConfig("unet", (2, 3)), 8.0)(atlas, scan).any()

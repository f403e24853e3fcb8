"""The enhancement network: a residual that real scans teach (Hu et al. 2025, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..config import NetworkConfig
from ..segmentation.networks import build_network
from ..synthesis.fields import normal


class Enhancement(nn.Module):
    """Synthetic images (B, 1, *spatial) plus what a U-Net makes of them and of a channel of noise.

    The last layer starts at zero, so that nothing is changed before something is learned.
    """

    def __init__(self, ndim: int, features: Sequence[int]) -> None:
        super().__init__()
        self.network = build_network(NetworkConfig("unet", tuple(features)), ndim, 2, 1)
        for parameter in self.network.get_submodule("head").parameters():
            nn.init.zeros_(parameter)

    def forward(self, images: Tensor, seeds: Sequence[int]) -> Tensor:
        noise = normal(seeds, "enhancement", images.shape[1:], images)
        return images + self.network(torch.cat([images, noise], 1))

"""The appearance transform: what has to be added to an atlas's intensities so that it looks as a scan does (Zhao et al. 2019, section 3).

It is learned in the atlas's space, where the structures are known: a change may jump at their borders and is smooth within them, so that it tells another
scanner or other tissue, and not what registration has missed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import NetworkConfig
from ..synthesis.deformation import Window
from .spatial_transform import roughness, still_network


class AppearanceTransform(nn.Module):
    """Atlas, and a scan taken back into its space, both (B, 1, *shape) in one window -> the change (B, 1, *shape). reach_mm: over which it is smooth."""

    def __init__(self, window: Window, network: NetworkConfig, reach_mm: float) -> None:
        super().__init__()
        self.window, self.reach_mm = window, reach_mm
        self.network = still_network(network, 1)

    def forward(self, atlas: Tensor, scan: Tensor) -> Tensor:
        return self.network(torch.cat([atlas, scan], 1))

    def loss(self, atlas: Tensor, scan: Tensor, structures: Tensor) -> Tensor:
        """Mean squared difference of the changed atlas and the scan, and what is not smooth of the change within `structures` (B, 1, *shape)."""
        change = self(atlas, scan)
        return F.mse_loss(atlas + change, scan) + self.reach_mm**2 * roughness(change, self.window.spacing_mm, structures)

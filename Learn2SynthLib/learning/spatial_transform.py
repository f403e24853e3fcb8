"""The spatial transform: a U-Net registers an atlas to a scan, unsupervised (Zhao et al. 2019, section 3; Balakrishnan et al. 2019).

The network gives a stationary velocity, whose flow is smooth and can be inverted: the inverse is the flow of the opposite velocity.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import NetworkConfig
from ..segmentation.networks import build_network
from ..synthesis.deformation import COARSENESS, Window, integrate, take, voxel_positions

_CUBE = 5  # voxels a side, within which intensities are compared
_FLAT = 1e-6  # product of two variances that counts as nothing to compare


class SpatialTransform(nn.Module):
    """Moves atlases to scans, both (B, 1, *shape) in one window. smoothness: weight of the velocity's mean squared gradient."""

    def __init__(self, window: Window, network: NetworkConfig, smoothness: float) -> None:
        super().__init__()
        self.window, self.smoothness = window, smoothness
        self.coarse = Window(tuple(size // COARSENESS for size in window.shape), tuple(step * COARSENESS for step in window.spacing_mm))
        self.network = still_network(network, 3)

    def velocity(self, atlas: Tensor, scan: Tensor) -> Tensor:
        """(B, 3, *shape / COARSENESS) in mm."""
        voxels = F.avg_pool3d(self.network(torch.cat([atlas, scan], 1)), COARSENESS)
        return voxels * voxels.new_tensor(self.window.spacing_mm).reshape(3, 1, 1, 1)

    def flow(self, velocity: Tensor) -> Tensor:
        """(B, 3, *shape / COARSENESS) in mm: from places in the scan to the same places in the atlas."""
        return integrate(velocity, self.coarse)

    def moved(self, positions: Tensor, flow: Tensor) -> Tensor:
        """Positions (B, *any, 3) in mm from the window's centre, moved along a flow; beyond the window it goes on as at its border."""
        return positions + take(flow, positions, self.coarse.spacing_mm, outside="border").movedim(1, -1)

    def warp(self, images: Tensor, flow: Tensor) -> Tensor:
        """Images (B, C, *shape) pulled along a flow."""
        return take(images, self.moved(voxel_positions(self.window, images).expand(len(flow), -1, -1, -1, -1), flow), self.window.spacing_mm, outside="border")

    def loss(self, atlas: Tensor, scan: Tensor) -> Tensor:
        """1 - local correlation of the scan with the atlas moved onto it, and what is not smooth of the velocity."""
        velocity = self.velocity(atlas, scan)
        alike = local_correlation(self.warp(atlas, self.flow(velocity)), scan).mean()
        return 1 - alike + self.smoothness * roughness(velocity, self.coarse.spacing_mm)

    @torch.no_grad()
    def between(self, atlas: Tensor, scan: Tensor) -> tuple[Tensor, Tensor]:
        """The flow from scan to atlas, and the scan taken back into the atlas's space by its inverse."""
        velocity = self.velocity(atlas, scan)
        return self.flow(velocity), self.warp(scan, self.flow(-velocity))


def still_network(config: NetworkConfig, out_channels: int) -> nn.Module:
    """From atlas and scan to a field (B, out_channels, *shape) that is 0 until something is learned."""
    network = build_network(config, 3, 2, out_channels)
    for name, parameter in network.named_parameters():
        if "head." in name:
            nn.init.zeros_(parameter)
    return network


def local_correlation(one: Tensor, other: Tensor) -> Tensor:
    """Squared correlation (B, 1, *shape), 0 to 1, of two images (B, 1, *shape) within a cube about each voxel; 0 where one is flat.

    Blind to brightness and contrast that change slowly, as a bias field does.
    """
    moments = torch.cat([one, other, one * one, other * other, one * other], 1)
    for axis in range(3):  # a mean over a cube is one over each axis in turn
        size = [_CUBE if a == axis else 1 for a in range(3)]
        moments = F.avg_pool3d(moments, size, stride=1, padding=[k // 2 for k in size], count_include_pad=False)
    a, b, aa, bb, ab = moments.split(1, 1)
    return (ab - a * b).square() / ((aa - a * a) * (bb - b * b) + _FLAT)


def roughness(field: Tensor, spacing_mm: Sequence[float], structures: Tensor | None = None) -> Tensor:
    """Mean square of the gradient, per mm, of a field (B, C, *shape); across the borders of `structures` (B, 1, *shape) it may do what it likes."""
    parts = []
    for axis, step in enumerate(spacing_mm):
        squares = (field.diff(dim=axis + 2) / step).square()
        parts.append((squares if structures is None else squares * (structures.diff(dim=axis + 2) == 0)).mean())
    return torch.stack(parts).sum()

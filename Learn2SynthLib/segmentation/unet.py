"""U-Nets, of voxels and of blocks of voxels, in two or three dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import ARCHITECTURES

BLOCK = ARCHITECTURES["patched-unet"].scales[0]


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015): two convolutions a level, instance norm, linear upsampling."""

    def __init__(self, ndim: int, in_channels: int, out_channels: int, features: Sequence[int]) -> None:
        super().__init__()
        convolution = (nn.Conv2d, nn.Conv3d)[ndim - 2]
        self.pool = (F.avg_pool2d, F.avg_pool3d)[ndim - 2]
        self.upsampling = ("bilinear", "trilinear")[ndim - 2]
        self.encoder = nn.ModuleList(Level(ndim, a, b) for a, b in zip((in_channels, *features), features))
        self.decoder = nn.ModuleList(Level(ndim, a + b, a) for a, b in zip(features, features[1:]))
        self.head = convolution(features[0], out_channels, 1)
        initialise(*self.encoder, *self.decoder)

    def forward(self, images: Tensor) -> Tensor:
        return self.decode(self.encode(images))

    def encode(self, images: Tensor) -> list[Tensor]:
        """The features of every level, finest first."""
        codes = []
        x = images  # (B, in_channels, *spatial)
        for depth, level in enumerate(self.encoder):
            x = level(self.pool(x, 2) if depth else x)  # (B, features[depth], *spatial / 2**depth)
            codes.append(x)
        return codes

    def decode(self, codes: Sequence[Tensor]) -> Tensor:
        """Logits (B, out_channels, *spatial) from the features of every level."""
        x = codes[-1]
        for depth in reversed(range(len(self.decoder))):
            x = F.interpolate(x, scale_factor=2, mode=self.upsampling, align_corners=False)
            x = self.decoder[depth](torch.cat([x, codes[depth]], 1))
        return self.head(x)  # (B, out_channels, *spatial)


class Level(nn.Module):
    """Two convolutions, each with instance norm and SiLU."""

    def __init__(self, ndim: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        convolution = (nn.Conv2d, nn.Conv3d)[ndim - 2]
        norm = (nn.InstanceNorm2d, nn.InstanceNorm3d)[ndim - 2]
        self.convolutions = nn.ModuleList(convolution(a, out_channels, 3, padding=1, bias=False) for a in (in_channels, out_channels))
        self.norms = nn.ModuleList(norm(out_channels, affine=True) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for convolution, norm in zip(self.convolutions, self.norms):
            x = F.silu(norm(convolution(x)))
        return x


def initialise(*levels: nn.Module) -> None:
    """Kernels after He et al. 2015."""
    for level in levels:
        for layer in level.get_submodule("convolutions").children():
            nn.init.kaiming_normal_(layer.get_parameter("weight"))


class PatchedUNet(nn.Module):
    """A U-Net of blocks of `BLOCK` voxels a side. The voxels of a block are its channels, in and out (Shi et al. 2016), so that its finest level, where a
    U-Net spends most of its time and memory, has 4 times (slices) or 8 times (volumes) fewer places."""

    def __init__(self, ndim: int, in_channels: int, out_channels: int, features: Sequence[int]) -> None:
        super().__init__()
        voxels = BLOCK**ndim
        self.unet = UNet(ndim, in_channels * voxels, out_channels * voxels, features)

    def forward(self, images: Tensor) -> Tensor:
        return self.decode(self.encode(images))

    def encode(self, images: Tensor) -> list[Tensor]:
        """The features of every level, finest first."""
        return self.unet.encode(to_blocks(images))

    def decode(self, codes: Sequence[Tensor]) -> Tensor:
        """Logits (B, out_channels, *spatial) from the features of every level."""
        return from_blocks(self.unet.decode(codes))


def to_blocks(images: Tensor) -> Tensor:
    """(B, C, *spatial) -> (B, C * BLOCK**ndim, *spatial / BLOCK)."""
    ndim = images.ndim - 2
    split = images.unflatten(2, (-1, BLOCK))
    for axis in range(1, ndim):
        split = split.unflatten(2 + 2 * axis, (-1, BLOCK))  # (B, C, X, BLOCK, Y, BLOCK, ...)
    places, voxels = range(2, 2 + 2 * ndim, 2), range(3, 3 + 2 * ndim, 2)
    return split.permute(0, 1, *voxels, *places).flatten(1, 1 + ndim)


def from_blocks(blocks: Tensor, block: int = BLOCK) -> Tensor:
    """The inverse of `to_blocks`; `block`: of blocks of so many voxels a side."""
    ndim = blocks.ndim - 2
    split = blocks.unflatten(1, (-1, *[block] * ndim))  # (B, C, BLOCK, BLOCK, ..., X, Y, ...)
    order = [axis for k in range(ndim) for axis in (2 + ndim + k, 2 + k)]
    joined = split.permute(0, 1, *order)
    for axis in range(ndim):
        joined = joined.flatten(2 + axis, 3 + axis)
    return joined

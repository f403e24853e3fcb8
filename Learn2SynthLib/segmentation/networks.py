"""Networks: a registry of architectures, built from a NetworkConfig in two or three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import ARCHITECTURES, NetworkConfig

BLOCK = ARCHITECTURES["patched-unet"].scales[0]


def build_network(config: NetworkConfig, ndim: int, in_channels: int, out_channels: int) -> nn.Module:
    """The network of that name: (B, in_channels, *spatial) -> (B, out_channels, *spatial) logits.

    Each spatial size must be a multiple of `config.divisor`.
    """
    return NETWORKS[config.name](ndim, in_channels, out_channels, config.features)


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015): two convolutions a level, instance norm, linear upsampling."""

    def __init__(self, ndim: int, in_channels: int, out_channels: int, features: Sequence[int]) -> None:
        super().__init__()
        convolution = (nn.Conv2d, nn.Conv3d)[ndim - 2]
        self.pool = (F.avg_pool2d, F.avg_pool3d)[ndim - 2]
        self.upsampling = ("bilinear", "trilinear")[ndim - 2]
        self.encoder = nn.ModuleList(_Level(ndim, a, b) for a, b in zip((in_channels, *features), features))
        self.decoder = nn.ModuleList(_Level(ndim, a + b, a) for a, b in zip(features, features[1:]))
        self.head = convolution(features[0], out_channels, 1)
        for level in (*self.encoder, *self.decoder):
            for layer in level.convolutions:
                nn.init.kaiming_normal_(layer.weight)

    def forward(self, images: Tensor) -> Tensor:
        skips = []
        x = images  # (B, in_channels, *spatial)
        for depth, level in enumerate(self.encoder):
            x = level(self.pool(x, 2) if depth else x)  # (B, features[depth], *spatial / 2**depth)
            skips.append(x)
        for depth in reversed(range(len(self.decoder))):
            x = F.interpolate(x, scale_factor=2, mode=self.upsampling, align_corners=False)
            x = self.decoder[depth](torch.cat([x, skips[depth]], 1))
        return self.head(x)  # (B, out_channels, *spatial)


class _Level(nn.Module):
    """Two convolutions, each with instance norm and a leaky rectifier."""

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


class PatchedUNet(nn.Module):
    """A U-Net of blocks of `BLOCK` voxels a side. The voxels of a block are its channels, in and out (Shi et al. 2016), so that its finest level, where a
    U-Net spends most of its time and memory, has 4 times (slices) or 8 times (volumes) fewer places."""

    def __init__(self, ndim: int, in_channels: int, out_channels: int, features: Sequence[int]) -> None:
        super().__init__()
        voxels = BLOCK**ndim
        self.unet = UNet(ndim, in_channels * voxels, out_channels * voxels, features)

    def forward(self, images: Tensor) -> Tensor:
        return from_blocks(self.unet(to_blocks(images)))


class ResidualUNet(nn.Module):
    """A residual encoder whose weights are named and shaped as those of Med3D's 3D-ResNets (Chen et al. 2019, section 3.2), and a U-Net's decoder behind it.

    features: of the image's own resolution, of the stem, and of the encoder's four layers. blocks: residual blocks of each layer: 1, 1, 1, 1 in ResNet-10.
    What is otherwise than there, instance norm, smooth rectifiers and average pooling, has no weights of its own.
    """

    def __init__(self, ndim: int, in_channels: int, out_channels: int, features: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        own, stem, *layers = features
        convolution = (nn.Conv2d, nn.Conv3d)[ndim - 2]
        self.upsampling = ("bilinear", "trilinear")[ndim - 2]
        self.own = _Level(ndim, in_channels, own)
        self.encoder = _ResidualEncoder(ndim, in_channels, stem, layers, blocks)
        widths = (own, stem, layers[0], layers[-1])  # at 1, 1/2, 1/4 and 1/8 of the resolution
        self.decoder = nn.ModuleList(_Level(ndim, a + b, a) for a, b in zip(widths, widths[1:]))
        self.head = convolution(own, out_channels, 1)
        for layer in self.modules():
            if isinstance(layer, convolution) and layer is not self.head:
                nn.init.kaiming_normal_(layer.weight)

    def forward(self, images: Tensor) -> Tensor:
        skips = [self.own(images), *self.encoder(images)]
        x = skips.pop()
        for depth in reversed(range(len(self.decoder))):
            x = F.interpolate(x, scale_factor=2, mode=self.upsampling, align_corners=False)
            x = self.decoder[depth](torch.cat([x, skips[depth]], 1))
        return self.head(x)  # (B, out_channels, *spatial)


class _ResidualEncoder(nn.Module):
    """As in Med3D the last two layers keep the resolution, and widen their view by dilation."""

    def __init__(self, ndim: int, in_channels: int, stem: int, layers: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        convolution, norm = (nn.Conv2d, nn.Conv3d)[ndim - 2], (nn.InstanceNorm2d, nn.InstanceNorm3d)[ndim - 2]
        self.pool = (F.avg_pool2d, F.avg_pool3d)[ndim - 2]
        self.conv1 = convolution(in_channels, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm(stem, affine=True)
        self.layer1 = _residual_layer(ndim, stem, layers[0], blocks[0], stride=1, dilation=1)
        self.layer2 = _residual_layer(ndim, layers[0], layers[1], blocks[1], stride=2, dilation=1)
        self.layer3 = _residual_layer(ndim, layers[1], layers[2], blocks[2], stride=1, dilation=2)
        self.layer4 = _residual_layer(ndim, layers[2], layers[3], blocks[3], stride=1, dilation=4)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at 1/2, 1/4 and 1/8 of the resolution."""
        half = F.silu(self.bn1(self.conv1(images)))
        quarter = self.layer1(self.pool(half, 2))
        return half, quarter, self.layer4(self.layer3(self.layer2(quarter)))


def _residual_layer(ndim: int, in_channels: int, out_channels: int, blocks: int, stride: int, dilation: int) -> nn.Sequential:
    first = _ResidualBlock(ndim, in_channels, out_channels, stride, dilation)
    return nn.Sequential(first, *(_ResidualBlock(ndim, out_channels, out_channels, 1, dilation) for _ in range(blocks - 1)))


class _ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut (He et al. 2016), which is a convolution of one voxel where the shape changes (their type B)."""

    def __init__(self, ndim: int, in_channels: int, out_channels: int, stride: int, dilation: int) -> None:
        super().__init__()
        convolution, norm = (nn.Conv2d, nn.Conv3d)[ndim - 2], (nn.InstanceNorm2d, nn.InstanceNorm3d)[ndim - 2]
        self.conv1 = convolution(in_channels, out_channels, 3, stride, dilation, dilation, bias=False)
        self.bn1 = norm(out_channels, affine=True)
        self.conv2 = convolution(out_channels, out_channels, 3, 1, dilation, dilation, bias=False)
        self.bn2 = norm(out_channels, affine=True)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(convolution(in_channels, out_channels, 1, stride, bias=False), norm(out_channels, affine=True))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(F.silu(self.bn1(self.conv1(x)))))
        return F.silu(inner + self.downsample(x))


def to_blocks(images: Tensor) -> Tensor:
    """(B, C, *spatial) -> (B, C * BLOCK**ndim, *spatial / BLOCK)."""
    ndim = images.ndim - 2
    split = images.unflatten(2, (-1, BLOCK))
    for axis in range(1, ndim):
        split = split.unflatten(2 + 2 * axis, (-1, BLOCK))  # (B, C, X, BLOCK, Y, BLOCK, ...)
    places, voxels = range(2, 2 + 2 * ndim, 2), range(3, 3 + 2 * ndim, 2)
    return split.permute(0, 1, *voxels, *places).flatten(1, 1 + ndim)


def from_blocks(blocks: Tensor) -> Tensor:
    """The inverse of `to_blocks`."""
    ndim = blocks.ndim - 2
    split = blocks.unflatten(1, (-1, *[BLOCK] * ndim))  # (B, C, BLOCK, BLOCK, ..., X, Y, ...)
    order = [axis for k in range(ndim) for axis in (2 + ndim + k, 2 + k)]
    joined = split.permute(0, 1, *order)
    for axis in range(ndim):
        joined = joined.flatten(2 + axis, 3 + axis)
    return joined


NETWORKS: dict[str, Callable[[int, int, int, Sequence[int]], nn.Module]] = {
    "unet": UNet,
    "patched-unet": PatchedUNet,
    "resnet10-unet": partial(ResidualUNet, blocks=(1, 1, 1, 1)),
    "resnet18-unet": partial(ResidualUNet, blocks=(2, 2, 2, 2)),
    "resnet34-unet": partial(ResidualUNet, blocks=(3, 4, 6, 3)),
}

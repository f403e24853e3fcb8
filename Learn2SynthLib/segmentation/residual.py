"""U-Nets with the residual encoders of Med3D (Chen, Ma & Zheng 2019), in two or three dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .unet import Level


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
        self.own = Level(ndim, in_channels, own)
        self.encoder = _ResidualEncoder(ndim, in_channels, stem, layers, blocks)
        widths = (own, stem, layers[0], layers[-1])  # at 1, 1/2, 1/4 and 1/8 of the resolution
        self.decoder = nn.ModuleList(Level(ndim, a + b, a) for a, b in zip(widths, widths[1:]))
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

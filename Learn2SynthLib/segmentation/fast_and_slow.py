"""Networks of cooperative training (Chen et al. 2021): one that segments, one that corrects it, and a decoder of images, in two or three dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from .unet import Level, PatchedUNet, UNet, from_blocks, initialise


class CooperativeNetwork(nn.Module):
    """A fast network that segments, and a slow one that corrects the shapes of what it said (Chen et al. 2021): logits of the corrected segmentation.

    Both are `unet`s, with `encode` and `decode`; the slow one goes from class probabilities to classes. The fast one's code is the features of all its levels:
    structures of a few voxels do not pass through the coarsest level alone, neither here nor in the slow network. The coarsest is what images are decoded from
    (`ImageDecoder`); a decoupler makes of it what the segmentation is decoded from, so that one task need not carry what the other one asks for. The finer
    levels serve segmentation alone.
    """

    def __init__(self, unet: type[UNet | PatchedUNet], ndim: int, in_channels: int, out_channels: int, features: Sequence[int]) -> None:
        super().__init__()
        self.fast = unet(ndim, in_channels, out_channels, features)
        self.decoupler = Level(ndim, features[-1], features[-1])
        self.slow = unet(ndim, out_channels, out_channels, features)
        initialise(self.decoupler)

    def forward(self, images: Tensor) -> Tensor:
        return self.correct(self.segment(self.decouple(self.encode(images))).softmax(1))

    def encode(self, images: Tensor) -> list[Tensor]:
        """The features of every level, finest first; the last is the code of the image."""
        return self.fast.encode(images)

    def decouple(self, codes: Sequence[Tensor]) -> list[Tensor]:
        """The code of the segmentation, of every level. Views, so that a gradient with respect to one level is not also that by way of coarser ones."""
        return [*(code.view_as(code) for code in codes[:-1]), self.decoupler(codes[-1])]

    def segment(self, codes: Sequence[Tensor]) -> Tensor:
        """The fast network's logits from the code of the segmentation."""
        return self.fast.decode(codes)

    def correct(self, probabilities: Tensor) -> Tensor:
        """The slow network: logits (B, C, *spatial) of the corrected segmentation from class probabilities (B, C, *spatial)."""
        return self.slow(probabilities)


class ImageDecoder(nn.Module):
    """From the coarsest features (B, features[-1], *coarse) back to images (B, 1, *spatial) of blocks of `block` voxels a side.

    A U-Net's decoder without its skips: those of the finest level would hand the image through, and what is done to the code would not show in it.
    """

    def __init__(self, ndim: int, features: Sequence[int], block: int) -> None:
        super().__init__()
        convolution = (nn.Conv2d, nn.Conv3d)[ndim - 2]
        self.block, self.upsampling = block, ("bilinear", "trilinear")[ndim - 2]
        self.levels = nn.ModuleList(Level(ndim, b, a) for a, b in zip(features, features[1:]))
        self.head = convolution(features[0], block**ndim, 1)
        initialise(*self.levels)

    def forward(self, code: Tensor) -> Tensor:
        x = code
        for level in reversed(self.levels):
            x = level(F.interpolate(x, scale_factor=2, mode=self.upsampling, align_corners=False))
        return from_blocks(self.head(x), self.block)

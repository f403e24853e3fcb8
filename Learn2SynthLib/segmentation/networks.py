"""Networks: a registry of architectures, built from a NetworkConfig in two or three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from ..config import NetworkConfig
from .fast_and_slow import CooperativeNetwork
from .residual import ResidualUNet
from .unet import PatchedUNet, UNet


def build_network(config: NetworkConfig, ndim: int, in_channels: int, out_channels: int) -> nn.Module:
    """The network of that name: (B, in_channels, *spatial) -> (B, out_channels, *spatial) logits.

    Each spatial size must be a multiple of `config.divisor`.
    """
    return NETWORKS[config.name](ndim, in_channels, out_channels, config.features)


NETWORKS: dict[str, Callable[[int, int, int, Sequence[int]], nn.Module]] = {
    "unet": UNet,
    "patched-unet": PatchedUNet,
    "resnet10-unet": partial(ResidualUNet, blocks=(1, 1, 1, 1)),
    "resnet18-unet": partial(ResidualUNet, blocks=(2, 2, 2, 2)),
    "resnet34-unet": partial(ResidualUNet, blocks=(3, 4, 6, 3)),
    "cooperative-unet": partial(CooperativeNetwork, UNet),
    "cooperative-patched-unet": partial(CooperativeNetwork, PatchedUNet),
}

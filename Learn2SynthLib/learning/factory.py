"""From a configuration to the parts that it describes."""

from __future__ import annotations

from torch import nn

from ..config import LEARNABLE, RunConfig
from ..segmentation.fast_and_slow import ImageDecoder
from ..segmentation.networks import build_network
from ..synthesis.ranges import Ranges
from ..synthesis.synthesizer import Synthesizer
from .data import Preparation
from .enhancement import Enhancement


def make_network(config: RunConfig, classes: int) -> nn.Module:
    """The segmentation network: one image channel in, one logit a class out."""
    return build_network(config.trained_network, config.ndim, 1, classes)


def make_image_decoder(config: RunConfig) -> ImageDecoder:
    """What the strategy `cooperative` turns the network's code into images by."""
    return ImageDecoder(config.ndim, config.network.features, config.network.scales[0])


def make_synthesizer(config: RunConfig, preparation: Preparation) -> Synthesizer:
    """The synthesizer of a configuration, with whatever its strategy learns, before learning."""
    settings, learns = config.learn2synth, config.strategy == "learn2synth"
    parametric = learns and settings.enhancement in ("parametric", "both")
    searched = [name for name in LEARNABLE if name in config.policy_search.search] if config.strategy == "policy_search" else ()
    ranges = Ranges(config.synthesis, preparation.classes, settings.learn if parametric else searched, settings.fixed if parametric else ())
    enhancement = Enhancement(config.ndim, settings.network_features) if learns and settings.enhancement in ("network", "both") else None
    row = {label.value: index for index, label in enumerate(preparation.target.labels)}
    mirrored = preparation.target.mirrored()
    mirror = [row[mirrored[label.value]] for label in preparation.target.labels]
    return Synthesizer(config.synthesis, config.grid, ranges, mirror, enhancement)

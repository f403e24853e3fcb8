"""From a configuration to the parts that it describes."""

from __future__ import annotations

from torch import nn

from ..config import RunConfig
from ..segmentation.networks import build_network
from ..synthesis.ranges import Ranges
from ..synthesis.synthesizer import Synthesizer
from .data import Preparation
from .enhancement import Enhancement
from .strategies import STRATEGIES


def make_network(config: RunConfig, classes: int) -> nn.Module:
    """The segmentation network: one image channel in, one logit a class out."""
    return build_network(config.trained_network, config.ndim, 1, classes)


def make_synthesizer(config: RunConfig, preparation: Preparation) -> Synthesizer:
    """The synthesizer of a configuration, with whatever its strategy learns, before learning."""
    learned = STRATEGIES[config.strategy].learns(config)
    ranges = Ranges(config.synthesis, preparation.classes, learned.ranges, learned.fixed)
    enhancement = Enhancement(config.ndim, learned.features) if learned.features else None
    row = {label.value: index for index, label in enumerate(preparation.target.labels)}
    mirrored = preparation.target.mirrored()
    mirror = [row[mirrored[label.value]] for label in preparation.target.labels]
    return Synthesizer(config.synthesis, config.grid, ranges, mirror, enhancement)

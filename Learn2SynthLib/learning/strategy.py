"""Strategies: what one training step does. One file each; the loop knows none of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from ..config import RunConfig
from ..labels import LabelTable
from ..randomness import stream
from ..segmentation.losses import segmentation_loss
from ..synthesis.sampling import SynthesisDraw
from ..synthesis.synthesizer import Maps, Synthesizer
from ..volume.image import Image
from .data import Cutting, Example, Place


@dataclass
class Task:
    """What every strategy works with: the configuration, the target table, the network with its optimiser, the synthesizer, the examples.

    label_maps: the synthesis pool. real: the annotated scans that a strategy may learn from. unlabelled: images of people without labels,
    each read when it is asked for, once, because there may be hundreds.
    """

    config: RunConfig
    target: LabelTable
    network: nn.Module
    optimiser: torch.optim.Optimizer
    synthesizer: Synthesizer
    label_maps: Sequence[Example]
    real: Sequence[Example]
    device: torch.device
    unlabelled: Iterable[Image] = ()

    @property
    def cutting(self) -> Cutting:
        return Cutting(self.synthesizer.source_shape, self.synthesizer.window.shape)

    def synthetic(self, step: int, learned: Sequence[bool], purpose: str = "synthetic", wide: Sequence[str] = ()) -> tuple[Maps, list[SynthesisDraw]]:
        """Label-map windows and draws of one step; entry k of `learned` chooses the ranges of image k, that of `wide` what of it is wide nevertheless."""
        rngs = self._streams(purpose, step, len(learned))
        maps = self.cutting.maps(self.label_maps, [self.cutting.place(self.label_maps, rng) for rng in rngs], self.device)
        parts = wide or [""] * len(learned)
        return maps, [self.synthesizer.draw(rng, flag, part) for rng, flag, part in zip(rngs, learned, parts, strict=True)]

    def randomised(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        """Images and targets drawn from the prior alone."""
        with torch.no_grad():
            return self.synthesizer.render(*self.synthetic(step, [False] * count))

    @torch.no_grad()
    def real_batch(self, step: int, count: int, acquire: bool, learned: bool = False) -> tuple[Tensor, Tensor]:
        """Real images and their targets, deformed; `acquire` also repeats the scanner's corruptions on them, both as in the prior or as `learned`."""
        places, draws = self._of_real(self.real, step, count, learned)
        return self.synthesizer.augment(*self.cutting.real(self.real, places, self.device), draws, acquire)

    @property
    def whole(self) -> Sequence[Example]:
        """The scans whose labels show the whole brain, so that it can be rendered."""
        return [scan for scan in self.real if not scan.partial]

    @torch.no_grad()
    def lesson(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        """Real images for the synthesis to learn from, and their targets, deformed: of scans that have counterparts, if there are, and of what has labels."""
        scans = self.whole or self.real
        places, draws = self._of_real(scans, step, count, labelled=True)
        return self.synthesizer.augment(*self.cutting.real(scans, places, self.device), draws, acquire=False)

    @torch.no_grad()
    def counterparts(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        """Images of the learned synthesis, and their targets, of the very anatomy and pose of the `lesson` of that step."""
        places, shown = self._of_real(self.whole, step, count, labelled=True)
        draws = [draw.in_pose_of(real) for draw, real in zip(self._of_real(self.whole, step, count, learned=True)[1], shown)]
        return self.synthesizer.render(self.cutting.maps(self.whole, places, self.device), draws)

    def _of_real(
        self, scans: Sequence[Example], step: int, count: int, learned: bool = False, labelled: bool = False
    ) -> tuple[list[Place], list[SynthesisDraw]]:
        rngs = self._streams("real", step, count)
        places = [self.cutting.place(scans, rng, labelled) for rng in rngs]
        return places, [self.synthesizer.draw(rng, learned) for rng in rngs]

    def _streams(self, purpose: str, step: int, count: int) -> list[Random]:
        """Randomness of each image of a step. No two of a run share theirs, however many of a batch the steps ask for."""
        return [stream(self.config.seed, purpose, step * self.config.batch_size + k) for k in range(count)]

    def train(self, images: Tensor, target: Tensor) -> float:
        """One plain step of the network, in the precision of the configuration; returns the loss before it.

        The loss itself, whose sums run over millions of voxels, always keeps the precision of the images.
        """
        bfloat16 = self.config.optimiser.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16) if bfloat16 else nullcontext():  # older torch has none on Apple's GPU, not even disabled
            logits = self.network(images)
        loss = segmentation_loss(logits.to(images.dtype), target)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())


def in_step(count: float, index: int) -> int:
    """How many images step `index` has of which each step has `count` on average: what is not whole in one becomes so over several."""
    return int(count * (index + 1)) - int(count * index)


@dataclass(frozen=True)
class LearnedParts:
    """What of the synthesis gradients teach. ranges: learnable parameters, fixed: those learned as one value; features: channels of a network behind them."""

    ranges: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    features: tuple[int, ...] = ()


class Strategy(ABC):
    """One way of training; `config.STRATEGIES` says what it is and which data it needs.

    phases: steps at which the network's optimiser and learning rate begin anew. Before the first of them the network does not train, and nothing is measured.
    """

    phases: tuple[int, ...] = (0,)

    def __init__(self, task: Task) -> None:
        self.task = task

    @classmethod
    def check(cls, config: RunConfig, scans: int, label_maps: bool) -> None:
        """Raises InputError when the strategy's settings ask for what is not there.

        scans: how many annotated ones may be learned from. label_maps: whether there is any to render.
        """

    @classmethod
    def learns(cls, config: RunConfig) -> LearnedParts:
        """What of the synthesis the steps of this configuration teach by gradients."""
        return LearnedParts()

    @property
    def familiar(self) -> Sequence[Example]:
        """The scans whose contrast the network is taught, by themselves or by images like them; none where its images have any contrast."""
        return self.task.real

    @abstractmethod
    def step(self, index: int) -> dict[str, float]:
        """Trains one step. Returns the losses by name."""

    def shown(self, count: int) -> tuple[Tensor, Tensor, Tensor] | None:
        """Images (count, 1, *shape) of its own to preview, before and after the learned part, and their targets; None: the synthesizer's are shown."""
        return None

    def learned(self) -> dict[str, float]:
        """The learned synthesis parameters by readable name."""
        return {}

    def prior(self) -> dict[str, float]:
        """What each entry of `learned` was before learning."""
        return {}

    def preset(self) -> dict[str, Any]:
        """Settings that train by what was learned without learning it again, to travel with the model; empty where a synthesis is no settings."""
        return {}

    def synthesis_state(self) -> dict[str, Tensor]:
        """The learned synthesis, to travel with the model."""
        return {}

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold besides network and optimiser."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""

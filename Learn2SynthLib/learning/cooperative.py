"""Cooperative: two networks that train together, also on hard examples that they make themselves (Chen et al. 2021).

The fast network is an encoder with two decoders, one for the segmentation and one for the image; the slow network corrects the segmentation. Masking the code
of an image gives a corrupted image, masking that of its segmentation a corrupted segmentation (`masks`). The fast network learns to see the true segmentation,
and the image as it was, in the corrupted image; the slow one to correct the corrupted segmentation. The image decoder serves training alone: it is part of the
checkpoint, not of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import RunConfig
from ..errors import InputError
from ..randomness import stream
from ..segmentation.fast_and_slow import CooperativeNetwork, ImageDecoder
from ..segmentation.losses import segmentation_loss
from .masks import draw_mask, masked
from .strategy import Strategy, Task, in_step


@dataclass(frozen=True)
class Thought:
    """What the fast network makes of images: the codes of image and segmentation, and the losses of what is decoded from each."""

    image_code: Tensor
    segmentation_code: list[Tensor]
    probabilities: Tensor
    reconstruction_loss: Tensor
    segmentation_loss: Tensor


class Cooperative(Strategy):
    def __init__(self, task: Task) -> None:
        super().__init__(task)
        assert isinstance(task.network, CooperativeNetwork), "the configuration's `trained_network`"
        self.network, self.settings = task.network, task.config.cooperative
        network = task.config.network
        self.image_decoder = ImageDecoder(task.config.ndim, network.features, network.scales[0]).to(task.device)
        task.optimiser.add_param_group({"params": list(self.image_decoder.parameters())})

    @classmethod
    def check(cls, config: RunConfig, scans: int, label_maps: bool) -> None:
        if config.cooperative.share and not label_maps:
            raise InputError("cooperative.share", f"{config.cooperative.share:g} without label maps", "0", "add --labels PATH, or train on real scans alone")

    def step(self, index: int) -> dict[str, float]:
        """One step of both networks; `loss` is that of the corrected segmentation, `hard_loss` the same of the corrupted images."""
        self.task.optimiser.zero_grad(set_to_none=True)
        images, target = self._batch(index)
        thought = self._think(images, images, target)
        truth = F.one_hot(target, thought.probabilities.shape[1]).movedim(-1, 1).to(images)
        hard = self._hard_examples(index, thought) if self._makes_hard_examples(index) else None
        losses = {"loss": self._learn(thought, truth, target)}  # here, because it frees the graph: the next pass is another one
        if hard:
            hard_images, hard_segmentation = hard
            losses["hard_loss"] = self._learn(self._think(hard_images, images, target), hard_segmentation, target, self.settings.hard)
        self.task.optimiser.step()
        return losses

    def _makes_hard_examples(self, index: int) -> bool:
        return self.settings.hard > 0 and index >= self.settings.start * self.task.config.steps

    def _batch(self, index: int) -> tuple[Tensor, Tensor]:
        """Real images, and behind them the synthetic ones."""
        config, size = self.task.config, self.task.config.batch_size
        count = min(size - 1, in_step(self.settings.share * size, index))
        parts = [self.task.real_batch(index, size - count, config.supervised.augmentation)]
        if count:
            parts.append(self.task.randomised(index, count))
        images, target = zip(*parts)
        return torch.cat(images), torch.cat(target)

    def _think(self, images: Tensor, clean: Tensor, target: Tensor) -> Thought:
        """The fast network's pass over images, which are `clean` or were once."""
        codes = self.network.encode(images)
        decoupled = self.network.decouple(codes)
        logits = self.network.segment(decoupled)
        reconstruction_loss = F.mse_loss(self.image_decoder(codes[-1]), clean)
        return Thought(codes[-1], decoupled, logits.softmax(1), reconstruction_loss, segmentation_loss(logits, target))

    def _learn(self, thought: Thought, segmentation: Tensor, target: Tensor, weight: float = 1.0) -> float:
        """Adds `weight` times the gradient of the fast network's losses, and of the slow one's on what the fast one says and on a given segmentation.

        Returns the slow network's loss on what the fast one says.
        """
        corrected, also = (segmentation_loss(self.network.correct(probabilities), target) for probabilities in (thought.probabilities, segmentation))
        fast = thought.segmentation_loss + self.settings.reconstruction * thought.reconstruction_loss
        (weight * (fast + corrected + also)).backward()
        return float(corrected.detach())

    def _hard_examples(self, index: int, thought: Thought) -> tuple[Tensor, Tensor]:
        """Images and class probabilities that are decoded from masked codes, as constants: they are examples, not to be made easier."""
        rng = stream(self.task.config.seed, "masks", index)
        (image_code,) = masked([thought.image_code], thought.reconstruction_loss, draw_mask(rng, self.settings.masked))
        segmentation_code = masked(thought.segmentation_code, thought.segmentation_loss, draw_mask(rng, self.settings.masked))
        with torch.no_grad():
            return self.image_decoder(image_code).clamp(0, 1), self.network.segment(segmentation_code).softmax(1)

    def state(self) -> dict[str, Any]:
        return {"image_decoder": self.image_decoder.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.image_decoder.load_state_dict(state["image_decoder"])

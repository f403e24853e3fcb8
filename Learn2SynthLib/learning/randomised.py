"""Randomised: images drawn from a wide prior, no real scan (SynthSeg, Billot et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence

from .data import Example
from .strategy import Strategy


class Randomised(Strategy):
    @property
    def familiar(self) -> Sequence[Example]:
        return ()

    def step(self, index: int) -> dict[str, float]:
        images, target = self.task.randomised(index, self.task.config.batch_size)
        return {"synthetic_loss": self.task.train(images, target)}

"""Randomised: images drawn from a wide prior, no real scan (SynthSeg, Billot et al. 2023)."""

from __future__ import annotations

from .strategy import Strategy


class Randomised(Strategy):
    def step(self, index: int) -> dict[str, float]:
        images, target = self.task.randomised(index, self.task.config.batch_size)
        return {"synthetic_loss": self.task.train(images, target)}

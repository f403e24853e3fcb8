"""Supervised: the annotated real scans alone, the usual way."""

from __future__ import annotations

from .strategy import Strategy


class Supervised(Strategy):
    def step(self, index: int) -> dict[str, float]:
        config = self.task.config
        images, target = self.task.real_batch(index, config.batch_size, config.supervised.augmentation)
        return {"real_loss": self.task.train(images, target)}

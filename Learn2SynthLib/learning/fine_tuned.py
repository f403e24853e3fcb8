"""Fine-tuned: images of random contrast first, then the real scans alone (the usual way to adapt a SynthSeg-like network)."""

from __future__ import annotations

from .strategy import Strategy


class FineTuned(Strategy):
    def step(self, index: int) -> dict[str, float]:
        config, task = self.task.config, self.task
        if index < config.fine_tuned.start * config.steps:
            return {"synthetic_loss": task.train(*task.randomised(index, config.batch_size))}
        return {"real_loss": task.train(*task.real_batch(index, config.batch_size, config.supervised.augmentation))}

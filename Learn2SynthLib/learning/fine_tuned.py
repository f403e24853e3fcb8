"""Fine-tuned: images of random contrast first, then the real scans alone (the usual way to adapt a SynthSeg-like network)."""

from __future__ import annotations

import math

from .strategy import Strategy, Task


class FineTuned(Strategy):
    """Two trainings in one, each with a learning rate of its own: at the end of a single one the scans would hardly be learned."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.phases = (0, math.ceil(task.config.fine_tuned.start * task.config.steps))

    def step(self, index: int) -> dict[str, float]:
        config, task = self.task.config, self.task
        if index < self.phases[1]:
            return {"synthetic_loss": task.train(*task.randomised(index, config.batch_size))}
        return {"real_loss": task.train(*task.real_batch(index, config.batch_size, config.supervised.augmentation))}

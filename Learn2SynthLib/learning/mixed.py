"""Mixed: real images alone first, then real and randomised ones side by side in every batch."""

from __future__ import annotations

import torch

from .strategy import Strategy, in_step


class Mixed(Strategy):
    def step(self, index: int) -> dict[str, float]:
        config, size = self.task.config, self.task.config.batch_size
        begun = index >= config.mixed.synthetic_from * config.steps
        count = in_step(config.mixed.share * size, index) if begun or not config.mixed.share else size
        parts = []
        if count:
            parts.append(self.task.real_batch(index, count, config.supervised.augmentation))
        if count < size:
            parts.append(self.task.randomised(index, size - count))
        images, target = (torch.cat(same) for same in zip(*parts))
        return {"loss": self.task.train(images, target)}

"""Mixed: real and randomised images side by side in every batch."""

from __future__ import annotations

import torch

from .strategy import Strategy


class Mixed(Strategy):
    def step(self, index: int) -> dict[str, float]:
        config = self.task.config
        count = round(config.mixed.share * config.batch_size)
        real = self.task.real_batch(index, count, config.supervised.augmentation)
        synthetic = self.task.randomised(index, config.batch_size - count)
        images, target = (torch.cat(pair) for pair in zip(real, synthetic))
        return {"loss": self.task.train(images, target)}

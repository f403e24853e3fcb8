"""The training loss of segmentation."""

from __future__ import annotations

import torch
from torch import Tensor

_SMOOTH = 1.0  # voxels; bounds the cost of a structure that is missed altogether


def segmentation_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus the mean negative logarithm of soft Dice (Wong et al. 2018, without their exponents).

    The logarithm matters: the gradient of Dice itself shrinks with the probability of a structure, so that small structures,
    once cross-entropy has pushed them down, are found hundreds of steps later or never.

    logits: (B, C, *spatial). target: (B, *spatial) class indices.
    """
    logarithms = logits.log_softmax(1)
    correct = logarithms.gather(1, target.unsqueeze(1)).squeeze(1)
    return log_dice_loss(logarithms.exp(), correct.exp(), target) - correct.mean()


def log_dice_loss(probabilities: Tensor, correct: Tensor, target: Tensor) -> Tensor:
    """Mean of -log(soft Dice) over the structures in the batch, each over the whole batch; background is left out.

    Structures that the batch does not hold are left out too: most slices hold few, and counting the others would teach the
    network to predict none. Cross-entropy sees to those that it invents.

    probabilities: (B, C, *spatial). correct: (B, *spatial), those of the target's classes. target: (B, *spatial) class indices.
    """
    classes = probabilities.shape[1]
    predicted = probabilities.sum((0, *range(2, probabilities.ndim)))
    overlap = torch.zeros_like(predicted).index_add(0, target.flatten(), correct.flatten())
    size = torch.bincount(target.flatten(), minlength=classes)
    present = (size > 0).to(probabilities.dtype)
    present[0] = 0
    scores = (2 * overlap + _SMOOTH) / (predicted + size + _SMOOTH)
    return -(scores.log() * present).sum() / present.sum().clamp(min=1)

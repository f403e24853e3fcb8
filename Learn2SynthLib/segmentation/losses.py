"""The training loss of segmentation."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

_SMOOTH = 1.0  # voxels; bounds the cost of a structure that is missed altogether


def segmentation_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus the mean negative logarithm of soft Dice (Wong et al. 2018, without their exponents).

    The logarithm matters: the gradient of Dice itself shrinks with the probability of a structure, so that small structures,
    once cross-entropy has pushed them down, are found hundreds of steps later or never.

    logits: (B, C, *spatial). target: (B, *spatial) class indices.
    """
    return F.cross_entropy(logits, target) + log_dice_loss(logits, target)


def log_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Mean of -log(soft Dice) over the structures in the batch, each over the whole batch; background is left out.

    Structures that the batch does not hold are left out too: most slices hold few, and counting the others would teach the
    network to predict none. Cross-entropy sees to those that it invents.
    """
    predicted = logits.softmax(1).flatten(2).movedim(1, 0).flatten(1)[1:]  # (C - 1, B * voxels)
    wanted = F.one_hot(target.flatten(1), logits.shape[1]).to(logits.dtype).flatten(0, 1).mT[1:]
    overlap, size = (predicted * wanted).sum(1), wanted.sum(1)
    present = (size > 0).to(logits.dtype)
    scores = (2 * overlap + _SMOOTH) / (predicted.sum(1) + size + _SMOOTH)
    return -(scores.log() * present).sum() / present.sum().clamp(min=1)

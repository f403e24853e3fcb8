"""The training loss of segmentation."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

_SMOOTH = 1.0  # voxels; keeps tiny structures from dominating


def segmentation_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice (Milletari et al. 2016).

    logits: (B, C, *spatial). target: (B, *spatial) class indices.
    """
    return F.cross_entropy(logits, target) + soft_dice_loss(logits, target)


def soft_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 - mean Dice over the structures in the batch, each over the whole batch.

    Classes that the batch does not hold are left out: most slices hold few structures, and counting the others would teach
    the network to predict none. Cross-entropy sees to those that it invents.
    """
    predicted = logits.softmax(1).flatten(2).movedim(1, 0).flatten(1)[1:]  # (C - 1, B * voxels)
    wanted = F.one_hot(target.flatten(1), logits.shape[1]).to(logits.dtype).flatten(0, 1).mT[1:]
    overlap = (predicted * wanted).sum(1)
    size = wanted.sum(1)
    present = (size > 0).to(logits.dtype)
    scores = (2 * overlap + _SMOOTH) / (predicted.sum(1) + size + _SMOOTH)
    return 1 - (scores * present).sum() / present.sum().clamp(min=1)

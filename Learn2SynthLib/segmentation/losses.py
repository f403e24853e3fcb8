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
    return log_dice_loss(logarithms.exp(), target) - logarithms.gather(1, target.unsqueeze(1)).mean()


def log_dice_loss(probabilities: Tensor, target: Tensor) -> Tensor:
    """Mean of -log(soft Dice) over the structures in the batch, each over the whole batch; background is left out.

    Structures that the batch does not hold are left out too: most slices hold few, and counting the others would teach the
    network to predict none. Cross-entropy sees to those that it invents.

    probabilities: (B, C, *spatial). target: (B, *spatial) class indices.
    """
    spatial = range(2, probabilities.ndim)
    classes = torch.arange(probabilities.shape[1], device=target.device).view(-1, *(1 for _ in spatial))
    wanted = target.unsqueeze(1) == classes  # (B, C, *spatial)
    overlap, predicted, size = (values.sum((0, *spatial))[1:] for values in (probabilities * wanted, probabilities, wanted))
    present = (size > 0).to(probabilities.dtype)
    scores = (2 * overlap + _SMOOTH) / (predicted + size + _SMOOTH)
    return -(scores.log() * present).sum() / present.sum().clamp(min=1)

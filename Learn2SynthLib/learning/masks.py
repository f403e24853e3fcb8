"""Masks of latent codes: what a hard example lacks (Chen et al. 2021, latent space data augmentation).

A code is features (B, C, *spatial); one of three kinds of mask takes a part of the channels, or of the places, of each image's code:
    random      channels chosen by chance, all of their content
    channels    those on which the loss depends most, by the mean magnitude of its gradient over the places; an unknown part of them is left
    places      the same of places, by the mean over the channels
What is taken is an exact part, not a probability for each. The rest is not scaled up: the decoders normalise what they read.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LEFT = 0.5  # most that a mask aimed by gradients leaves of what it takes


@dataclass(frozen=True)
class MaskDraw:
    """Every random choice behind the masks of one code.

    part: of the channels or places that is taken. left: what remains of them, 0 to 1. seed: of the channels taken by chance.
    """

    kind: str
    part: float
    left: float
    seed: int


def draw_mask(rng: random.Random, parts: Sequence[float]) -> MaskDraw:
    """One of the kinds, and a part from the range `parts`."""
    kind = rng.choice(tuple(SCORES))
    part, left, seed = rng.uniform(*parts), rng.uniform(0, LEFT), rng.getrandbits(63)
    return MaskDraw(kind, part, 0.0 if kind == "random" else left, seed)


def masked(codes: Sequence[Tensor], loss: Tensor, draw: MaskDraw) -> list[Tensor]:
    """The codes, masked, as constants. `loss` depends on them; its graph is kept."""
    scores = SCORES[draw.kind](codes, loss, draw.seed)
    return [code.detach() * mask(score, draw.part, draw.left) for code, score in zip(codes, scores, strict=True)]


def mask(scores: Tensor, part: float, left: float) -> Tensor:
    """Shaped like `scores` (B, ...): of each image `left` at that part of the entries whose scores are largest, 1 elsewhere."""
    flat = scores.flatten(1)
    largest = flat.topk(round(part * flat.shape[1]), dim=1).indices
    return torch.ones_like(flat).scatter(1, largest, left).view_as(scores)


def _by_chance(codes: Sequence[Tensor], loss: Tensor, seed: int) -> list[Tensor]:
    """(B, C, 1, ...) for each code; drawn on the CPU, so that they are the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand((*code.shape[:2], *[1] * (code.ndim - 2)), generator=generator).to(code) for code in codes]


def _of_channels(codes: Sequence[Tensor], loss: Tensor, seed: int) -> list[Tensor]:
    """(B, C, 1, ...) for each code."""
    return [gradient.abs().mean(tuple(range(2, gradient.ndim)), keepdim=True) for gradient in _gradients(loss, codes)]


def _of_places(codes: Sequence[Tensor], loss: Tensor, seed: int) -> list[Tensor]:
    """(B, 1, *spatial) for each code."""
    return [gradient.abs().mean(1, keepdim=True) for gradient in _gradients(loss, codes)]


def _gradients(loss: Tensor, codes: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, list(codes), retain_graph=True)


SCORES: dict[str, Callable[[Sequence[Tensor], Tensor, int], list[Tensor]]] = {"random": _by_chance, "channels": _of_channels, "places": _of_places}

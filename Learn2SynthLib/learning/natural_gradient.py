"""Adaptive stochastic natural gradient: the best of many combinations of choices, found by comparing two at a time (Akimoto et al. 2019, ASNG).

The unknown best combination is looked for by a distribution: one categorical distribution for each choice, all independent. Its parameters are the
probabilities themselves, for which the natural gradient of the logarithm of a combination's probability is simply one-hot minus probabilities: the inverse
of the Fisher matrix undoes the division by small probabilities. Of two sampled combinations the better one pulls and the worse one pushes by the same amount,
so only their order matters. Steps have equal length in the metric of the Fisher matrix, and that length adapts: it grows while successive steps agree more
than those of a distribution that learns nothing would, and shrinks otherwise. What is compared may therefore be as noisy as it likes; noise costs time.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Vectors = list[Tensor]  # one for each choice, an entry for each of its categories

ALPHA = 1.5  # how much more than in a random walk steps must agree for their length to grow


class CategoricalSearch:
    """A product of categorical distributions that moves towards the better of two samples.

    sizes: number of categories of each choice, 2 or more. radius: length of the first steps in the Fisher metric; a step's relative entropy is half its square.
    probabilities: float64, one vector for each choice; each entry stays at or above `floor` of its choice.
    """

    def __init__(self, sizes: Sequence[int], radius: float = 1.0) -> None:
        self.radius = radius
        self.probabilities: Vectors = [torch.full((size,), 1 / size, dtype=torch.float64) for size in sizes]
        self.path: Vectors = [torch.zeros(size, dtype=torch.float64) for size in sizes]
        self.weight, self.caution = 0.0, 1.0

    def begin(self, probabilities: Vectors) -> None:
        """Starts at these instead of the uniform ones; their floors come out of all of them alike."""
        self.probabilities = [self.floor(len(p)) + (1 - self.floor(len(p)) * len(p)) * p for p in probabilities]

    @property
    def found(self) -> Vectors:
        """The probabilities without their floors, which only keep the search looking: with few choices these are much of the whole."""
        return [(p - self.floor(len(p))) / (1 - self.floor(len(p)) * len(p)) for p in self.probabilities]

    @property
    def step_length(self) -> float:
        """Length of the next step in the Fisher metric."""
        return self.radius / self.caution

    def sample(self, rng: random.Random) -> tuple[int, ...]:
        """One category of each choice."""
        return tuple(rng.choices(range(len(p)), p.tolist())[0] for p in self.probabilities)

    def update(self, better: Sequence[int], worse: Sequence[int]) -> None:
        """Moves the distribution from the worse sample to the better one. Equal samples tell nothing and change nothing."""
        gradient = [(one - other) / 2 for one, other in zip(self.natural_gradient(better), self.natural_gradient(worse))]
        length = fisher_length(gradient, self.probabilities)
        if length > 0:
            direction = [g / length for g in gradient]
            before = self.probabilities
            self.probabilities = [_above(p + self.step_length * d, self.floor(len(p))) for p, d in zip(before, direction)]
            self._adapt([d / p.sqrt() for d, p in zip(direction, before)])

    def natural_gradient(self, sample: Sequence[int]) -> Vectors:
        """Inverse Fisher matrix times the gradient of log p(sample), in the probabilities."""
        return [_one_hot(category, len(p)) - p for category, p in zip(sample, self.probabilities)]

    def floor(self, size: int) -> float:
        """Least probability of a category of a choice of that size: a whole sample then leaves its most probable categories less than once on average."""
        return 1 / (size * (len(self.probabilities) + 1))

    def _adapt(self, direction: Vectors) -> None:
        """Accumulates steps and compares the length of what has gathered with that of a random walk.

        direction: a step of length 1, as the square root of the Fisher matrix maps it to Euclidean space. Of the many roots this is the one in which
        distributions are points on spheres (the square roots of the probabilities).
        """
        freedom = sum(len(p) - 1 for p in self.probabilities)
        rate = min(1.0, self.step_length / math.sqrt(freedom))
        gain = rate * (2 - rate)
        self.path = [(1 - rate) * s + math.sqrt(gain) * d for s, d in zip(self.path, direction)]
        self.weight = (1 - rate) ** 2 * self.weight + gain
        gathered = float(sum(s.square().sum() for s in self.path))
        self.caution = max(1.0, self.caution * math.exp(rate * (self.weight - gathered / ALPHA)))

    def state(self) -> dict[str, Any]:
        """All that changes, as plain numbers: no device rounds them."""
        vectors = {"probabilities": self.probabilities, "path": self.path}
        return {name: [v.tolist() for v in each] for name, each in vectors.items()} | {"weight": self.weight, "caution": self.caution}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.probabilities, self.path = ([torch.tensor(v, dtype=torch.float64) for v in state[name]] for name in ("probabilities", "path"))
        self.weight, self.caution = state["weight"], state["caution"]


def fisher_length(vectors: Vectors, probabilities: Vectors) -> float:
    """Length of a change of the probabilities (each vector sums to 0) in the metric of their Fisher matrix: the root of the sum of v^2 / p."""
    return math.sqrt(sum(float((v.square() / p).sum()) for v, p in zip(vectors, probabilities)))


def _one_hot(category: int, size: int) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor(category), size).double()


def _above(probabilities: Tensor, floor: float) -> Tensor:
    """Probabilities of sum 1, none below `floor`; what raising the low ones costs is taken from what the others have above it."""
    raised = probabilities.clamp(min=floor)
    above = raised - floor
    return floor + above * (1 - floor * len(raised)) / above.sum()

"""A distribution of policies that comparisons move: what the strategies that search for policies have in common (Xu, Li and Zhu 2020).

Steps draw their images by a policy sampled from a product of categorical distributions. In some steps two policies take the same step from the same weights,
on the same windows and by the same random numbers, so that nothing but the policies tells their results apart; the loss of either network on scans that it
does not train on, the same windows for both, ranks them, and the distribution moves towards the better one. The second step is kept whichever is better: the
scans choose policies, never weights.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..config import RunConfig, SynthesisConfig
from ..randomness import stream
from ..segmentation.losses import segmentation_loss
from ..volume.intensity import normalise
from .data import Cutting, Example
from .natural_gradient import CategoricalSearch
from .policy import PolicySpace, as_settings
from .strategy import Task

Losses = dict[str, float]
Train = Callable[[], Losses]  # one step of the network; what is random in it is the same whenever it is called


class PolicyDistribution:
    """What learned draws are drawn by: in a step a sampled policy, between steps, for previews, validations and models, the expected one.

    parameters: the settings that are searched. scans: what scores policies. about: the settings at which the search begins; without them it begins uniform.
    """

    def __init__(self, task: Task, parameters: Collection[str], scans: Sequence[Example], about: SynthesisConfig | None = None) -> None:
        self.task, self.scans = task, scans
        self.space = PolicySpace.of(parameters)
        self.search = CategoricalSearch(self.space.sizes)
        if about is not None:
            self.search.begin(self.space.about(about))
        self.prior = self.expected()
        self._adopt_expected()

    def expected(self) -> dict[str, float]:
        """Mean value of each choice, by name."""
        return self.space.expected(self.search.found)

    def step(self, index: int, train: Train, compares: bool) -> Losses:
        """A step by a sampled policy, or, if it `compares`, by the second of two that are tried."""
        losses = self._compare(index, train) if compares else self._by(self._sampled(index, 0), train)
        self._adopt_expected()
        return losses

    def _compare(self, index: int, train: Train) -> Losses:
        """Tries two policies from the same weights and moves the distribution towards the better one."""
        policies = [self._sampled(index, k) for k in range(2)]
        scans = self._scored_batch(index)
        before = copy.deepcopy((self.task.network.state_dict(), self.task.optimiser.state_dict()))
        self._by(policies[0], train)
        first = self._score(*scans)
        self.task.network.load_state_dict(before[0])
        self.task.optimiser.load_state_dict(before[1])
        losses = self._by(policies[1], train)
        second = self._score(*scans)
        if first != second:
            better, worse = policies if first < second else policies[::-1]
            self.search.update(better, worse)
        return losses | {"scored_loss": second}

    def _sampled(self, index: int, number: int) -> tuple[int, ...]:
        """The policy, of two that a step may need, by the category of each choice."""
        return self.search.sample(stream(self.task.config.seed, "policy", 2 * index + number))

    def _by(self, policy: Sequence[int], train: Train) -> Losses:
        """One step of the network whose learned draws follow a policy."""
        self.task.synthesizer.ranges.adopt(self.space.policy(policy))
        return train()

    def _scored_batch(self, index: int) -> tuple[Tensor, Tensor]:
        """Windows of the scans that score, as they are."""
        config, shape = self.task.config, self.task.synthesizer.window.shape
        cutting = Cutting(shape, shape)
        rngs = [stream(config.seed, "scored", index * config.batch_size + k) for k in range(config.batch_size)]
        images, target = cutting.real(self.scans, [cutting.place(self.scans, rng) for rng in rngs], self.task.device)
        return normalise(images[:, None]), target.long()

    @torch.no_grad()
    def _score(self, images: Tensor, target: Tensor) -> float:
        return float(segmentation_loss(self.task.network(images), target))

    def _adopt_expected(self) -> None:
        self.task.synthesizer.ranges.adopt(as_settings(self.expected()))

    def state(self) -> dict[str, Any]:
        """All that changes."""
        return self.search.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.search.load_state(state)
        self._adopt_expected()


def is_due(config: RunConfig, index: int) -> bool:
    """Whether policies are compared in step `index`, by the times of `policy_search`."""
    settings = config.policy_search
    done = (index / config.steps - settings.start) / settings.duration
    return 0 <= done < 1 and index % settings.every == 0

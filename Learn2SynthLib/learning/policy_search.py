"""Policy search: how strongly and how often images are deformed and corrupted is chosen by scans held apart (Xu, Li and Zhu 2020).

Every step draws its images by a policy sampled from a product of categorical distributions. In some steps two policies take the same step from the same
weights, on the same windows and by the same random numbers, so that nothing but the policies tells their results apart; the loss of either network on scans
held apart, the same windows for both, ranks them, and the distribution moves towards the better one. The second step is kept whichever is better: the scans
choose policies, never weights.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..config import RunConfig
from ..errors import InputError
from ..randomness import stream
from ..segmentation.losses import segmentation_loss
from ..volume.intensity import normalise
from .data import Cutting, Example
from .natural_gradient import CategoricalSearch
from .policy import PolicySpace
from .strategy import Strategy, Task

REAL, SYNTHETIC = "real", "synthetic"
_PLAIN = {REAL: "supervised", SYNTHETIC: "randomised"}  # the strategy that trains by the settings of a policy


class PolicySearch(Strategy):
    def __init__(self, task: Task) -> None:
        self.settings = task.config.policy_search
        trained, self.scored = _parted(task.config, task.real)
        super().__init__(replace(task, real=trained))
        self.space = PolicySpace.of(task.config)
        self.search = CategoricalSearch(self.space.sizes)
        self._adopt_expected()

    @classmethod
    def check(cls, config: RunConfig, scans: int, label_maps: bool) -> None:
        """Also when there is nothing to search."""
        if config.policy_search.images == REAL and scans < 2:
            found = f"{scans} annotated real scan to train on and to score policies by"
            raise InputError("strategy 'policy_search'", found, "2 or more", "add --real, or set policy_search.images=synthetic")
        if config.policy_search.images == SYNTHETIC and not label_maps:
            raise InputError("strategy 'policy_search'", "no label maps given", remedy="add --labels PATH, or set policy_search.images=real")
        PolicySpace.of(config)

    def step(self, index: int) -> dict[str, float]:
        losses = self._compare(index) if self._compares(index) else self._train(index, self._sampled(index, 0))
        self._adopt_expected()
        return losses

    def _compares(self, index: int) -> bool:
        done = (index / self.task.config.steps - self.settings.start) / self.settings.duration
        return 0 <= done < 1 and index % self.settings.every == 0

    def _compare(self, index: int) -> dict[str, float]:
        """Tries two policies from the same weights and moves the distribution towards the better one."""
        policies = [self._sampled(index, k) for k in range(2)]
        scans = self._scored_batch(index)
        before = copy.deepcopy((self.task.network.state_dict(), self.task.optimiser.state_dict()))
        self._train(index, policies[0])
        first = self._score(*scans)
        self.task.network.load_state_dict(before[0])
        self.task.optimiser.load_state_dict(before[1])
        losses = self._train(index, policies[1])
        second = self._score(*scans)
        if first != second:
            better, worse = policies if first < second else policies[::-1]
            self.search.update(better, worse)
        return losses | {"scored_loss": second}

    def _sampled(self, index: int, number: int) -> tuple[int, ...]:
        """The policy, of two that a step may need, by the category of each choice."""
        return self.search.sample(stream(self.task.config.seed, "policy", 2 * index + number))

    def _train(self, index: int, policy: Sequence[int]) -> dict[str, float]:
        """One step of the network on images drawn by a policy; what else is random depends on the index alone."""
        task, size = self.task, self.task.config.batch_size
        task.synthesizer.adopt(self.space.policy(policy))
        if self.settings.images == REAL:
            return {"real_loss": task.train(*task.real_batch(index, size, acquire=True, learned=True))}
        with torch.no_grad():
            images, target = task.synthesizer.render(*task.synthetic(index, [True] * size))
        return {"synthetic_loss": task.train(images, target)}

    def _scored_batch(self, index: int) -> tuple[Tensor, Tensor]:
        """Windows of the scans held apart, as they are."""
        config, shape = self.task.config, self.task.synthesizer.window.shape
        cutting = Cutting(shape, shape)
        rngs = [stream(config.seed, "scored", index * config.batch_size + k) for k in range(config.batch_size)]
        images, target = cutting.real(self.scored, [cutting.place(self.scored, rng) for rng in rngs], self.task.device)
        return normalise(images[:, None]), target.long()

    @torch.no_grad()
    def _score(self, images: Tensor, target: Tensor) -> float:
        return float(segmentation_loss(self.task.network(images), target))

    def _adopt_expected(self) -> None:
        """Between steps the synthesizer's learned draws follow the expected policy: what previews show and models keep."""
        self.task.synthesizer.adopt(replace(self.space.settings, **self.space.changes(self.learned())))

    def learned(self) -> dict[str, float]:
        return self.space.expected(self.search.probabilities)

    def prior(self) -> dict[str, float]:
        return self.space.expected(CategoricalSearch(self.space.sizes).probabilities)

    def preset(self) -> dict[str, Any]:
        return {"strategy": _PLAIN[self.settings.images], "synthesis": self.space.changes(self.learned())}

    def synthesis_state(self) -> dict[str, Tensor]:
        return self.task.synthesizer.state_dict()

    def state(self) -> dict[str, Any]:
        return {"search": self.search.state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.search.load_state(state["search"])
        self._adopt_expected()


def _parted(config: RunConfig, real: Sequence[Example]) -> tuple[Sequence[Example], Sequence[Example]]:
    """Scans to train on, and scans to score policies by: parts of them for real images; for synthetic ones nobody trains on any."""
    if config.policy_search.images == SYNTHETIC:
        return real, real
    held = min(len(real) - 1, max(1, round(config.policy_search.share * len(real))))
    return real[:-held], real[-held:]

"""Policy search: how strongly and how often images are deformed and corrupted is chosen by scans held apart (Xu, Li and Zhu 2020).

Every step draws its images by a sampled policy; `policy_distribution` has what is sampled, compared and learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from ..config import RunConfig
from ..errors import InputError
from ..volume.cohort import by_person
from .data import Example
from .policy import OF_LABEL_MAPS, as_settings
from .policy_distribution import PolicyDistribution, is_due
from .strategy import Strategy, Task

REAL, SYNTHETIC = "real", "synthetic"
_PLAIN = {REAL: "supervised", SYNTHETIC: "randomised"}  # the strategy that trains by the settings of a policy


class PolicySearch(Strategy):
    def __init__(self, task: Task) -> None:
        self.settings = task.config.policy_search
        trained, scored = _parted(task.config, task.real)
        super().__init__(replace(task, real=trained))
        self.policies = PolicyDistribution(self.task, _searched(task.config), scored)

    @classmethod
    def check(cls, config: RunConfig, scans: int, label_maps: bool) -> None:
        """Also when there is nothing to search."""
        if config.policy_search.images == REAL and scans < 2:
            found = f"{scans} annotated real scan to train on and to score policies by"
            raise InputError("strategy 'policy_search'", found, "2 or more", "add --real, or set policy_search.images=synthetic")
        if config.policy_search.images == SYNTHETIC and not label_maps:
            raise InputError("strategy 'policy_search'", "no label maps given", remedy="add --labels PATH, or set policy_search.images=real")
        _searched(config)

    @property
    def familiar(self) -> Sequence[Example]:
        return self.task.real if self.settings.images == REAL else ()

    def step(self, index: int) -> dict[str, float]:
        return self.policies.step(index, lambda: self._train(index), is_due(self.task.config, index))

    def _train(self, index: int) -> dict[str, float]:
        """One step of the network on images of learned draws; what is random depends on the index alone."""
        task, size = self.task, self.task.config.batch_size
        if self.settings.images == REAL:
            return {"real_loss": task.train(*task.real_batch(index, size, acquire=True, learned=True))}
        with torch.no_grad():
            images, target = task.synthesizer.render(*task.synthetic(index, [True] * size))
        return {"synthetic_loss": task.train(images, target)}

    def learned(self) -> dict[str, float]:
        return self.policies.expected()

    def prior(self) -> dict[str, float]:
        return self.policies.prior

    def preset(self) -> dict[str, Any]:
        return {"strategy": _PLAIN[self.settings.images], "synthesis": as_settings(self.learned())}

    def synthesis_state(self) -> dict[str, Tensor]:
        return self.task.synthesizer.state_dict()

    def state(self) -> dict[str, Any]:
        return {"search": self.policies.state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.policies.load_state(state["search"])


def _searched(config: RunConfig) -> list[str]:
    """The settings that are searched: of real images those that change them. Raises InputError when there is none."""
    settings = config.policy_search
    searched = [name for name in settings.search if settings.images == SYNTHETIC or name not in OF_LABEL_MAPS]
    if not searched:
        found, allowed = f"{', '.join(settings.search)} of real images", "something that changes real images too"
        raise InputError("policy_search.search", found, allowed, "add to it, or set policy_search.images=synthetic")
    return searched


def _parted(config: RunConfig, real: Sequence[Example]) -> tuple[Sequence[Example], Sequence[Example]]:
    """Scans to train on, and scans to score policies by: of other people for real images, if there are several; for synthetic ones nobody trains on any."""
    if config.policy_search.images == SYNTHETIC:
        return real, real
    people = by_person(real)
    parts = people if len(people) > 1 else [[scan] for scan in real]
    held = min(len(parts) - 1, max(1, round(config.policy_search.share * len(parts))))
    return [*chain(*parts[:-held])], [*chain(*parts[-held:])]

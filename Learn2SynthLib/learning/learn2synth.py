"""Learn2Synth: the synthesis learns from real scans, the network from the synthesis (Hu et al. 2025).

The network begins on images of the learned synthesis alone, from which it learns anatomy fastest. Then part of each batch is drawn from the wide prior,
so that it becomes useful on other contrasts; only the rest carries the hypergradient. What no gradient reaches can be searched along with it: steps that do
not teach then draw that rest by sampled policies, and some of them compare two on the scans. Steps that teach draw it by the expected policy:
hypergradients are noisy enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from ..config import MEASURED, PRIOR, RunConfig
from ..errors import InputError
from ..segmentation.losses import segmentation_loss
from .bundle import take_synthesis
from .hypergradient import METHODS, Weights, through_update
from .measuring import begin_at_measured
from .policy_distribution import PolicyDistribution, is_due
from .strategy import LearnedParts, Strategy, Task, in_step


@dataclass(frozen=True)
class Batch:
    """Images of one step: from the learned ranges (`images`, with their graph) and wide ones (`wide`), either may be none; targets of both, in this order."""

    images: Tensor
    wide: Tensor
    target: Tensor

    def joined(self, images: Tensor) -> Tensor:
        """The whole batch, with these in the place of the learned images."""
        return torch.cat([images, self.wide])


class Lessons:
    """The running mean of the lessons v; `memory` is the weight of what was before, 0: the last one alone.

    A hypergradient is a product of v and of how the synthetic images change the network's step, both seen through few images. The mean of n products of noisy
    factors is as noisy as one over the root of n; where the lessons are averaged before, and the products by the synthesis's optimiser, it falls with n.
    """

    def __init__(self, memory: float) -> None:
        self.memory, self.count = memory, 0
        self.total: Weights = {}

    def mean_with(self, v: Weights) -> Weights:
        """The mean of v and the lessons before; every call is a lesson."""
        self.count += 1
        self.total = {name: torch.lerp(new, self.total.get(name, torch.zeros_like(new)), self.memory) for name, new in v.items()}
        return {name: total / (1 - self.memory**self.count) for name, total in self.total.items()}


class Learn2Synth(Strategy):
    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.settings = task.config.learn2synth
        _begin(task)
        self.policies = _policies(task)
        self.lessons = Lessons(self.settings.memory)
        self.teacher = _teacher(task)
        self.rates = [group["lr"] for group in self.teacher.param_groups]

    @classmethod
    def check(cls, config: RunConfig, scans: int, label_maps: bool) -> None:
        """When every step in which policies would be compared teaches the synthesis."""
        if config.learn2synth.search and not any(_compares(config, index) for index in range(config.steps)):
            found = f"nothing can be searched in {config.steps} steps, learn2synth.every {config.learn2synth.every}"
            raise InputError("learn2synth.search", found, remedy="set learn2synth.every=2, learn2synth.duration lower, or more steps")

    @classmethod
    def learns(cls, config: RunConfig) -> LearnedParts:
        settings = config.learn2synth
        return LearnedParts(settings.by_gradient, settings.fixed, () if settings.enhancement == "parametric" else settings.network_features)

    def step(self, index: int) -> dict[str, float]:
        if _teaches(self.task.config, index):
            return self._teach(index, self._batch(index, teach=True))
        if self.policies is None:
            return self._train(index)
        return self.policies.step(index, lambda: self._train(index), _compares(self.task.config, index))

    def _train(self, index: int) -> dict[str, float]:
        """One step of the network alone; what is random depends on the index alone."""
        batch = self._batch(index, teach=False)
        return {"synthetic_loss": self.task.train(batch.joined(batch.images), batch.target)}

    def _teach(self, index: int, batch: Batch) -> dict[str, float]:
        """One step of the network, then one of the synthesis by the loss of the stepped network on real scans."""
        weights, network = self._weights(), self.task.network

        def loss(w: Weights, images: Tensor) -> Tensor:
            return segmentation_loss(functional_call(network, w, batch.joined(images)), batch.target)

        learned = METHODS[self.settings.hypergradient](loss, weights, batch.images.detach(), self.settings.epsilon)
        self._update(learned.gradient)
        real_loss, v = self._lesson(index)
        self._update_synthesis(batch.images, learned.pullback(through_update(self.task.optimiser, learned.gradient, v)), _taught(self.task.config, index))
        return {"synthetic_loss": float(learned.loss), "real_loss": real_loss}

    def _batch(self, index: int, teach: bool) -> Batch:
        size = self.task.config.batch_size
        widens = _is_wide(self.task.config, index)
        count = self.settings.share * size if widens else 0.0
        wide = min(size - 1 if teach else size, in_step(count, index))  # a lesson needs learned images
        any_contrast = min(wide, in_step(self.settings.any_contrast * count, index))
        any_scanner = min(size - wide, in_step(self.settings.any_scanner * (size - count), index)) if widens and not teach else 0
        parts = ["contrast"] * any_contrast + [""] * (size - any_contrast - any_scanner) + ["scanner"] * any_scanner
        maps, draws = self.task.synthetic(index, [not any_contrast <= k < wide for k in range(size)], wide=parts)
        with torch.set_grad_enabled(teach):
            images, target = self.task.synthesizer.render(maps[wide:], draws[wide:])
        with torch.no_grad():
            wide_images, wide_target = self.task.synthesizer.render(maps[:wide], draws[:wide])
        return Batch(images, wide_images, torch.cat([target, wide_target]))

    def _weights(self) -> Weights:
        """A copy: the optimiser changes the weights in place while the pullback still needs them as they were."""
        return {name: weight.detach().clone() for name, weight in self.task.network.named_parameters()}

    def _update(self, gradient: Weights) -> None:
        for name, weight in self.task.network.named_parameters():
            weight.grad = gradient[name]
        self.task.optimiser.step()

    def _lesson(self, index: int) -> tuple[float, Weights]:
        """Loss of the stepped network on real scans, and the gradient that the synthesis is to serve; it never reaches the network's optimiser.

        That of the loss itself (Hu et al. 2025), or its difference to that on the scans' synthetic counterparts, which vanishes once they are alike. Scans
        that are annotated in part have none.
        """
        size = self.task.config.batch_size
        loss, v = self._gradient(*self.task.lesson(index, size))
        if self.settings.objective == "matching" and self.task.whole:
            _, own = self._gradient(*self.task.counterparts(index, size))
            v = {name: value - own[name] for name, value in v.items()}
        return loss, self.lessons.mean_with(v)

    def _gradient(self, images: Tensor, target: Tensor) -> tuple[float, Weights]:
        loss = segmentation_loss(self.task.network(images), target)
        weights = dict(self.task.network.named_parameters())
        return float(loss.detach()), dict(zip(weights, torch.autograd.grad(loss, list(weights.values()))))

    def _update_synthesis(self, images: Tensor, cotangent: Tensor, taught: float) -> None:
        self.teacher.zero_grad(set_to_none=True)
        images.backward(cotangent)
        for group, rate in zip(self.teacher.param_groups, self.rates):
            group["lr"] = rate * (1 - taught)
        self.teacher.step()
        self.task.synthesizer.ranges.project()

    def learned(self) -> dict[str, float]:
        return self.task.synthesizer.ranges.summary()

    def prior(self) -> dict[str, float]:
        return self.task.synthesizer.ranges.prior_summary()

    def synthesis_state(self) -> dict[str, Tensor]:
        return self.task.synthesizer.state_dict()

    def state(self) -> dict[str, Any]:
        lessons = {"count": self.lessons.count, "total": self.lessons.total}
        searched = {"policies": self.policies.state()} if self.policies else {}
        return {"synthesizer": self.synthesis_state(), "teacher": self.teacher.state_dict(), "lessons": lessons} | searched

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.task.synthesizer.load_state_dict(state["synthesizer"])
        self.teacher.load_state_dict(state["teacher"])
        self.lessons.count, self.lessons.total = state["lessons"]["count"], dict(state["lessons"]["total"])
        if self.policies:
            self.policies.load_state(state["policies"])


def _taught(config: RunConfig, index: int) -> float:
    """Part of the synthesis's learning that is done at step `index`: below 0 before it begins, from 1 on when it is over."""
    return (index / config.steps - config.learn2synth.start) / config.learn2synth.duration


def _is_wide(config: RunConfig, index: int) -> bool:
    return index >= config.learn2synth.wide_from * config.steps


def _teaches(config: RunConfig, index: int) -> bool:
    return config.learn2synth.lr > 0 and 0 <= _taught(config, index) < 1 and index % config.learn2synth.every == 0


def _compares(config: RunConfig, index: int) -> bool:
    """Never in a step that teaches, and, because that is the first of each few, in the last of each few."""
    return is_due(config, index + 1) and not _teaches(config, index)


def _begin(task: Task) -> None:
    """Puts the synthesis where its learning begins."""
    begin = task.config.learn2synth.begin
    if begin == MEASURED:
        begin_at_measured(task.synthesizer.ranges, task.real, task.config.synthesis)
    elif begin != PRIOR:
        take_synthesis(task.synthesizer, begin)


def _policies(task: Task) -> PolicyDistribution | None:
    """What is searched, from where the synthesis begins on."""
    search = task.config.learn2synth.search
    return PolicyDistribution(task, search, task.real, task.synthesizer.ranges.taught) if search else None


def _teacher(task: Task) -> torch.optim.Optimizer:
    """The optimiser of the synthesis: its ranges and its enhancement network, each at its own rate."""
    settings, synthesizer = task.config.learn2synth, task.synthesizer
    groups: list[dict[str, Any]] = [{"params": list(synthesizer.ranges.parameters()), "lr": settings.lr}]
    if synthesizer.enhancement is not None:
        groups.append({"params": list(synthesizer.enhancement.parameters()), "lr": settings.network_lr})
    return torch.optim.Adam([group for group in groups if group["params"]], betas=(0.9, 0.99))

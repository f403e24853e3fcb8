"""Ranges: the prior of every learnable synthesis parameter, and what learning made of it.

A parameter is drawn uniformly between a low and a high end. The ends are what is learned, measured in the width of the
parameter's bounds so that one learning rate suits all of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..config import LEARNABLE, MEASURABLE, SynthesisConfig
from .classes import TissueClasses
from .contrast import read_contrast


class Ranges(nn.Module):
    """Prior and learned ends of each learnable parameter, and what else learned draws are drawn by.

    learn: names whose ends are trained (Hu et al. 2025, section 3.2); the others stay at their prior. fixed: names that are
    learned as one value. Learned ends live in [0, 1], the bounds of the parameter. chances: the probabilities of learned draws, in the order of
    MEASURABLE. adopted: settings of SynthesisConfig, by name, that learned draws have in place of all these.
    """

    def __init__(self, config: SynthesisConfig, classes: TissueClasses, learn: Sequence[str] = (), fixed: Sequence[str] = ()) -> None:
        super().__init__()
        self.config, self.classes = config, classes
        self.entries = _entries(config, classes)
        self.bounds = {f.name: (f.metadata["low"], f.metadata["high"]) for f in dataclasses.fields(config) if f.name in LEARNABLE}
        self.prior = {name: self._of_each(name, getattr(config, name)) for name in LEARNABLE}
        self._specialise(config.contrast)
        self.fixed = frozenset(fixed)
        self.adopted: dict[str, Any] = {}
        self.chances: Tensor
        self.register_buffer("chances", torch.tensor([getattr(config, name) for name in MEASURABLE]))
        self.ends = nn.ParameterDict()
        for name in LEARNABLE:
            if name in learn:
                self.ends[name] = nn.Parameter(self._within_bounds(name, self.prior[name]).float())

    def _specialise(self, contrast: str) -> None:
        """Means and spreads that a table of contrast gives take the place of the prior for all contrasts."""
        for name, rows in read_contrast(contrast).items():
            for tissue, interval in rows.items():
                if tissue in self.classes.names:
                    self.prior[name][:, self.classes.names.index(tissue)] = torch.tensor(interval, dtype=torch.float64)

    def _of_each(self, name: str, interval: Sequence[float]) -> Tensor:
        """An interval as the low and high ends of each number of a parameter: (2, n)."""
        return torch.tensor(interval, dtype=torch.float64)[:, None].repeat(1, len(self.entries[name]))

    def _within_bounds(self, name: str, ends: Tensor) -> Tensor:
        """Low and high ends (2, n), in the parameter's unit, as they are learned: (2, n) from 0 to 1; (1, n) when one value is learned."""
        low, high = self.bounds[name]
        part = ((ends - low) / (high - low)).clamp(0, 1)
        return part.mean(0, keepdim=True) if name in self.fixed else part

    @torch.no_grad()
    def begin(self, name: str, ends: Tensor) -> None:
        """Starts the learning of `name` at low and high ends (2, n) in its unit; where they are nan it stays where it is."""
        if name in self.ends:
            here = self.ends[name]
            there = self._within_bounds(name, ends).to(here)
            here.copy_(torch.where(there.isnan(), here, there))

    def adopt(self, settings: Mapping[str, Any]) -> None:
        """Gives learned draws these settings, by the names of SynthesisConfig; what has been adopted before and is not among them stays.

        Nothing whose ends are learned: those are theirs already.
        """
        assert not settings.keys() & self.ends.keys()
        self.adopted |= settings

    @property
    def taught(self) -> SynthesisConfig:
        """What learned draws are drawn by, but for the learned ends: the prior with its chances as measured and what has been adopted."""
        return dataclasses.replace(self.config, **dict(zip(MEASURABLE, self.chances.tolist())) | self.adopted)

    def value(self, name: str, positions: Tensor, learned: Tensor) -> Tensor:
        """Values (B, n), in the parameter's unit, at `positions` (B, n) from 0 to 1; `learned` (B,) chooses the range."""
        prior = _between(self.prior[name], positions)
        if name in self.ends:
            bottom, top = self.bounds[name]
            ends = self.ends[name].to(positions.dtype)
            taught = bottom + (top - bottom) * torch.lerp(ends[:1], ends[-1:], positions)
        elif name in self.adopted:
            taught = _between(self._of_each(name, self.adopted[name]), positions)
        else:
            return prior
        return torch.where(learned[:, None], taught, prior)

    @torch.no_grad()
    def project(self) -> None:
        """Brings the ends back into their bounds and order after an update."""
        for ends in self.ends.values():
            ends.clamp_(0, 1)
            middle = ends.mean(0, keepdim=True)
            crossed = ends[:1] > ends[-1:]
            ends.copy_(torch.where(crossed, middle, ends))

    def summary(self) -> dict[str, float]:
        """Learned ends by readable name, in their units: `noise.low`, `contrast_mean.thalamus.high`; one value: `noise`. And what has been adopted."""
        report = {}
        for name, ends in self.ends.items():
            bottom, top = self.bounds[name]
            rows = (bottom + (top - bottom) * ends.detach().cpu().double()).tolist()  # on the CPU: Apple's GPU has no doubles
            for suffix, row in zip(("",) if len(rows) == 1 else (".low", ".high"), rows):
                for entry, value in zip(self.entries[name], row):
                    report[f"{name}{entry}{suffix}"] = value
        return report | _told(self.adopted)

    def prior_summary(self) -> dict[str, float]:
        """The prior of each entry of `summary`, under the same name."""
        report: dict[str, float] = {}
        for name in self.ends:
            for entry, low, high in zip(self.entries[name], *self.prior[name].tolist()):
                ends = {"": (low + high) / 2} if name in self.fixed else {".low": low, ".high": high}
                report |= {f"{name}{entry}{suffix}": end for suffix, end in ends.items()}
        return report | _told({name: getattr(self.config, name) for name in self.adopted})


def _between(ends: Tensor, positions: Tensor) -> Tensor:
    """Values (B, n) at positions (B, n) from 0 to 1 between low and high ends (2, n)."""
    low, high = ends.to(positions)
    return low + (high - low) * positions


def _told(settings: Mapping[str, Any]) -> dict[str, float]:
    """Settings as numbers by readable name: `flip`, and of an interval `scaling.low` and `scaling.high`."""
    told: dict[str, float] = {}
    for name, value in settings.items():
        told |= {f"{name}.low": value[0], f"{name}.high": value[1]} if isinstance(value, tuple) else {name: value}
    return told


def _entries(config: SynthesisConfig, classes: TissueClasses) -> dict[str, list[str]]:
    """What each number of a parameter is about, as the ending of its name."""
    per_class = [f".{name}" for name in classes.names]
    per_scale = [f".{scale:g}mm" for scale in config.bias_spacing_mm]
    return {name: per_class if name.startswith("contrast") else per_scale if name == "bias" else [""] for name in LEARNABLE}

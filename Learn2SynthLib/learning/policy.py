"""Policies: which settings of the synthesis are searched, in which values, and where a search begins.

A policy chooses one value for each end of an interval, each probability and each other number. Scaling, the probabilities and (by its logarithm) gamma span
what they do in Xu et al. 2020; the rest has values about the defaults of SynthesisConfig: rotation and warp, which the paper measures otherwise, and what it
does not search (flips, cropping, noise, bias field, resolution, removed tissue). A lower end never passes its upper end, so every combination is a policy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..config import SynthesisConfig

VALUES = 11  # of each choice, as in the paper
OF_LABEL_MAPS = ("dark_background", "skull_strip")  # what a real image cannot be rendered with
AWAY = 0.1  # part of a choice's span that a search begins away from its ends: at an end it would try nothing else


@dataclass(frozen=True)
class Choice:
    """One choice of a policy. parameter: a field of SynthesisConfig. end: `low` or `high` of its interval, or empty where it is one number."""

    parameter: str
    end: str
    values: tuple[float, ...]

    @property
    def name(self) -> str:
        """`scaling.low`, `flip`: as the learned synthesis is told everywhere."""
        return f"{self.parameter}.{self.end}" if self.end else self.parameter

    def part(self, settings: SynthesisConfig) -> float:
        """Where these settings lie in the span of the values: 0 lowest, 1 highest, below and above outside."""
        value = getattr(settings, self.parameter)
        number = value[self.end == "high"] if self.end else value
        return (number - self.values[0]) / (self.values[-1] - self.values[0])


def _number(parameter: str, least: float, most: float) -> Choice:
    return Choice(parameter, "", _spread(least, most))


def _interval(parameter: str, least: float, middle: float, most: float) -> tuple[Choice, Choice]:
    """The low end from `least` to `middle`, the high end from there to `most`."""
    return Choice(parameter, "low", _spread(least, middle)), Choice(parameter, "high", _spread(middle, most))


def _spread(least: float, most: float) -> tuple[float, ...]:
    """Evenly spread values, ends included."""
    return tuple(round(least + (most - least) * k / (VALUES - 1), 6) for k in range(VALUES))


CHOICES = (
    *_interval("rotation_degrees", -30, 0, 30),
    _number("rotation_chance", 0, 1),
    *_interval("scaling", 0.5, 1, 1.5),
    _number("scaling_chance", 0, 1),
    *_interval("warp_mm", 0, 2, 6),
    _number("warp_spacing_mm", 10, 30),
    _number("warp_chance", 0, 1),
    *_interval("gamma", -0.7, 0, 0.4),  # exponents from 0.5 to 1 and from 1 to 1.5
    _number("gamma_chance", 0, 1),
    _number("flip", 0, 1),
    _number("crop", 0, 0.5),
    *_interval("noise", 0, 0.04, 0.14),
    *_interval("bias", 0, 0.15, 0.6),
    *_interval("blur_mm", 0, 1.5, 6),
    _number("thick_slices", 0, 1),
    *_interval("slice_thickness_mm", 2, 4, 9),
    _number("dark_background", 0, 1),
    _number("skull_strip", 0, 1),
)


@dataclass(frozen=True)
class PolicySpace:
    """The choices of a search."""

    choices: tuple[Choice, ...]

    @classmethod
    def of(cls, parameters: Collection[str]) -> PolicySpace:
        """All choices of these settings."""
        return cls(tuple(choice for choice in CHOICES if choice.parameter in parameters))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of each choice."""
        return tuple(len(choice.values) for choice in self.choices)

    def policy(self, categories: Sequence[int]) -> dict[str, Any]:
        """Fields of SynthesisConfig with the value of each category."""
        return as_settings({choice.name: choice.values[k] for choice, k in zip(self.choices, categories, strict=True)})

    def expected(self, probabilities: Sequence[Tensor]) -> dict[str, float]:
        """Mean value of each choice, by name. Values are ordered, so the mean of a policy is one too; for probabilities it says exactly how often."""
        return {c.name: float(p @ p.new_tensor(c.values)) for c, p in zip(self.choices, probabilities, strict=True)}

    def about(self, settings: SynthesisConfig) -> list[Tensor]:
        """Probabilities whose expected policy is these settings, or, near the ends of a choice's span and beyond, the nearest that is not."""
        return [_most_open(len(choice.values), min(max(choice.part(settings), AWAY), 1 - AWAY)) for choice in self.choices]


def as_settings(values: Mapping[str, float]) -> dict[str, Any]:
    """Fields of SynthesisConfig, of values by the names of choices; other names are left out."""
    ends: dict[str, list[float]] = {}
    for choice in CHOICES:  # the low end stands before the high one
        if choice.name in values:
            ends.setdefault(choice.parameter, []).append(values[choice.name])
    return {parameter: tuple(numbers) if len(numbers) == 2 else numbers[0] for parameter, numbers in ends.items()}


def _most_open(size: int, part: float) -> Tensor:
    """Of all distributions over evenly spaced values whose mean is at that part of their span the one of greatest entropy: a geometric one.

    In the middle it is uniform.
    """
    positions = torch.linspace(0, 1, size, dtype=torch.float64)
    least, most = -1e3, 1e3  # of the slope of its logarithm, halved until it is found
    for _ in range(80):
        slope = (least + most) / 2
        probabilities = (slope * positions).softmax(0)
        least, most = (slope, most) if float(probabilities @ positions) < part else (least, slope)
    return probabilities

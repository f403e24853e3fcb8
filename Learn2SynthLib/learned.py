"""What a synthesis has learned, beside its prior, in words and figures that a user reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from .config import SynthesisConfig

_TITLES = {
    "rotation_degrees": "rotation",
    "rotation_chance": "how often rotated",
    "scaling": "scaling",
    "scaling_chance": "how often scaled",
    "warp_mm": "warp",
    "warp_spacing_mm": "smoothness of the warp",
    "warp_chance": "how often warped",
    "flip": "how often flipped",
    "crop": "how often cropped",
    "dark_background": "how often the background is black",
    "skull_strip": "how often the skull is removed",
    "contrast_mean": "mean intensity",
    "contrast_spread": "intensity spread",
    "texture": "smooth texture",
    "gamma": "gamma (logarithm)",
    "gamma_chance": "how often gamma is applied",
    "bias": "bias field",
    "blur_mm": "blur",
    "thick_slices": "how often slices are thick",
    "slice_thickness_mm": "thickness of thick slices",
    "noise": "noise level",
}
_OF_TISSUES = ("contrast_mean", "contrast_spread")
_WHOLE = "whole image"


@dataclass(frozen=True)
class LearnedRange:
    """One synthesis parameter: (low, high) before and after learning and the bounds of both; low = high where one value is learned."""

    group: str
    name: str
    unit: str
    prior: tuple[float, float]
    learned: tuple[float, float]
    bounds: tuple[float, float]

    @property
    def title(self) -> str:
        """Group and name as one; the name alone where it says all."""
        return self.name if self.group == _WHOLE else f"{self.group}, {self.name}"

    @property
    def change(self) -> float:
        """How far the ends moved, together, as a part of the bounds' width."""
        return sum(abs(a - b) for a, b in zip(self.learned, self.prior, strict=True)) / (self.bounds[1] - self.bounds[0])


def learned_ranges(learned: Mapping[str, float], prior: Mapping[str, float]) -> list[LearnedRange]:
    """Pairs the ends in a run's `learned` and `prior` ('noise.low', 'contrast_mean.thalamus.high', or 'noise' for one value).

    Names that are no synthesis parameter, or have no prior, are left out.
    """
    fields = {f.name: f.metadata for f in dataclasses.fields(SynthesisConfig)}
    stems = dict.fromkeys(key.removesuffix(".low").removesuffix(".high") for key in learned)
    ranges = []
    for stem in stems:
        parameter, _, entry = stem.partition(".")
        before, after = _ends(prior, stem), _ends(learned, stem)
        if parameter in _TITLES and before and after:
            limits = fields[parameter]
            ranges.append(LearnedRange(*_named(parameter, entry), limits.get("unit", ""), before, after, (limits["low"], limits["high"])))
    return ranges


def _named(parameter: str, entry: str) -> tuple[str, str]:
    """Group and name to show."""
    title = _TITLES[parameter]
    return (title, entry) if parameter in _OF_TISSUES else (_WHOLE, f"{title}, {entry}" if entry else title)


def _ends(values: Mapping[str, float], stem: str) -> tuple[float, float] | None:
    low, high = (values.get(f"{stem}.{end}", values.get(stem)) for end in ("low", "high"))
    return None if low is None or high is None else (low, high)


def interval(ends: tuple[float, float], unit: str = "") -> str:
    """'0.12 to 0.31 mm', or '0.12 mm' where both ends are one."""
    low, high = (f"{round(end, 2) + 0.0:.2f}" for end in ends)  # adding 0 takes the sign from -0.00
    return f"{low if low == high else f'{low} to {high}'} {unit}".strip()

"""Drawing: every random choice behind one image, written down so that the image can be made again."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ..config import CONTRAST, LEARNABLE, SCANNER, SynthesisConfig
from ..errors import InputError, nearest

POSE = ("flip", "rotation_degrees", "scaling", "shear", "translation_mm", "warp_mm", "warp_spacing_mm", "crop")  # what moves or cuts the target too
STRIPPINGS = ("none", "keep fluid", "brain only")
WIDE = {"": (), "contrast": CONTRAST, "scanner": SCANNER}


@dataclass(frozen=True)
class SynthesisDraw:
    """The random choices behind one image; plain numbers, JSON-ready.

    learned: the learnable parameters come from the learned ranges, otherwise from the prior. wide: which of them come from the prior nevertheless, those of
    `contrast`, of the `scanner`, or none. positions: for each learnable parameter its place in its range, 0 (low end) to 1 (high end), one per class, scale
    or image. seed: the fields of noise, texture, bias and warp are functions of it. The rest is in the units of SynthesisConfig; what does not apply to this
    image is 0 (scaling: 1), but for gamma, which has its place in its range nevertheless.
    """

    seed: int
    learned: bool
    wide: str
    flip: bool
    rotation_degrees: tuple[float, ...]
    scaling: tuple[float, ...]
    shear: tuple[float, ...]
    translation_mm: tuple[float, ...]
    warp_mm: float
    warp_spacing_mm: float
    positions: Mapping[str, tuple[float, ...]]
    gamma_applied: bool
    dark_background: bool
    stripping: str
    thickness_mm: tuple[float, ...]
    rician: bool
    crop: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def takes_learned(self, parameter: str) -> bool:
        """Whether a learnable parameter comes from its learned range."""
        return self.learned and parameter not in WIDE[self.wide]

    def in_pose_of(self, other: SynthesisDraw) -> SynthesisDraw:
        """This draw where that of another deforms, flips and cuts."""
        return replace(self, seed=other.seed, **{name: getattr(other, name) for name in POSE})

    @classmethod
    def from_json(cls, record: Any, where: object) -> SynthesisDraw:
        """Raises InputError when the record is not a draw."""
        known = [f.name for f in fields(cls)]
        if not isinstance(record, Mapping):
            raise InputError(where, "is not an object", "a draw written by learn2synth preview")
        for key in record:
            if key not in known:
                raise InputError(where, f"unknown key '{key}'", remedy=nearest(key, known))
        missing = [key for key in known if key not in record]
        if missing:
            raise InputError(where, f"lacks {', '.join(missing)}", "a draw written by learn2synth preview")
        if not isinstance(record["positions"], Mapping) or record["stripping"] not in STRIPPINGS or record["wide"] not in tuple(WIDE):
            raise InputError(where, "has no positions, or another stripping or width than there is", "a draw written by learn2synth preview")
        values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}
        values["positions"] = {key: tuple(value) for key, value in record["positions"].items()}
        return cls(**values)


@dataclass(frozen=True)
class DrawSizes:
    """How many numbers a draw needs: dimensions of the image, tissue classes, scales of the bias field."""

    ndim: int
    classes: int
    scales: int

    def of(self, parameter: str) -> int:
        """Length of a learnable parameter."""
        return {"contrast_mean": self.classes, "contrast_spread": self.classes, "bias": self.scales}.get(parameter, 1)


def draw(config: SynthesisConfig, sizes: DrawSizes, rng: random.Random, learned: bool = False, wide: str = "") -> SynthesisDraw:
    """One draw; the same generator state gives the same draw whether or not it is learned."""
    n, pairs = sizes.ndim, sizes.ndim * (sizes.ndim - 1) // 2
    everything = SynthesisDraw(
        seed=rng.getrandbits(53),
        learned=learned,
        wide=wide,
        flip=rng.random() < config.flip,
        rotation_degrees=_uniform(rng, config.rotation_degrees, pairs),
        scaling=_uniform(rng, config.scaling, n),
        shear=_uniform(rng, config.shear, pairs),
        translation_mm=_uniform(rng, config.translation_mm, n),
        warp_mm=rng.uniform(*config.warp_mm),
        warp_spacing_mm=config.warp_spacing_mm,
        positions={name: _uniform(rng, (0, 1), sizes.of(name)) for name in LEARNABLE},
        gamma_applied=True,
        dark_background=rng.random() < config.dark_background,
        stripping=_stripping(rng, config),
        thickness_mm=_thickness(rng, config, n),
        rician=rng.random() < config.rician,
        crop=_crop(rng, config, n),
    )
    return _what_applies(everything, config, rng)


def _what_applies(drawn: SynthesisDraw, config: SynthesisConfig, rng: random.Random) -> SynthesisDraw:
    """The draw without what, by its probability, is left out of this image. All has been drawn before: how likely one thing is changes no other."""
    chances = (config.rotation_chance, config.scaling_chance, config.warp_chance, config.gamma_chance)
    rotated, scaled, warped, exponent = (rng.random() < chance for chance in chances)
    return replace(
        drawn,
        rotation_degrees=tuple(angle if rotated else 0.0 for angle in drawn.rotation_degrees),
        scaling=tuple(factor if scaled else 1.0 for factor in drawn.scaling),
        warp_mm=drawn.warp_mm if warped else 0.0,
        gamma_applied=exponent,
    )


def _uniform(rng: random.Random, interval: tuple[float, ...], count: int) -> tuple[float, ...]:
    return tuple(rng.uniform(*interval) for _ in range(count))


def _stripping(rng: random.Random, config: SynthesisConfig) -> str:
    """Tools that remove the skull differ in whether the fluid around the brain stays."""
    with_fluid, strip = rng.random() < config.strip_fluid, rng.random() < config.skull_strip
    return STRIPPINGS[0 if not strip else 2 if with_fluid else 1]


def _thickness(rng: random.Random, config: SynthesisConfig, n: int) -> tuple[float, ...]:
    axis, thickness = rng.randrange(n), rng.uniform(*config.slice_thickness_mm)
    thick = rng.random() < config.thick_slices
    return tuple(thickness if thick and a == axis else 0.0 for a in range(n))


def _crop(rng: random.Random, config: SynthesisConfig, n: int) -> tuple[float, ...]:
    """Fractions cut off at the low and high end of each axis: at most one is not 0."""
    side, fraction = rng.randrange(2 * n), rng.uniform(*config.crop_fraction)
    cut = rng.random() < config.crop
    return tuple(fraction if cut and s == side else 0.0 for s in range(2 * n))

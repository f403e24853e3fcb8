"""The prior of the synthesis, and which of its settings can be learned, measured or searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..settings import setting

ANY_CONTRAST = "any"
LEARNABLE = ("contrast_mean", "contrast_spread", "texture", "gamma", "bias", "blur_mm", "noise")
CONTRAST = LEARNABLE[:2]
SCANNER = LEARNABLE[3:]
SEARCHABLE = (
    *("rotation_degrees", "rotation_chance", "scaling", "scaling_chance", "warp_mm", "warp_spacing_mm", "warp_chance", "gamma", "gamma_chance"),  # the paper's
    *("flip", "crop", "noise", "bias", "blur_mm", "thick_slices", "slice_thickness_mm", "dark_background", "skull_strip"),
)
MEASURABLE = ("dark_background", "skull_strip", "strip_fluid", "thick_slices")  # probabilities: no gradient reaches them, but scans show them


def interval(low: float, high: float, meaning: str, bounds: tuple[float, float], **more: Any) -> Any:
    """A range from which a value is drawn uniformly; `bounds` limit both the setting and what may be learned."""
    return setting((float(low), float(high)), meaning, low=bounds[0], high=bounds[1], sizes=(2,), interval=True, **more)


@dataclass(frozen=True)
class GridConfig:
    """The voxels that the network sees, in RAS order."""

    spacing_mm: tuple[float, ...] = setting((2.0, 2.0, 2.0), "voxel size along left-right, back-front, down-up", unit="mm", low=0.2, high=20, sizes=(3,))
    shape: tuple[int, ...] = setting((80, 96), "voxels of one training window: 2 numbers for slices, 3 for volumes", low=8, high=512, sizes=(2, 3))


@dataclass(frozen=True)
class SynthesisConfig:
    """The prior of the synthesis: what images are drawn before anything is learned (Billot et al. 2023, section 3)."""

    flip: float = setting(0.5, "probability of a left/right flip, sided labels swapped", low=0, high=1)
    rotation_degrees: tuple[float, ...] = interval(-15, 15, "rotation about each axis", (-180, 180), unit="degrees")
    rotation_chance: float = setting(1.0, "probability of a rotation", low=0, high=1)
    scaling: tuple[float, ...] = interval(0.85, 1.15, "scaling along each axis", (0.3, 3))
    scaling_chance: float = setting(1.0, "probability of a scaling", low=0, high=1)
    shear: tuple[float, ...] = interval(-0.02, 0.02, "shear of each pair of axes", (-0.5, 0.5))
    translation_mm: tuple[float, ...] = interval(-8, 8, "shift along each axis", (-200, 200), unit="mm")
    warp_mm: tuple[float, ...] = interval(0, 3, "standard deviation of the coefficients of the stationary velocity, a spline", (0, 20), unit="mm")
    warp_spacing_mm: float = setting(20.0, "distance of the control points of the velocity", unit="mm", low=4, high=200)
    warp_chance: float = setting(1.0, "probability of a warp", low=0, high=1)
    contrast: str = setting(ANY_CONTRAST, "a table of contrast (t1, or a JSON file) in place of random means and spreads; any: none")
    contrast_mean: tuple[float, ...] = interval(0, 1, "mean intensity of each tissue class", (0, 1))
    contrast_spread: tuple[float, ...] = interval(0, 0.1, "standard deviation within each tissue class", (0, 0.3))
    texture: tuple[float, ...] = interval(0, 0.5, "part of that variance which is smooth over `texture_mm`", (0, 1))
    texture_mm: float = setting(8.0, "distance over which texture varies", unit="mm", low=1, high=50)
    dark_background: float = setting(0.9, "probability that what has no label is black", low=0, high=1)
    skull_strip: float = setting(0.5, "probability that tissue outside the brain is removed", low=0, high=1)
    strip_fluid: float = setting(0.5, "probability that the fluid around the brain is removed with it", low=0, high=1)
    gamma: tuple[float, ...] = interval(-0.4, 0.4, "logarithm of the exponent applied to intensities", (-1.5, 1.5))
    gamma_chance: float = setting(1.0, "probability that an exponent is applied", low=0, high=1)
    bias: tuple[float, ...] = interval(0, 0.3, "standard deviation of the log bias field at each scale", (0, 1.5))
    bias_spacing_mm: tuple[float, ...] = setting(
        (160.0, 80.0, 40.0), "distances of the control points of the bias field, one per scale", unit="mm", low=8, high=500
    )
    blur_mm: tuple[float, ...] = interval(0, 3, "full width at half maximum of the point spread", (0, 12), unit="mm")
    thick_slices: float = setting(0.25, "probability of thick slices in one direction", low=0, high=1)
    slice_thickness_mm: tuple[float, ...] = interval(3, 7, "thickness and distance of thick slices", (0.2, 20), unit="mm")
    noise: tuple[float, ...] = interval(0, 0.08, "standard deviation of the noise, image range being 1", (0, 0.5))
    rician: float = setting(0.5, "probability that the noise is Rician, otherwise Gaussian", low=0, high=1)
    crop: float = setting(0.1, "probability that the field of view cuts a part of the head off", low=0, high=1)
    crop_fraction: tuple[float, ...] = interval(0.05, 0.3, "part of the window that is then cut off at one side", (0, 0.9))
    fluid_mm: float = setting(8.0, "unlabelled gaps of the brain up to this width count as cerebrospinal fluid; 0: none", unit="mm", low=0, high=50)
    real_label_maps: bool = setting(True, "the label maps of the real scans join the synthesis pool (their images never train the network of learn2synth)")
    complete: bool = setting(True, "the shipped model segments the rest of the brain of real scans that are annotated in part, so that it can be rendered")
    real_share: float = setting(0.5, "about the part of the synthetic images that is then made from them, however few they are", low=0, high=0.95)

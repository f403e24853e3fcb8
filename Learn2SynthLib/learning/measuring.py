"""Measuring: what annotated scans show at once, from which learning may begin.

Where a structure's label and intensities are both known, its mean and spread need no gradient to be found; whether the skull is there, and whether slices
are thick, no gradient reaches. What a measurement cannot tell (what the mean was before gamma, blur and partial volume) is left to learning.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from ..config import MEASURABLE, SynthesisConfig
from ..synthesis.classes import TissueClasses
from ..synthesis.fields import neighbour_correlation
from ..synthesis.ranges import Ranges
from .data import BLACK, Example

# How far the scans to come may differ from those measured, in parts of the intensity range and of the variance within tissues.
MARGIN = 0.05
TEXTURE_MARGIN = 0.15
# A measured spread holds all that varies within a tissue, so what else varies begins near nothing, and learning takes its part from the spread. The
# blur, in voxels, is what averaging over a voxel makes.
BESIDE = {"gamma": (-0.1, 0.1), "bias": (0.0, 0.1), "noise": (0.0, 0.02), "blur_mm": (0.5, 1.5)}
_ENOUGH = 50  # voxels
_SHELL_MM = 10.0  # wide enough to meet the skull
_QUARTILES = 1.349  # interquartile distance of a normal distribution of standard deviation 1
_OUTLIER = 2.0  # spreads from the median; voxels beyond are mostly shared with another tissue


def begin_at_measured(ranges: Ranges, scans: Sequence[Example], prior: SynthesisConfig) -> None:
    """Starts the learning of class means, spreads and texture at what annotated scans show; classes that they lack stay at their prior.

    The chances of MEASURABLE become the part of the scans of which they are true.
    """
    contrasts = [measured_contrast(scan, len(ranges.classes.names)) for scan in scans]
    means, spreads = zip(*contrasts)
    smooth = [measured_texture(scan, *contrast, prior.texture_mm).nanmean(0, keepdim=True) for scan, contrast in zip(scans, contrasts)]
    ranges.begin("contrast_mean", _about(means, MARGIN))
    low, high = _extremes(spreads)
    ranges.begin("contrast_spread", torch.stack([low / 2, high]))
    ranges.begin("texture", _about(smooth, TEXTURE_MARGIN))
    for name, (least, most) in BESIDE.items():
        ends = torch.tensor([least, most])[:, None].repeat(1, len(ranges.entries[name]))
        ranges.begin(name, ends * max(scans[0].grid.spacing_mm) if name == "blur_mm" else ends)
    shown = [measured_chances(scan, ranges.classes, prior) for scan in scans]
    for k, name in enumerate(MEASURABLE):
        found = [chances[name] for chances in shown if name in chances]
        if found:
            ranges.chances[k] = fmean(found)


def measured_contrast(scan: Example, classes: int) -> tuple[Tensor, Tensor]:
    """Median, and standard deviation by the quartiles, of the intensities of each tissue class; nan for the background and where there is little."""
    assert scan.image is not None
    found = torch.full((2, classes), torch.nan)
    for tissue in range(1, classes):
        values = scan.image[scan.classes == tissue]
        if len(values) >= _ENOUGH:
            lower, middle, upper = (float(values.kthvalue(1 + round(part * (len(values) - 1))).values) for part in (0.25, 0.5, 0.75))
            found[:, tissue] = torch.tensor([middle, (upper - lower) / _QUARTILES])
    return found[0], found[1]


def measured_texture(scan: Example, mean: Tensor, spread: Tensor, texture_mm: float) -> Tensor:
    """Part of the variance within each tissue class (classes,) that is smooth over `texture_mm`: grain is alike in no two neighbours, a smooth field in all.

    mean, spread: as `measured_contrast` finds them. nan for the background and where there are few neighbours of one tissue.
    """
    assert scan.image is not None
    brain = tuple(slice(*ends) for ends in scan.tissue)
    tissue = scan.classes[brain].long()
    away = ((scan.image[brain] - mean[tissue]) / spread[tissue]).clamp(-_OUTLIER, _OUTLIER)
    away = away - _mean_of_each(away, tissue, len(mean))[tissue]
    variance = _mean_of_each(away.square(), tissue, len(mean))
    found = []
    for axis, step in enumerate(scan.grid.spacing_mm):
        here, there = _neighbours(tissue, axis)
        same = here == there
        covariance = _mean_of_each(torch.mul(*_neighbours(away, axis))[same], here[same], len(mean))
        found.append(covariance / variance / neighbour_correlation(max(1.0, texture_mm / step)))
    return torch.stack(found).nanmean(0)


def _neighbours(values: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """All voxels but the last along an axis, and the next one of each."""
    last = values.shape[axis] - 1
    return values.narrow(axis, 0, last), values.narrow(axis, 1, last)


def _mean_of_each(values: Tensor, tissue: Tensor, classes: int) -> Tensor:
    """Mean value of each tissue class; nan where there is little."""
    count = tissue.flatten().bincount(minlength=classes)
    return torch.where(count >= _ENOUGH, tissue.flatten().bincount(values.flatten(), classes) / count, torch.nan)


def measured_chances(scan: Example, tissue: TissueClasses, prior: SynthesisConfig) -> dict[str, float]:
    """Each of MEASURABLE as 0 or 1: what lies about the brain is black, so is the fluid at its border, slices are thick.

    Where the brain ends is not known of a scan that is annotated in part: then only the last.
    """
    thick = {"thick_slices": float(scan.thickness_mm >= prior.slice_thickness_mm[0])}
    if scan.partial:
        return thick
    stripped = float(_black(scan, _shell(scan, tissue)))
    return {"dark_background": stripped, "skull_strip": stripped, "strip_fluid": float(_black(scan, scan.classes == tissue.fluid)), **thick}


def _shell(scan: Example, tissue: TissueClasses) -> Tensor:
    """What lies within `_SHELL_MM` about the brain."""
    outside = torch.isin(scan.classes, torch.tensor(tissue.outside, dtype=scan.classes.dtype))
    near = distance_transform_edt(outside.numpy(), sampling=scan.grid.spacing_mm) <= _SHELL_MM
    return outside & torch.from_numpy(near)


def _black(scan: Example, region: Tensor) -> bool:
    """Whether the scan is black in most of a region; one without voxels is."""
    assert scan.image is not None
    return not region.any() or float(scan.image[region].median()) < BLACK


def _about(values: Sequence[Tensor], margin: float) -> Tensor:
    """Ends (2, n) that hold what each scan shows (n,), and a margin."""
    low, high = _extremes(values)
    return torch.stack([low - margin, high + margin])


def _extremes(shown: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Lowest and highest (n,) of what each scan shows (n,), of those that show it; nan where none does."""
    values = torch.stack(tuple(shown))
    unknown = values.isnan()
    low, high = values.masked_fill(unknown, torch.inf).amin(0), values.masked_fill(unknown, -torch.inf).amax(0)
    return low.masked_fill(unknown.all(0), torch.nan), high.masked_fill(unknown.all(0), torch.nan)

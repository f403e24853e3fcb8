"""How good a segmentation probably is, told from itself: for every structure an estimate of the Dice that it would have against a good reference.

A warning, not a measurement; it costs no pass of the network. It is a logistic regression of Dice on five figures, each of which knows what the others do not:

- own: the logit of the Dice of the structure with its own probabilities. A network is less sure where it errs, but surer than it should be.
- mean: the logit of the mean of that Dice over all structures. They fail together: where the others of an image are lost, a sure one is probably wrong too.
- thin: surface by volume, in 1/mm. The same displacement of a boundary costs a thin or ragged structure more than a round one.
- unusual: how far its volume is from the usual one, as the logarithm of their ratio, without its sign; 0 where the model does not say what is usual. A
  network can be sure of half a structure, or of one that it made of something else.
- foreign: how little the contrast of the structures is like that of the scans that taught the network, 0 to 1; 0 where the model does not say.

How well that tells failures from successes, and how much better than simpler estimates, is measured by Benchmarks/quality.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..labels import LabelTable
from ..volume.image import Grid

# Fitted by `Benchmarks/quality.py --fit --half 0` to the shipped model and five networks of slices (learn2synth, with nothing wide, with noise alone learned;
# randomised; mixed), that is on 24 scans of 5 people, 16 of them shifted; measured on other people and, but for the shipped model, other networks.
CONSTANT, OWN, MEAN, THIN_MM, UNUSUAL, FOREIGN = 0.33, 0.22, 0.82, -1.54, -0.59, -0.55
_SURE = 0.98  # Dice; above it a network says no more of how good it is
_FEW = 3  # structures; fewer have no contrast that could be compared


@dataclass(frozen=True)
class Usual:
    """What a model knows of its structures, by name, as far as it does.

    mm3: volumes in the people of its training. intensity: means in the scans that taught it, where the network's images range from 0 to 1.
    """

    mm3: Mapping[str, float] = field(default_factory=dict)
    intensity: Mapping[str, float] = field(default_factory=dict)


def estimate_quality(posteriors: Tensor, labels: Tensor, volume: Tensor, table: LabelTable, grid: Grid, usual: Usual) -> dict[str, float]:
    """Estimated Dice, 0 to 1, of every structure of the table, by name; 0 where it was not found.

    posteriors: (C, X, Y, Z) on the grid that the network works on, because interpolation makes every network seem less sure. labels: (X, Y, Z) there, after
    clean-up. volume: (X, Y, Z), the image there, as the network sees it. A structure that is rightly missing, because the image does not show it, is 0 too:
    nothing tells that from one that was missed.
    """
    found = figures(posteriors, labels, volume, table, grid, usual)
    estimates = torch.sigmoid(CONSTANT + found @ found.new_tensor([OWN, MEAN, THIN_MM, UNUSUAL, FOREIGN]))
    return dict(zip((label.name for label in table.foreground), estimates.tolist(), strict=True))


def figures(posteriors: Tensor, labels: Tensor, volume: Tensor, table: LabelTable, grid: Grid, usual: Usual) -> Tensor:
    """What is told above, in its order, of every structure of the table: (n, 5); `own` is minus infinity where it was not found."""
    structures = [k for k, label in enumerate(table.labels) if label.value]
    inside, mass, sizes = _sums(posteriors, labels, table.values)[:, structures]
    own = 2 * inside / (sizes + mass).clamp(min=1e-9)
    volumes = sizes.clamp(min=1) * grid.voxel_mm3
    thin = _surface_mm2(labels, table.values, grid)[structures] / volumes
    unusual = (volumes / _known(usual.mm3, table)).log().abs().nan_to_num(0)
    means = structure_means(volume, labels, [label.value for label in table.foreground])
    foreign = foreignness(means, _known(usual.intensity, table))
    sure, all_sure = (dice.clamp(max=_SURE).logit() for dice in (own, own.mean().expand_as(own)))
    return torch.stack([sure, all_sure, thin, unusual, foreign.expand_as(own)], dim=1)


def structure_means(volume: Tensor, labels: Tensor, values: Sequence[int]) -> Tensor:
    """Mean intensity in the voxels of each value, (n,); not a number where there are none."""
    return torch.stack([volume[labels == value].double().mean() for value in values])


def _known(usual: Mapping[str, float], table: LabelTable) -> Tensor:
    """Of each structure; not a number where it is not known."""
    return torch.tensor([usual.get(label.name) or math.nan for label in table.foreground], dtype=torch.float64)


def foreignness(means: Tensor, usual: Tensor) -> Tensor:
    """How foreign the intensities of structures (n,) are to the usual ones (n,), 0 to 1; 0 where too few are known of both to compare."""
    both = torch.stack([means, usual])[:, (means + usual).isfinite()]
    correlation = torch.corrcoef(both)[0, 1] if both.shape[1] >= _FEW else torch.ones((), dtype=torch.float64)
    return (1 - correlation).clamp(0, 1).nan_to_num(0)


def _sums(posteriors: Tensor, labels: Tensor, values: Sequence[int]) -> Tensor:
    """Of each class, (3, C): probability in its own voxels, probability in all voxels, number of its own voxels."""
    labels = labels.to(posteriors.device)
    sums = [(p[own].sum(), p.sum(), own.sum()) for p, own in ((p, labels == value) for p, value in zip(posteriors, values, strict=True))]
    return torch.tensor(sums, dtype=torch.float64).T


def _surface_mm2(labels: Tensor, values: Sequence[int], grid: Grid) -> Tensor:
    """Area of the voxel faces between each class and all others, (C,); where the image ends there is no face.

    Of a smooth surface in any direction this counts about half as much again, whatever the voxels' size.
    """
    areas = torch.zeros(len(values), dtype=torch.float64)
    for axis, spacing in enumerate(grid.spacing_mm):
        here, there = labels.narrow(axis, 0, labels.shape[axis] - 1), labels.narrow(axis, 1, labels.shape[axis] - 1)
        differ = here != there
        sides = torch.cat([here[differ], there[differ]])
        areas += torch.tensor([int((sides == value).count_nonzero()) for value in values]) * (grid.voxel_mm3 / spacing)
    return areas

"""How good a segmentation probably is, told from itself: for every structure an estimate of the Dice that it would have against a good reference.

A warning, not a measurement; it costs no pass of the network. It is a logistic regression of Dice on four figures, each of which knows what the others do not:

- own: the Dice of the structure with its own probabilities. A network is less sure where it errs, but surer than it should be.
- mean: the mean of that over all structures. They fail together: where the others of an image are lost, a sure one is probably wrong too.
- thin: surface by volume, in 1/mm. The same displacement of a boundary costs a thin or ragged structure more than a round one.
- unusual: how far its volume is from the usual one, as the logarithm of their ratio, without its sign; 0 where the model does not say what is usual. A
  network can be sure of half a structure, or of one that it made of something else.

How well that tells failures from successes, and how much better than simpler estimates, is measured by Benchmarks/quality.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..labels import LabelTable
from ..volume.image import Grid

# Fitted by `Benchmarks/quality.py --fit --half 0` to the shipped model (as it was after 7000 of its steps) and two networks of slices (learned_transforms,
# policy_search on synthetic images) on 24 scans of 5 people, 16 of them shifted; measured on other people.
CONSTANT, OWN, MEAN, THIN_MM, UNUSUAL = -2.24, 1.69, 3.39, -1.63, -0.48


def estimate_quality(posteriors: Tensor, labels: Tensor, table: LabelTable, grid: Grid, usual_mm3: Mapping[str, float]) -> dict[str, float]:
    """Estimated Dice, 0 to 1, of every structure of the table, by name; 0 where it was not found.

    posteriors: (C, X, Y, Z) on the grid that the network works on, because interpolation makes every network seem less sure. labels: (X, Y, Z) there, after
    clean-up. usual_mm3: usual volumes of structures, by name, as far as they are known. A structure that is rightly missing, because the image does not show
    it, is 0 too: nothing tells that from one that was missed.
    """
    found = figures(posteriors, labels, table, grid, usual_mm3)
    estimates = torch.sigmoid(CONSTANT + found @ found.new_tensor([OWN, MEAN, THIN_MM, UNUSUAL])) * (found[:, 0] > 0)
    return dict(zip((label.name for label in table.foreground), estimates.tolist(), strict=True))


def figures(posteriors: Tensor, labels: Tensor, table: LabelTable, grid: Grid, usual_mm3: Mapping[str, float]) -> Tensor:
    """What is told above, in its order, of every structure of the table: (n, 4); `own` is 0 where it was not found."""
    structures = [k for k, label in enumerate(table.labels) if label.value]
    inside, mass, sizes = _sums(posteriors, labels, table.values)[:, structures]
    own = 2 * inside / (sizes + mass).clamp(min=1e-9)
    volumes = sizes.clamp(min=1) * grid.voxel_mm3
    thin = _surface_mm2(labels, table.values, grid)[structures] / volumes
    usual = torch.tensor([usual_mm3.get(label.name) or math.nan for label in table.foreground], dtype=torch.float64)
    unusual = (volumes / usual).log().abs().nan_to_num(0)
    return torch.stack([own, own.mean().expand_as(own), thin, unusual], dim=1)


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

"""What is usual in the people and scans of a training, kept in its model to tell the quality of segmentations by (`segmentation/quality.py`)."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch

from ..labels import LabelTable
from ..segmentation.quality import foreignness, structure_means
from .data import Example

_ALIKE = 0.5  # most that a scan may be foreign to the median of all, for them to share a contrast


def volumes_mm3(example: Example, count: int) -> np.ndarray:
    """Volume of each of the `count` target labels."""
    return torch.bincount(example.target.flatten().long(), minlength=count).numpy() * example.grid.voxel_mm3


def usual_mm3(examples: Iterable[Example], table: LabelTable) -> dict[str, float]:
    """Median volume over people of every structure of the target table that most of them have, by name."""
    people = {example.name: example for example in examples}
    medians = np.median([volumes_mm3(person, len(table.labels)) for person in people.values()], axis=0) if people else []
    return {label.name: round(float(volume), 1) for label, volume in zip(table.labels, medians) if label.value and volume}


def usual_intensity(scans: Iterable[Example], table: LabelTable) -> dict[str, float]:
    """Median over scans of the mean intensity, 0 to 1, of every structure of the target table that any of them shows, by name.

    Empty where their contrasts differ so much that none is usual.
    """
    names, rows = zip(*((label.name, row) for row, label in enumerate(table.labels) if label.value))
    means = [structure_means(scan.image, scan.target, rows) for scan in scans if scan.image is not None]
    medians = torch.stack(means).nanmedian(0).values if means else torch.empty(0)
    if any(foreignness(mean, medians) > _ALIKE for mean in means):
        return {}
    return {name: round(mean, 4) for name, mean in zip(names, medians.tolist()) if math.isfinite(mean)}

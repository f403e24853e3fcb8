"""Are the people of the label maps like those of the real scans?

Synthetic training shows the network the anatomy of the label maps only. When the ventricles of the real scans are four
times as large, what is learned from the label maps does not carry over, however good the synthetic contrast.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..labels import LabelTable
from .image import LabelMap
from .layout import in_memory_order
from .reports import Finding, Report

# Median volumes of any two halves of ten healthy adults (20 to 68 years) differ by up to 1.2 in structures above 100 mL
# and 1.9 in smaller ones (the ventricles); 20- to 30-year-olds and 70- to 90-year-olds by 1.4 and 3.8.
_LARGE_MM3, _LARGE_FACTOR = 100_000, 1.3
_SMALL_MM3, _SMALL_FACTOR = 8_000, 2.0
_SEPARATION = 0.75  # of all pairs (label map, real scan) differ in the direction of the medians


def label_counts(labels: LabelMap) -> dict[int, int]:
    """Voxels of every label that occurs, by value."""
    data = in_memory_order(labels.data)
    low, high = (int(end) for end in data.aminmax())
    if high - low < 2**22:  # far faster than sorting, for numberings that are not sparse
        counts = torch.bincount((data - low).long() if low else data)
        return {int(value) + low: int(counts[value]) for value in counts.nonzero().flatten()}
    values, numbers = data.unique(return_counts=True)
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))


def structure_volumes(counts: dict[int, int], voxel_mm3: float, source: LabelTable, target: LabelTable) -> dict[str, float]:
    """Volume in mm3 of every structure of the target table that occurs, by its name."""
    mapping = source.mapping_to(target)
    volumes: dict[str, float] = {}
    for value, count in counts.items():
        if mapping.get(value, 0):
            name = target[mapping[value]].name
            volumes[name] = volumes.get(name, 0.0) + count * voxel_mm3
    return volumes


def population_findings(reports: Sequence[Report]) -> list[Finding]:
    """A warning for every large structure whose median volume differs clearly between label maps and real scans."""
    groups = [[r.volumes_mm3 for r in reports if r.role == role and r.ok and r.volumes_mm3] for role in ("label_map", "real")]
    names = dict.fromkeys(name for group in groups for volumes in group for name in volumes)
    messages = [_difference(name, *([v[name] for v in group if name in v] for group in groups)) for name in names]
    return [Finding("warning", message) for message in messages if message]


def _difference(name: str, maps: list[float], real: list[float]) -> str | None:
    if not maps or not real:
        return None
    median_map, median_real = float(np.median(maps)), float(np.median(real))
    larger, smaller = max(median_map, median_real), min(median_map, median_real)
    factor = _LARGE_FACTOR if larger >= _LARGE_MM3 else _SMALL_FACTOR
    direction = np.sign(median_real - median_map)
    separated = float(np.mean(np.sign(np.subtract.outer(real, maps)) == direction))
    if larger < _SMALL_MM3 or larger < factor * smaller or separated < _SEPARATION:
        return None
    return (
        f"{name}: median {median_real / 1000:.0f} mL in the real scans ({len(real)}), "
        f"{median_map / 1000:.0f} mL in the label maps ({len(maps)}); "
        "another age or disease, or another labelling protocol: add label maps of people like those of the scans"
    )

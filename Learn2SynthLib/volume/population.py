"""Are the people of the label maps like those of the real scans, and is as much of them labelled?

Synthetic training shows the network the anatomy of the label maps only. When the ventricles of the real scans are four
times as large, what is learned from the label maps does not carry over, however good the synthetic contrast. And where only
a few structures of the real scans were delineated, no image of a head can be made of these labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..labels import LabelTable, is_brain
from .image import LabelMap
from .layout import in_memory_order
from .reports import Finding, Report

# Median volumes of any two halves of ten healthy adults (20 to 68 years) differ by up to 1.2 in structures above 100 mL
# and 1.9 in smaller ones (the ventricles); 20- to 30-year-olds and 70- to 90-year-olds by 1.4 and 3.8.
_LARGE_MM3, _LARGE_FACTOR = 100_000, 1.3
_SMALL_MM3, _SMALL_FACTOR = 8_000, 2.0
_SEPARATION = 0.75  # of all pairs (label map, real scan) differ in the direction of the medians

# Of the brain that may be expected, that of the label maps or what a field of view of part of the head holds, whole annotations have 0.8 and more,
# the cortex alone 0.4.
_MOST, _BRAIN_OF_FIELD = 0.6, 0.3
USUAL_MM3 = 1.2e6  # where there are no label maps to compare with


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


def brain_mm3(counts: dict[int, int], voxel_mm3: float, table: LabelTable) -> float:
    """Volume of all labels of the brain."""
    return sum(count for value, count in counts.items() if value in table.values and is_brain(table[value].generation)) * voxel_mm3


def annotated_in_part(brain: float, field_of_view: float, expected: float) -> bool:
    """Whether a scan's labels leave out much of the brain that it shows; volumes in mm3, `expected`: what label maps have."""
    return brain < _MOST * min(expected, _BRAIN_OF_FIELD * field_of_view)


def in_part(reports: Sequence[Report]) -> list[Report]:
    """The real scans that are annotated in part."""
    expected = _expected_mm3(reports)
    fields = {id(report): float(np.prod(report.shape or 0) * np.prod(report.spacing_mm or 0)) for report in reports}
    return [report for report in _usable(reports, "real") if annotated_in_part(report.brain_mm3, fields[id(report)], expected)]


def _expected_mm3(reports: Sequence[Report]) -> float:
    maps = _usable(reports, "label_map")
    return float(np.median([report.brain_mm3 for report in maps])) if maps else USUAL_MM3


def _usable(reports: Sequence[Report], role: str) -> list[Report]:
    return [report for report in reports if report.role == role and report.ok and report.volumes_mm3]


def population_findings(reports: Sequence[Report]) -> list[Finding]:
    """A warning for every large structure whose median volume differs clearly between label maps and real scans, and one for scans annotated in part."""
    maps, real = (_usable(reports, role) for role in ("label_map", "real"))
    names = dict.fromkeys(name for report in (*maps, *real) for name in report.volumes_mm3)
    groups = {name: [[r.volumes_mm3[name] for r in group if name in r.volumes_mm3] for group in (maps, real)] for name in names}
    messages = [_difference(name, *volumes) for name, volumes in groups.items()]
    return [Finding("warning", message) for message in (*messages, _told_in_part(reports)) if message]


def _told_in_part(reports: Sequence[Report]) -> str | None:
    found = in_part(reports)
    if not found:
        return None
    labelled = float(np.median([report.brain_mm3 for report in found]))
    return (
        f"{len(found)} of {len(_usable(reports, 'real'))} real scans are annotated in part: labels for {labelled / 1000:.0f} mL of the brain, "
        f"where {_expected_mm3(reports) / 1000:.0f} mL are usual; to render them, the shipped model segments the rest unless synthesis.complete=false"
    )


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

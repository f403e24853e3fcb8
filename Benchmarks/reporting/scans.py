"""The scans of a report, and how a segmentation of one is scored.

People of two data sets (people.py) whom a shipped model has not seen: MICCAI 2012 challenge (T1, 1 mm, skull-stripped as delivered, manual labels) and NiChart
(T1 and FLAIR, 2 mm, whole heads of older people, automatic labels). Models with different tables are compared in the fifteen structures of `brain`, left and
right merged; the mean is over the twelve scored ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

import nibabel
import numpy as np
from people import malf, nichart, preparation_of_all
from shifts import Shift

from Learn2SynthLib.labels import LabelTable, load_table
from Learn2SynthLib.learning.data import Example
from Learn2SynthLib.model import Model
from Learn2SynthLib.synthesis.classes import TissueClasses
from Learn2SynthLib.volume.cohort import Subject, file_digest
from Learn2SynthLib.volume.files import read_label_map
from Learn2SynthLib.volume.geometry import resample_labels
from Learn2SynthLib.volume.image import Grid, Image, LabelMap
from Learn2SynthLib.volume.relabel import relabel

BRAIN = load_table("brain")
VALIDATION, T1, FLAIR = "malf val T1", "NiChart T1", "NiChart FLAIR"
Scores = dict[str, dict[str, float]]


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan on its own voxels, axes in the order closest to RAS.

    example: intensities in [0, 1] and tissue classes. reference: its labels as they were made, on the same voxels.
    """

    example: Example
    tissue: TissueClasses
    reference: LabelMap

    @property
    def image(self) -> Image:
        assert self.example.image is not None
        return Image(self.example.image, self.example.grid)

    def shifted(self, shift: Shift) -> Image:
        return Image(shift(self.example, self.tissue), self.example.grid)


def rows(count: int) -> dict[str, list[Subject]]:
    """The first `count` people of every data set and contrast."""
    t1, flair = ([person for person in nichart() if person.name.endswith(contrast)] for contrast in ("T1w", "FLAIR"))
    everybody = {VALIDATION: malf("val"), "malf train T1": malf("train"), T1: t1, FLAIR: flair}
    return {row: people[:count] for row, people in everybody.items()}


def load(person: Subject) -> Scan:
    """The scan on its own voxels: the example that a training would make of it, at its own spacing."""
    assert person.labels is not None
    labels = read_label_map(person.labels, person.table)
    preparation = preparation_of_all(spacing_mm=spacing_in_ras_order(labels.grid))
    example = preparation.example(person)
    return Scan(example, preparation.classes, resample_labels(labels, example.grid))


def spacing_in_ras_order(grid: Grid) -> tuple[float, ...]:
    axes = nibabel.io_orientation(grid.affine)[:, 0]
    return tuple(grid.spacing_mm[axis] for axis in np.argsort(axes))


def merged(labels: LabelMap) -> LabelMap:
    """The same labels as structures of `brain`."""
    return LabelMap(relabel(labels.data, load_table(labels.table).mapping_to(BRAIN)), labels.grid, BRAIN.name)


def merged_volumes(volumes: dict[str, float], table: LabelTable) -> dict[str, float]:
    """Volumes per structure of `table` summed over those of `brain` that they belong to, mm3."""
    mapping, summed = table.mapping_to(BRAIN), {label.name: 0.0 for label in BRAIN.foreground}
    for label in table.foreground:
        if mapping[label.value]:
            summed[BRAIN[mapping[label.value]].name] += volumes[label.name]
    return {name: round(volume, 1) for name, volume in summed.items()}


def merged_quality(quality: dict[str, float], table: LabelTable) -> dict[str, float]:
    """Estimated Dice per structure of `table`, the mean over those that belong to one of `brain`."""
    mapping = table.mapping_to(BRAIN)
    parts: dict[str, list[float]] = {label.name: [] for label in BRAIN.foreground}
    for label in table.foreground:
        if mapping[label.value]:
            parts[BRAIN[mapping[label.value]].name].append(quality[label.name])
    return {name: round(fmean(estimates), 4) for name, estimates in parts.items() if estimates}


def overlap_and_distance(measures: dict[str, dict[str, float | None]]) -> Scores:
    """Dice and 95 % Hausdorff distance in mm of what `evaluate` found: mean and structures, without those that have no number."""
    return {metric: {name: round(v, 4) for name, v in measures[metric].items() if v is not None} for metric in ("dice", "hd95_mm")}


def known_people(people: Iterable[Subject], model: Model) -> dict[str, str]:
    """Role in the model's training of every person in it, by the checksums of their files."""
    roles = {subject[kind]: subject["role"] for subject in model.data for kind in ("image", "labels") if subject.get(kind)}
    found = {person_of(p.name): roles[digest] for p in people for path in p.files.values() if (digest := file_digest(path)) in roles}
    return dict(sorted(found.items()))


def person_of(scan: str) -> str:
    """Scans are named `person_contrast`."""
    return scan.split("_")[0]

"""What disturbances of a scan do to its segmentation: scores on the voxels that the model was given, beside those of the undisturbed scan on the same voxels.

`agreement` is the mean Dice, in the model's own table, with its own segmentation of the undisturbed scan: 1 where a disturbance changes nothing, and what it
must be where only the order of the stored axes differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from Learn2SynthLib.labels import load_table
from Learn2SynthLib.segmentation.evaluation import evaluate
from Learn2SynthLib.segmentation.metrics import dice
from Learn2SynthLib.segmentation.segmenter import Segmenter
from Learn2SynthLib.volume.cohort import Subject
from Learn2SynthLib.volume.image import LabelMap

from .disturbances import OF_BRAINS, OF_HEADS, Disturbance, unmoved
from .record import Measured, Task
from .scans import BRAIN, T1, VALIDATION, Scan, Scores, load, merged, merged_quality, overlap_and_distance, rows


class Undisturbed(NamedTuple):
    """reference: of the scan, in `brain`. found: what the model makes of it, in its own table."""

    scan: Scan
    reference: LabelMap
    found: LabelMap
    scores: Scores


def tasks(segmenter: Segmenter, count: int) -> Iterator[Task]:
    """Person by person, so that each undisturbed scan is segmented once. Of heads there is one: skull and field of view are what it adds."""

    @lru_cache(maxsize=1)
    def undisturbed(person: Subject) -> Undisturbed:
        scan = load(person)
        reference, found = merged(scan.reference), segmenter.segment(scan.image).labels
        return Undisturbed(scan, reference, found, scores(found, reference))

    for row, people, disturbances in ((VALIDATION, rows(count)[VALIDATION], OF_BRAINS), (T1, rows(1)[T1], OF_HEADS)):
        for person in people:
            for name, disturbance in disturbances.items():
                yield Task(("robustness", row, name, person.name), partial(measured, segmenter, partial(undisturbed, person), disturbance))


def measured(segmenter: Segmenter, undisturbed: Callable[[], Undisturbed], disturbance: Disturbance) -> Measured:
    """Reference, and what was found in the undisturbed scan, go where the disturbance takes its voxels."""
    scan, reference, before, scores_before = undisturbed()
    image, on_its_voxels = disturbance(scan)
    segmentation, reference, before = segmenter.segment(image), on_its_voxels(reference), on_its_voxels(before)
    found, quality = segmentation.labels, merged_quality(segmentation.quality, segmentation.table)
    beside = scores_before if on_its_voxels is unmoved else scores(before, reference)
    undisturbed_means = {metric: values["mean"] for metric, values in beside.items() if "mean" in values}
    return {**scores(found, reference), "undisturbed": undisturbed_means, "agreement": agreement(found, before), "quality": quality}


def scores(found: LabelMap, reference: LabelMap) -> Scores:
    return overlap_and_distance(evaluate(merged(found), reference, BRAIN))


def agreement(found: LabelMap, before: LabelMap) -> float | None:
    """Mean Dice of the scored structures of the model's own table that either holds; None where both are empty."""
    scored = [label.value for label in load_table(found.table).foreground if label.scored]
    overlaps = np.array(list(dice(found.data, before.data, scored).values()))
    return None if np.isnan(overlaps).all() else round(float(np.nanmean(overlaps)), 4)

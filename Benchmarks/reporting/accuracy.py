"""How well scans are segmented, structure by structure: each file as a user has it, against its reference labels on its own voxels.

Heads are also measured without what their labels say is outside the brain, as after skull-stripping. A model that tells left from right is scored in its own
table too, where its labels are compared side by side; the references count the vermis and other cerebellar cortex on the midline as left.

The reference itself is measured beside them, taken to the model's grid and back: a network that makes no error there comes about as far.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from shifts import brain_only

from Learn2SynthLib.segmentation.evaluation import evaluate
from Learn2SynthLib.segmentation.segmenter import Segmenter
from Learn2SynthLib.volume.cohort import Subject
from Learn2SynthLib.volume.files import read_image, read_label_map
from Learn2SynthLib.volume.geometry import Spacing, model_grid, resample_labels, resample_probabilities
from Learn2SynthLib.volume.image import Image, LabelMap

from .record import Measured, Task
from .scans import BRAIN, FLAIR, T1, load, merged, merged_quality, overlap_and_distance, rows


def tasks(segmenter: Segmenter, count: int) -> Iterator[Task]:
    for row, people in rows(count).items():
        for person in people:
            yield Task(("accuracy", row, person.name), partial(as_it_is, segmenter, person))
    for row in (T1, FLAIR):
        for person in rows(count)[row]:
            yield Task(("accuracy", f"{row} brain only", person.name), partial(stripped, segmenter, person))


def as_it_is(segmenter: Segmenter, person: Subject) -> Measured:
    assert person.image is not None and person.labels is not None
    return measured(segmenter, read_image(person.image), read_label_map(person.labels, person.table))


def stripped(segmenter: Segmenter, person: Subject) -> Measured:
    scan = load(person)
    return measured(segmenter, scan.shifted(brain_only), scan.reference)


def measured(segmenter: Segmenter, image: Image, reference: LabelMap) -> Measured:
    """Scores in `brain`, of the model and of the reference on its grid, those in the model's own table where that is another one, and what it thought of it."""
    found = segmenter.segment(image)
    scores = overlap_and_distance(evaluate(found.labels, reference, BRAIN))
    own = {} if found.table.name == BRAIN.name else {"own_table": overlap_and_distance(evaluate(found.labels, reference, found.table))}
    of_the_grid = overlap_and_distance(evaluate(on_grid_and_back(reference, segmenter.card.spacing_mm), reference, BRAIN))
    return {**scores, **own, "of_the_grid": of_the_grid, "quality": merged_quality(found.quality, found.table)}


def on_grid_and_back(labels: LabelMap, spacing_mm: Spacing) -> LabelMap:
    """Structures of `brain`, read as for a training, and brought back as a segmentation is: where most of the interpolated probability lies."""
    own, grid = merged(labels), model_grid(labels.grid, spacing_mm)
    coarse = resample_labels(own, grid).data
    values = torch.tensor(BRAIN.values)
    certain = (coarse == values.view(-1, 1, 1, 1)).float()
    rows = torch.cat([slab.argmax(0) for _, slab in resample_probabilities(certain, grid, labels.grid)], dim=-1)
    return LabelMap(values[rows].to(own.data.dtype), labels.grid, BRAIN.name)

"""How well scans are segmented, structure by structure: each file as a user has it, against its reference labels on its own voxels.

Heads are also measured without what their labels say is outside the brain, as after skull-stripping. A model that tells left from right is scored in its own
table too, where its labels are compared side by side; the references count the vermis and other cerebellar cortex on the midline as left.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from shifts import brain_only

from Learn2SynthLib.segmentation.evaluation import evaluate
from Learn2SynthLib.segmentation.segmenter import Segmenter
from Learn2SynthLib.volume.cohort import Subject
from Learn2SynthLib.volume.files import read_image, read_label_map
from Learn2SynthLib.volume.image import Image, LabelMap

from .record import Measured, Task
from .scans import BRAIN, FLAIR, T1, load, merged_quality, overlap_and_distance, rows


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
    """Scores in `brain`, those in the model's own table where that is another one, and what the model thought of it."""
    found = segmenter.segment(image)
    scores = overlap_and_distance(evaluate(found.labels, reference, BRAIN))
    own = {} if found.table.name == BRAIN.name else {"own_table": overlap_and_distance(evaluate(found.labels, reference, found.table))}
    return {**scores, **own, "quality": merged_quality(found.quality, found.table)}

"""Scans of which a few structures were delineated, and the rest of the brain was not: what they teach, and what they must not."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from Learn2SynthLib.config import RunConfig
from Learn2SynthLib.learning.data import Example, bounding_box, preparation_for
from Learn2SynthLib.learning.learn2synth import Learn2Synth
from Learn2SynthLib.learning.measuring import measured_chances
from Learn2SynthLib.learning.needs import with_partial_marked
from Learn2SynthLib.learning.strategy import Task
from Learn2SynthLib.volume.cohort import Cohort

Tiny = Callable[..., RunConfig]
MakeTask = Callable[..., Task]


def in_part(example: Example, classes: list[int]) -> Example:
    """The example with labels of these tissue classes alone."""
    kept = torch.where(torch.isin(example.classes, torch.tensor(classes, dtype=torch.uint8)), example.classes, 0)
    return replace(example, classes=kept, target=torch.where(kept > 0, example.target, 0), tissue=bounding_box(kept))


def test_they_are_known_by_what_label_maps_have(tiny: Tiny, make_task: MakeTask) -> None:
    task = make_task(tiny(2))
    tissue, maps, scan = task.synthesizer.classes, task.label_maps, task.real[0]
    few = in_part(scan, [tissue.names.index("thalamus")])
    assert [each.partial for each in with_partial_marked([scan, few], maps, tissue)] == [False, True]
    assert [each.partial for each in with_partial_marked([scan, few], [], tissue)] == [False, True]  # by what such a field of view holds


def test_what_is_not_labelled_of_a_scan_is_looked_at_too(tiny: Tiny, cohort: Cohort) -> None:
    """A network that never saw it would find structures there."""
    scan = preparation_for(tiny(), ["freesurfer"]).example(cohort.of("real")[0])
    assert scan.image is not None and scan.head == bounding_box((scan.classes > 0) | (scan.image > 0.05)) and scan.tissue == bounding_box(scan.classes)
    assert all(a[0] <= b[0] and b[1] <= a[1] for a, b in zip(scan.head, scan.tissue, strict=True))


def test_where_their_brain_ends_is_not_measured(tiny: Tiny, make_task: MakeTask) -> None:
    task = make_task(tiny(2))
    chances = measured_chances(replace(task.real[0], partial=True, thickness_mm=9.0), task.synthesizer.classes, task.config.synthesis)
    assert chances == {"thick_slices": 1.0}
    task.real = [replace(scan, partial=True, thickness_mm=9.0) for scan in task.real]
    prior, measured = task.synthesizer.ranges.chances.tolist(), Learn2Synth(task).task.synthesizer.ranges.chances.tolist()
    assert measured.count(1.0) == 1 and sum(a != b for a, b in zip(prior, measured, strict=True)) == 1


def test_they_have_no_counterparts_and_teach_by_their_loss(tiny: Tiny, make_task: MakeTask) -> None:
    lessons = {}
    for objective, partial in (("matching", True), ("loss", True), ("matching", False)):
        task = make_task(tiny(2, f"learn2synth.objective={objective}", "learn2synth.begin=prior"))
        task.real = [replace(scan, partial=partial) for scan in task.real]
        lessons[objective, partial] = torch.cat([v.flatten() for v in Learn2Synth(task)._lesson(0)[1].values()])
    assert torch.equal(lessons["matching", True], lessons["loss", True]) and not torch.equal(lessons["matching", True], lessons["matching", False])


@pytest.mark.parametrize("step", [0, 7])
def test_where_some_scans_are_whole_only_these_are_compared(tiny: Tiny, make_task: MakeTask, step: int) -> None:
    task = make_task(tiny(2, batch_size=8))
    whole, other = task.real
    task.real = [replace(other, partial=True), whole]
    images, counterparts = task.lesson(step, 8), task.counterparts(step, 8)
    task.real = [whole]
    assert torch.equal(images[0], task.lesson(step, 8)[0]) and torch.equal(images[1], counterparts[1])

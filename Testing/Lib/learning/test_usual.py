"""What is usual in the people and scans of a training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from Learn2SynthLib.labels import load_table
from Learn2SynthLib.learning.data import Example, anchors, bounding_box
from Learn2SynthLib.learning.usual import usual_intensity, usual_mm3
from Learn2SynthLib.volume.image import Grid


def example(target: torch.Tensor) -> Example:
    return Example("x", target, target, None, Grid(tuple(target.shape), np.eye(4)), *[bounding_box(target)] * 3, anchors(target))


def test_usual_volumes_are_medians_over_people_of_what_most_of_them_have() -> None:
    """A person who is given several times counts once."""
    table = load_table("brain-coarse")
    people = []
    for name, sizes in {"a": (1, 7), "b": (2, 0), "c": (9, 0)}.items():
        target = torch.zeros(4, 4, 4, dtype=torch.uint8)
        target.view(-1)[: sizes[0]], target.view(-1)[-sizes[1] or 64 :] = 1, 2
        people.append(replace(example(target), name=name))
    voxel = people[0].grid.voxel_mm3
    assert usual_mm3([*people, people[2], people[2]], table) == {table.labels[1].name: pytest.approx(2 * voxel)}
    assert usual_mm3([], table) == {}


def test_usual_intensities_are_medians_over_scans_of_the_means_of_what_they_show() -> None:
    table = load_table("brain-coarse")
    target = torch.zeros(4, 4, 4, dtype=torch.uint8)
    target[0], target[1, 0] = 1, 2
    both, one = example(target), example(target * (target == 1))
    scans = [replace(e, image=0.1 * e.target + shade) for e, shade in ((both, 0.1), (one, 0.2), (one, 0.7))]
    assert usual_intensity([*scans, both], table) == {table.labels[1].name: 0.3, table.labels[2].name: 0.3}
    assert usual_intensity([], table) == usual_intensity([both], table) == {}


def test_scans_of_opposite_contrasts_have_no_usual_intensity() -> None:
    table, target = load_table("brain-coarse"), torch.zeros(4, 4, 4, dtype=torch.uint8)
    target[0], target[1], target[2] = 1, 2, 3
    scan = replace(example(target), image=0.2 * target)
    opposite = replace(scan, image=0.9 - 0.2 * target)
    assert len(usual_intensity([scan, scan, replace(scan, image=0.1 + 0.1 * target)], table)) == 3
    assert usual_intensity([scan, opposite], table) == {}

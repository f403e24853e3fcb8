import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from Learn2SynthLib.config import RunConfig
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.learning.data import Cutting, Example, Place, anchors, bounding_box, cut, fill_gaps, preparation_for
from Learn2SynthLib.synthesis.classes import TissueClasses
from Learn2SynthLib.volume.cohort import Subject
from Learn2SynthLib.volume.files import read_label_map, write_label_map
from Learn2SynthLib.volume.image import Grid, LabelMap

REPOSITORY = Path(__file__).resolve().parents[3]


def example(target: torch.Tensor, head: torch.Tensor | None = None) -> Example:
    classes = target if head is None else head
    grid = Grid(tuple(target.shape), np.eye(4))
    return Example("x", classes, target, None, grid, bounding_box(target), *[bounding_box(classes)] * 2, anchors(target))


TWO_READERS = """
import builtins, time, types
from Learn2SynthLib.learning.data import load_examples
from Learn2SynthLib.volume.relabel import relabel
import torch
known = builtins.__import__
def slow(*arguments, **options):
    time.sleep(0.05)  # lets go of Python's lock, as other threads make it do now and then
    return known(*arguments, **options)
builtins.__import__ = slow
one = torch.ones(1, dtype=torch.int32)
print(load_examples([5, 7, 9], types.SimpleNamespace(example=lambda k: int(relabel(one, {1: k})))))
"""


def test_two_readers_do_not_wait_for_each_other_for_ever() -> None:
    told = subprocess.run([sys.executable, "-c", TWO_READERS], capture_output=True, text=True, check=True, cwd=REPOSITORY, timeout=120)
    assert told.stdout == "[5, 7, 9]\n"


def test_a_window_beyond_the_edge_is_filled_with_zeros() -> None:
    volume = torch.arange(1, 26).reshape(5, 5)
    window = cut(volume, (0, 4), (4, 4))
    assert torch.equal(window, torch.tensor([[0, 0, 0, 0], [0, 0, 0, 0], [3, 4, 5, 0], [8, 9, 10, 0]]))
    assert cut(volume, (40, 40), (4, 4)).abs().sum() == 0


@pytest.mark.parametrize(("centre", "size"), [((2, 2), (5, 5)), ((3, 1), (2, 2))])
def test_a_window_inside_is_a_copy(centre: tuple[int, int], size: tuple[int, int]) -> None:
    volume = torch.rand(5, 5)
    rows, columns = (slice(c - s // 2, c - s // 2 + s) for c, s in zip(centre, size, strict=True))
    assert torch.equal(cut(volume, centre, size), volume[rows, columns])


def test_anchors_are_voxels_of_their_structure_and_every_structure_has_some() -> None:
    target = torch.randint(0, 5, (20, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = anchors(target)
    for row, voxels in zip(range(1, 5), found, strict=True):
        assert 200 < len(voxels) < 600
        assert (target[tuple(voxels.long().T)] == row).all()


def test_small_structures_are_seen_as_often_as_large_ones_in_half_of_the_slices() -> None:
    target = torch.zeros(24, 24, 40, dtype=torch.uint8)
    target[4:20, 4:20] = 1
    target[8:10, 8:10, 30] = 2  # one slice of forty
    cutting, rng = Cutting((16, 16), (16, 16)), random.Random(0)
    levels = [cutting.place([example(target)], rng).level for _ in range(400)]
    assert levels.count(30) / 400 == pytest.approx(0.25 + 0.75 / 40, abs=0.06)


def test_a_window_as_large_as_the_structures_is_centred_and_a_smaller_one_moves_among_them() -> None:
    target = torch.zeros(60, 40, 30, dtype=torch.uint8)
    target[10:50, 10:30, 5:25] = 1
    rng = random.Random(0)
    places = [Cutting((24, 24, 24), (16, 24, 24)).place([example(target)], rng) for _ in range(200)]
    first = [place.centre[0] for place in places]
    assert {place.centre[1:] for place in places} == {(20, 15)}
    assert min(first) >= 18 and max(first) <= 42 and max(first) - min(first) > 15


@pytest.mark.parametrize("ndim", [2, 3])
def test_half_of_the_windows_lie_anywhere_in_the_head_or_where_there_is_tissue(ndim: int) -> None:
    target, head = torch.zeros(2, 60, 60, 60, dtype=torch.uint8)
    target[22:38, 22:38, 40:56] = 1
    head[10:50, 5:55, 2:58] = 1
    cutting, rng = Cutting((20,) * ndim, (16,) * ndim), random.Random(0)
    known = replace(example(target, head), tissue=bounding_box(target))
    places = [cutting.place([known], rng) for _ in range(400)]
    moved = [place for place in places if place.centre[:2] != (30, 30)]
    assert 0.4 < len(moved) / 400 < 0.6
    assert {place.centre[1] for place in moved} > set(range(14, 46))
    assert min(height(place, ndim) for place in places) == (2 if ndim == 2 else 10)
    assert min(height(cutting.place([known], rng, labelled=True), ndim) for _ in range(400)) == (40 if ndim == 2 else 48)


def height(place: Place, ndim: int) -> int:
    return place.level if ndim == 2 else place.centre[2]


def test_narrow_gaps_of_the_brain_become_fluid_and_the_world_outside_does_not() -> None:
    tissue = TissueClasses.of([(load_table("freesurfer"), [0, 2])])
    classes = torch.zeros(40, 40, 40, dtype=torch.uint8)
    classes[8:32, 8:32, 8:32] = tissue.names.index("cerebral white matter")
    classes[19:21, 8:32, 14:32] = 0  # a sulcus of 4 mm at 2 mm voxels
    filled = fill_gaps(classes, tissue, (2.0, 2.0, 2.0), 8.0)
    assert (filled[19:21, 12:28, 16:28] == tissue.fluid).all()
    assert (filled[:8] == 0).all() and (filled[:, :, 34:] == 0).all()
    assert torch.equal(filled[classes > 0], classes[classes > 0])
    assert torch.equal(fill_gaps(classes, tissue, (2.0, 2.0, 2.0), 0), classes)


@pytest.mark.parametrize("step", [0.4, 1.0])
def test_a_convex_brain_has_no_gaps_at_any_spacing(step: float) -> None:
    tissue = TissueClasses.of([(load_table("freesurfer"), [0, 2])])
    radius = np.linalg.norm(np.indices((60, 60, 60)) - 29.5, axis=0)
    classes = torch.from_numpy((radius < 14) * tissue.names.index("cerebral white matter")).to(torch.uint8)
    assert torch.equal(fill_gaps(classes, tissue, (step, step, 2 * step), 8.0), classes)


def test_labels_whose_header_is_nearly_that_of_their_image_lie_on_the_image(heads: Path, tiny: Callable[..., RunConfig], tmp_path: Path) -> None:
    """As the check of the data says: the image stays as it is, and its voxels keep their labels."""
    labels = read_label_map(heads / "sub-0_dseg.nii.gz")
    affine = labels.grid.affine.copy()
    affine[:3, 3] += (0.6, -0.6, 0.3)
    preparation = replace(preparation_for(tiny(), ["freesurfer"]), spacing_mm=(2.0, 2.0, 2.0))
    examples = []
    for grid in (labels.grid, Grid(labels.grid.shape, affine)):
        write_label_map(LabelMap(labels.data, grid), tmp_path / "dseg.nii.gz")
        examples.append(preparation.example(Subject("s", "real", heads / "sub-0_T1w.nii.gz", tmp_path / "dseg.nii.gz")))
    same, near = examples
    assert near.image is not None and same.image is not None
    assert torch.equal(near.image, same.image) and torch.equal(near.target, same.target) and near.grid.matches(same.grid, 1e-5)


def test_a_target_of_more_structures_than_a_byte_counts_is_refused(tiny: Callable[..., RunConfig]) -> None:
    with pytest.raises(InputError, match="target 'freesurfer': 295 .*at most 256"):
        preparation_for(tiny(target="freesurfer"), ["freesurfer"])

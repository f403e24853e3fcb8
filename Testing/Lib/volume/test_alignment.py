"""Alignment: real pairs pass, the same pairs moved or flipped do not."""

from __future__ import annotations

import pytest
import torch

from Learn2SynthLib.labels import load_table
from Learn2SynthLib.volume.alignment import alignment
from Learn2SynthLib.volume.files import read_image, read_label_map
from Learn2SynthLib.volume.geometry import model_grid, resample_image, resample_labels
from Learn2SynthLib.volume.image import LabelMap
from Learn2SynthLib.volume.relabel import relabel

REAL_PAIRS = [
    ("malf_t1_manual/train/sub-1000_T1w", "malf_t1_manual/train/sub-1000_dseg", "neuromorphometrics"),
    ("nichart_t1_flair/sub-21_FLAIR", "nichart_t1_flair/sub-21_space-FLAIR_dseg", "muse"),
    ("niivue_t1_freesurfer/sub-niivue_T1w", "niivue_t1_freesurfer/sub-niivue_dseg", "freesurfer"),
]


def moved(labels, change):
    return LabelMap(change(labels.data), labels.grid, labels.table)


def assert_only_the_right_place_passes(image, labels):
    """Axes must be RAS, voxels 4 mm."""
    assert not alignment(image, labels).doubtful
    for axis, steps in ((1, 8), (2, -8)):
        fit = alignment(image, moved(labels, lambda data: data.roll(steps, axis)))  # noqa: B023
        assert fit.wrong and fit.flip == "" and abs(fit.shift_mm[axis] + 4 * steps) <= 4
    flipped = alignment(image, moved(labels, lambda data: data.flip(2)))
    assert flipped.wrong and flipped.flip == "flipped upside down"
    assert alignment(image, moved(labels, lambda data: data.flip(1))).doubtful


def test_a_made_up_head(head, make_grid):
    assert_only_the_right_place_passes(*head(make_grid((48, 60, 52), (4, 4, 4))))


@pytest.mark.parametrize("image, labels, table", REAL_PAIRS)
def test_real_pairs(data_folder, image, labels, table):
    target = load_table("brain")
    scan, segmentation = read_image(data_folder / f"{image}.nii.gz"), read_label_map(data_folder / f"{labels}.nii.gz", table)
    grid = model_grid(scan.grid, (4, 4, 4))
    small = resample_labels(LabelMap(relabel(segmentation.data, load_table(table).mapping_to(target)), segmentation.grid, "brain"), grid)
    assert_only_the_right_place_passes(resample_image(scan, grid), small)


def test_labels_without_any_image_contrast_raise_no_alarm(head, make_grid, noise_image):
    _, labels = head(make_grid((40, 50, 44), (4, 4, 4)))
    assert not alignment(noise_image(labels.grid), labels).doubtful
    assert not alignment(noise_image(labels.grid), moved(labels, torch.zeros_like)).doubtful

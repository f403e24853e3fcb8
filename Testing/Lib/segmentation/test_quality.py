"""The estimated quality: known cases, and bad segmentations below good ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from Learn2SynthLib.labels import Label, LabelTable
from Learn2SynthLib.segmentation.quality import CONSTANT, FOREIGN, MEAN, OWN, THIN_MM, UNUSUAL, Usual, estimate_quality
from Learn2SynthLib.volume.image import Grid

TABLE = LabelTable("two", (Label(0, "background", (0, 0, 0), scored=False), Label(7, "ball", (1, 1, 1)), Label(-3, "box", (2, 2, 2))))
BALL, BOX = 1, 2
SHAPE = (16, 18, 20)


def grid(*spacing: float) -> Grid:
    return Grid(SHAPE, np.diag([*(spacing or (1, 1, 1)), 1.0]))


def estimated(own: float, mean: float, thin: float, unusual: float = 0, foreign: float = 0) -> float:
    sure, all_sure = (math.log(dice / (1 - dice)) for dice in (min(own, 0.98), min(mean, 0.98)))
    return 1 / (1 + math.exp(-(CONSTANT + OWN * sure + MEAN * all_sure + THIN_MM * thin + UNUSUAL * unusual + FOREIGN * foreign)))


def posteriors(*regions: tuple[int, Sequence[slice], float]) -> Tensor:
    """Class, region, its probability there; the rest is background."""
    found = torch.zeros(3, *SHAPE)
    for k, region, probability in regions:
        found[(k, *region)] = probability
    found[0] = 1 - found[1:].sum(0)
    return found


def labelled(probabilities: Tensor) -> Tensor:
    return torch.tensor(TABLE.values, dtype=torch.int32)[probabilities.argmax(0)]


def quality(probabilities: Tensor, where: Grid | None = None, usual_mm3: Mapping[str, float] | None = None) -> dict[str, float]:
    return estimate_quality(probabilities, labelled(probabilities), torch.zeros(SHAPE), TABLE, where or grid(), Usual(usual_mm3 or {}))


def block(x: int, y: int, z: int, *size: int) -> tuple[slice, ...]:
    return tuple(slice(start, start + length) for start, length in zip((x, y, z), size or (4, 4, 4)))


SURE = ((BALL, block(2, 2, 2), 1.0), (BOX, block(9, 9, 9, 2, 3, 4), 1.0))


def test_sure_structures_differ_by_their_shape_alone() -> None:
    found = quality(posteriors(*SURE))
    assert list(found) == ["ball", "box"]
    assert found["ball"] == pytest.approx(estimated(1, 1, 6 * 16 / 64))
    assert found["box"] == pytest.approx(estimated(1, 1, 52 / 24))
    assert 0 < found["box"] < found["ball"] < 1


def test_surface_and_volume_are_measured_in_mm() -> None:
    faces = 12 * 1.5 * 0.5 + 8 * 2 * 0.5 + 6 * 2 * 1.5  # on one side of the box of 2 x 3 x 4 voxels, along each axis
    assert quality(posteriors(*SURE), grid(2, 1.5, 0.5))["box"] == pytest.approx(estimated(1, 1, 2 * faces / (24 * 1.5)))


def test_where_the_image_ends_is_no_surface() -> None:
    found = quality(posteriors((BALL, block(0, 0, 0, 8, 18, 20), 1.0), (BOX, block(8, 0, 0, 8, 18, 20), 1.0)))
    assert found["ball"] == found["box"] == pytest.approx(estimated(1, 1, 1 / 8))


def test_what_it_is_unsure_of_lowers_it_and_a_little_the_others() -> None:
    unsure = quality(posteriors((BALL, block(2, 2, 2), 0.6), SURE[1]))
    own = 2 * 0.6 * 64 / (64 + 0.6 * 64)
    assert unsure["ball"] == pytest.approx(estimated(own, (own + 1) / 2, 1.5), rel=1e-5)
    assert unsure["box"] == pytest.approx(estimated(1, (own + 1) / 2, 52 / 24), rel=1e-5)


def test_probability_outside_the_structure_counts_against_it() -> None:
    around = quality(posteriors(*SURE, (BALL, block(2, 2, 10), 0.4)))
    own = 2 * 64 / (64 + 64 + 0.4 * 64)
    assert around["ball"] == pytest.approx(estimated(own, (own + 1) / 2, 1.5), rel=1e-5)


def test_what_clean_up_took_away_counts_against_it() -> None:
    twice = posteriors(*SURE, (BALL, block(2, 2, 12), 1.0))
    labels = labelled(twice)
    labels[block(2, 2, 12)] = 0
    own = 2 * 64 / (64 + 128)
    assert estimate_quality(twice, labels, torch.zeros(SHAPE), TABLE, grid(), Usual())["ball"] == pytest.approx(estimated(own, (own + 1) / 2, 1.5))


def test_an_unusual_volume_lowers_it_too_small_or_too_large() -> None:
    sizes = {"ball": 64 * 8.0, "box": 24 * 8.0}  # mm3
    usual, small, large = (quality(posteriors(*SURE), grid(2, 2, 2), {name: factor * size for name, size in sizes.items()}) for factor in (1, 3, 1 / 3))
    assert usual == quality(posteriors(*SURE), grid(2, 2, 2))
    assert small["ball"] == pytest.approx(large["ball"]) == pytest.approx(estimated(1, 1, 0.75, math.log(3)))
    assert small["ball"] < usual["ball"] and small["box"] < usual["box"]


def test_what_is_usual_may_be_known_of_some_structures_only() -> None:
    found = quality(posteriors(*SURE), usual_mm3={"box": 240.0, "ball": 0.0})
    assert found["ball"] == pytest.approx(estimated(1, 1, 1.5)) and found["box"] == pytest.approx(estimated(1, 1, 52 / 24, math.log(10)))


@pytest.mark.parametrize(("seen", "foreign"), [((0.2, 0.5, 0.9), 0), ((0.9, 0.6, 0.2), 1), ((0.5, 0.5, 0.5), 0), ((0.1, 0.8, 0.4), 48 / 74)])
def test_a_contrast_that_was_not_taught_lowers_all(seen: tuple[float, ...], foreign: float) -> None:
    names, regions = ("a", "b", "c"), [block(x, 2, 2) for x in (1, 6, 11)]
    table = LabelTable("three", (TABLE.labels[0], *(Label(k + 1, name, (k, k, k)) for k, name in enumerate(names))))
    probabilities, volume = torch.zeros(4, *SHAPE), torch.full(SHAPE, 0.3)
    for k, (region, intensity) in enumerate(zip(regions, seen)):
        probabilities[(k + 1, *region)], volume[region] = 1, intensity
    probabilities[0] = 1 - probabilities[1:].sum(0)
    labels = probabilities.argmax(0).int()
    known = dict(zip(names, (0.1, 0.4, 0.8)))
    for usual, lower in ((known, foreign), ({"a": 0.1, "b": 0.4}, 0), ({}, 0)):  # two structures have no contrast
        found = estimate_quality(probabilities, labels, volume, table, grid(), Usual(intensity=usual))
        assert found == pytest.approx(dict.fromkeys(names, estimated(1, 1, 1.5, 0, lower)), abs=1e-4)


@pytest.mark.parametrize("mass", [0.0, 0.4])
def test_what_was_not_found_is_0_and_lowers_the_others(mass: float) -> None:
    found = quality(posteriors(SURE[1], (BALL, block(2, 2, 2), mass)))
    assert found["ball"] == 0
    assert found["box"] == pytest.approx(estimated(1, 0.5, 52 / 24))


def test_an_empty_segmentation_is_0_all_over() -> None:
    assert quality(posteriors()) == {"ball": 0, "box": 0}


def test_a_ragged_structure_is_below_a_round_one_of_the_same_size() -> None:
    apart = tuple(slice(1, 9, 2) for _ in range(3))  # every second voxel along each axis
    assert quality(posteriors((BALL, apart, 1.0), SURE[1]))["ball"] < quality(posteriors(*SURE))["ball"] - 0.3


def ball(noise: float) -> Tensor:
    """Probabilities of a ball and a box around it, as a network that thresholds an image with this much noise finds them."""
    places = torch.stack(torch.meshgrid(*(torch.linspace(-1, 1, n) for n in SHAPE), indexing="ij"))
    image = 1 - places.square().sum(0).sqrt() + noise * torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    return torch.softmax(torch.stack([torch.zeros(SHAPE), 40 * (image - 0.5), 20 * (image - 0.2)]), dim=0)


@pytest.mark.parametrize("structure", ["ball", "box"])
def test_the_worse_the_image_the_lower_the_quality(structure: str) -> None:
    truth = labelled(ball(0))
    found, dice = [], []
    for noise in (0, 0.05, 0.1, 0.15, 0.2):
        labels = labelled(ball(noise))
        value = TABLE.labels[BALL if structure == "ball" else BOX].value
        found.append(quality(ball(noise))[structure])
        dice.append(2 * float(((labels == value) & (truth == value)).sum() / ((labels == value).sum() + (truth == value).sum())))
    assert sorted(found, reverse=True) == found and sorted(dice, reverse=True) == dice


def test_any_order_of_memory() -> None:
    probabilities = ball(0.1)
    turned = probabilities.permute(0, 3, 2, 1).contiguous().permute(0, 3, 2, 1)
    assert quality(turned) == pytest.approx(quality(probabilities))

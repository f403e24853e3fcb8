"""Grids, and volumes moved between them: positions are exact for linear ramps, edges are not darkened, labels not invented."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from Learn2SynthLib.volume import geometry
from Learn2SynthLib.volume.geometry import model_grid, resample_image, resample_labels, resample_probabilities
from Learn2SynthLib.volume.image import Grid, Image, LabelMap

AXES = ["RAS", "LIA", "PSR", "LPS", "IRP"]


def world(grid):
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    return index @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def ramp(grid):
    """An image linear in the world's coordinates: resampling must return the same function of place."""
    return Image(torch.from_numpy((world(grid) @ (1.0, 2.0, -0.5) + 300).astype(np.float32)), grid)


def centre(grid):
    return grid.affine @ (*((np.array(grid.shape) - 1) / 2), 1)


def inner(volume, border=3):
    return volume[border:-border, border:-border, border:-border]


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("degrees", [0, 20, -40])
def test_model_grid_is_closest_to_ras_with_the_same_centre_and_field_of_view(make_grid, axes, degrees):
    grid = make_grid((20, 30, 24), (1, 1.5, 2), (5, -7, 11), axes, degrees)
    made = model_grid(grid, (2, 2, 2))
    assert made.orientation == "RAS" and np.linalg.det(made.affine) > 0
    np.testing.assert_allclose(made.spacing_mm, (2, 2, 2))
    np.testing.assert_allclose(centre(made), centre(grid), atol=1e-9)
    assert np.prod(made.shape) * made.voxel_mm3 == pytest.approx(20 * 30 * 24 * 3, rel=0.1)
    # Oblique axes are kept: every axis of one grid is an axis of the other.
    overlap = np.abs((made.affine[:3, :3] / made.spacing_mm).T @ (grid.affine[:3, :3] / grid.spacing_mm))
    np.testing.assert_allclose(np.sort(overlap.ravel()), [0] * 6 + [1] * 3, atol=1e-7)


def test_a_ras_grid_of_the_right_spacing_is_its_own_model_grid(make_grid):
    grid = make_grid((9, 10, 11), (1.5, 1, 2), (3, 4, 5))
    assert model_grid(grid, (1.5, 1, 2)).matches(grid, 1e-6)


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("spacing", [(1, 1, 1), (2, 2, 2), (0.7, 1, 3)])
def test_linear_images_stay_linear_on_shared_axes(make_grid, axes, spacing):
    image = ramp(make_grid((24, 22, 26), (1, 1.2, 1.5), (5, -7, 11), axes, 10))
    target = model_grid(image.grid, spacing)
    torch.testing.assert_close(inner(resample_image(image, target).data), inner(ramp(target).data), atol=2e-3, rtol=1e-5)


@pytest.mark.parametrize("spacing", [(1, 1, 1), (2, 2, 2)])
def test_linear_images_stay_linear_on_turned_axes(make_grid, spacing):
    image = ramp(make_grid((40, 42, 44), (1, 1, 1), (0, 0, 0), "LIA"))
    target = Grid((8, 7, 6), make_grid((8, 7, 6), spacing, tuple(centre(image.grid)[:3] - 5), "RAS", 25).affine)
    torch.testing.assert_close(resample_image(image, target).data, ramp(target).data, atol=2e-2, rtol=1e-4)


@pytest.mark.parametrize("degrees", [0, 30])
def test_edges_are_not_darkened_and_outside_is_zero(make_grid, degrees):
    grid = make_grid((10, 12, 14), (1, 1, 1), (0, 0, 0), "LIA")
    image = Image(torch.full(grid.shape, 7.0), grid)
    for spacing in (0.5, 1, 2):
        target = model_grid(grid, (spacing,) * 3)
        torch.testing.assert_close(resample_image(image, target).data, torch.full(target.shape, 7.0))
    far = make_grid((30, 30, 30), (1, 1, 1), (-25, -5, -5), "RAS", degrees)
    moved = resample_image(image, far).data
    index = (world(far) - grid.affine[:3, 3]) @ np.linalg.inv(grid.affine[:3, :3]).T
    inside = ((index > -0.49) & (index < np.array(grid.shape) - 0.51)).all(-1)
    outside = ((index < -0.51) | (index > np.array(grid.shape) - 0.49)).any(-1)
    assert inside.any() and outside.any()
    assert (moved.numpy()[inside] > 6.99).all() and (moved.numpy()[outside] == 0).all()


@pytest.mark.parametrize("degrees", [0, 8])
def test_detail_finer_than_the_target_is_smoothed_away(make_grid, degrees):
    grid = make_grid((32, 32, 32))
    stripes = Image(torch.tensor([0.0, 100.0]).repeat(16)[:, None, None].expand(32, 32, 32).contiguous(), grid)
    target = Grid((8, 8, 8), make_grid((8, 8, 8), (3, 3, 3), (6, 4, 4), "RAS", degrees).affine)
    assert resample_image(stripes, target).data.sub(50).abs().max() < 4


def test_the_general_path_agrees_with_the_matrices(make_grid, noise_image, monkeypatch):
    image = noise_image(make_grid((20, 22, 18), (1, 1.3, 0.9), (3, 4, 5), "PIL"))
    labels = LabelMap((image.data * 5).int(), image.grid)
    for spacing in ((0.8, 0.8, 0.8), (1.1, 2.5, 1.7)):
        target = model_grid(image.grid, spacing)
        fast = resample_image(image, target).data, resample_labels(labels, target).data
        with monkeypatch.context() as patch:
            patch.setattr(geometry, "matched_axes", lambda *_: None)
            slow = resample_image(image, target).data, resample_labels(labels, target).data
        torch.testing.assert_close(fast[0], slow[0], atol=1e-4, rtol=1e-4)
        assert torch.equal(fast[1], slow[1])


def test_matching_grids_pass_through(make_grid, noise_image):
    image = noise_image(make_grid())
    assert resample_image(image, make_grid()).data is image.data


# --- labels


def blob(grid):
    place = (world(grid) - centre(grid)[:3]) / (11, 8, 6)
    radius = (place**2).sum(-1)
    return LabelMap(torch.from_numpy(np.select([radius < 0.4, radius < 1], [500, 17], 0).astype(np.int32)), grid, "muse")


@pytest.mark.parametrize("degrees", [0, 15])
@pytest.mark.parametrize("spacing", [0.6, 1, 1.4, 2, 3])
def test_labels_are_never_invented_and_keep_their_volume_and_place(make_grid, spacing, degrees):
    labels = blob(make_grid((30, 26, 28), (1, 1, 1), (2, 3, 4), "LIA"))
    target = model_grid(labels.grid, (spacing,) * 3)
    target = Grid(target.shape, np.linalg.inv(_turn_about(centre(labels.grid), degrees)) @ target.affine)
    moved = resample_labels(labels, target)
    assert set(moved.data.unique().tolist()) <= {0, 17, 500} and moved.table == "muse" and moved.data.dtype == torch.int32
    for value in (17, 500):
        before, after = ((lm.data == value).sum().item() * lm.grid.voxel_mm3 for lm in (labels, moved))
        assert after == pytest.approx(before, rel=0.05 + 0.05 * spacing)
    places = [world(lm.grid)[(lm.data == 500).numpy()].mean(0) for lm in (labels, moved)]
    np.testing.assert_allclose(places[0], places[1], atol=0.1 + 0.1 * spacing)


def _turn_about(point, degrees):
    turn = np.eye(4)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn[:2, :2] = [[c, -s], [s, c]]
    turn[:3, 3] = point[:3] - turn[:3, :3] @ point[:3]
    return turn


def test_downsampled_labels_are_the_majority(make_grid):
    data = torch.zeros((4, 4, 4), dtype=torch.int32)
    data[:2, :2, :2] = torch.tensor([5, 5, 5, 9, 9, 7, 7, 5]).view(2, 2, 2)
    data[2, 2, 2] = 3
    grid = make_grid((4, 4, 4))
    moved = resample_labels(LabelMap(data, grid), model_grid(grid, (2, 2, 2))).data
    assert moved[0, 0, 0] == 5 and moved[1, 1, 1] == 0


def test_ties_are_shared_fairly(make_grid):
    """A plane half way through the large voxels: neither side gains volume."""
    grid = make_grid((17, 16, 16))
    data = torch.zeros(grid.shape, dtype=torch.int32)
    data[9:] = 1
    target = Grid((8, 8, 8), make_grid((8, 8, 8), (2, 2, 2), (0.5, 0.5, 0.5)).affine)
    moved = resample_labels(LabelMap(data, grid), target).data
    assert moved[4].float().mean() == 0.5 and (moved[:4] == 0).all() and (moved[5:] == 1).all()


# --- probabilities


@pytest.mark.parametrize("degrees", [0, 20])
def test_probabilities_come_in_slabs_that_cover_the_target_once(make_grid, monkeypatch, degrees):
    monkeypatch.setattr(geometry, "_SLAB_VALUES", 3 * 24 * 24 * 5)
    source = make_grid((10, 11, 12), (2, 2, 2), (0, 0, 0), "RAS", degrees)
    probabilities = torch.rand((3, *source.shape), generator=torch.Generator().manual_seed(0)).softmax(0)
    target = make_grid((24, 24, 24), (1, 1, 1), (20, 21, 22), "LPI")
    starts, slabs = zip(*resample_probabilities(probabilities, source, target), strict=True)
    assert list(starts) == list(np.cumsum([0, *(slab.shape[-1] for slab in slabs)])[:-1]) and len(slabs) > 3
    whole = torch.cat(slabs, -1)
    assert whole.shape == (3, 24, 24, 24)
    torch.testing.assert_close(whole.sum(0), torch.ones(target.shape))
    for channel in (1, 2):  # no smoothing when resolution is gained, so each channel is the linear interpolation of itself
        expected = resample_image(Image(probabilities[channel], source), target).data
        torch.testing.assert_close(whole[channel], expected, atol=1e-5, rtol=1e-5)


def test_outside_the_source_is_background(make_grid):
    source, target = make_grid((4, 4, 4)), make_grid((4, 4, 4), (1, 1, 1), (100, 0, 0))
    probabilities = torch.full((3, 4, 4, 4), 1 / 3)
    for background, expected in ((0, [1, 0, 0]), (2, [0, 0, 1]), (None, [0, 0, 0])):
        ((_, slab),) = resample_probabilities(probabilities, source, target, background)
        assert slab[:, 1, 1, 1].tolist() == expected


def test_labels_survive_the_way_to_the_model_grid_and_back(make_grid):
    labels = blob(make_grid((30, 26, 28), (1, 1, 1), (2, 3, 4), "LIA", 10))
    model = model_grid(labels.grid, (1, 1, 1))
    there = resample_labels(labels, model)
    one_hot = torch.stack([(there.data == value).float() for value in (0, 17, 500)])
    back = torch.cat([slab.argmax(0) for _, slab in resample_probabilities(one_hot, model, labels.grid)], -1)
    assert torch.equal(torch.tensor([0, 17, 500])[back], labels.data.long())


def test_flair_labels_fall_on_the_t1_labels(data_folder):
    """The same person's labels on two grids of one scanner space agree once on one grid."""
    from Learn2SynthLib.volume.files import read_label_map

    t1, flair = (read_label_map(data_folder / "nichart_t1_flair" / f"sub-01_space-{c}_dseg.nii.gz", "muse") for c in ("T1w", "FLAIR"))
    a, b = t1.data > 0, resample_labels(flair, t1.grid).data > 0
    assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.95

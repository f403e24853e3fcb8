"""The Segmenter: from an image on any grid to labels on that grid, within the memory there is."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from Learn2SynthLib.config import NetworkConfig
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import Label, LabelTable, load_table
from Learn2SynthLib.segmentation.card import NetworkCard
from Learn2SynthLib.segmentation.clean_up import give_strays_away, keep_largest_components, keep_near_the_largest
from Learn2SynthLib.segmentation.plan import plans
from Learn2SynthLib.segmentation.segmenter import Segmenter, write_volumes_csv
from Learn2SynthLib.volume.geometry import resample_image
from Learn2SynthLib.volume.image import Grid, Image

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
BACKGROUND = Label(0, "background", (0, 0, 0), scored=False)
TABLE = LabelTable("threshold", (BACKGROUND, Label(7, "bright", (255, 0, 0)), Label(9, "brightest", (0, 255, 0))))


class Threshold(nn.Module):
    """Bright above a half, brightest above four fifths of the range."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(x), 50 * (x - 0.5), 100 * (x - 0.65)], dim=1)


def threshold_segmenter(spacing_mm: tuple[float, float, float] = (1, 1, 1), ndim: int = 3, table: LabelTable = TABLE) -> Segmenter:
    card = NetworkCard("threshold", NetworkConfig(features=(4, 8, 8, 8)), table, spacing_mm, (16,) * ndim, (0, 100))
    return Segmenter(Threshold(), card, CPU)


def image_with_range(grid: Grid) -> Image:
    """Smooth intensities from 0 to 1, with both ends in it."""
    coarse = torch.rand(1, 1, 4, 4, 4, generator=torch.Generator().manual_seed(3))
    data = nn.functional.interpolate(coarse, size=grid.shape, mode="trilinear")[0, 0]
    return Image((data - data.min()) / (data.max() - data.min()), grid)


def thresholded(data: Tensor) -> Tensor:
    classes = torch.softmax(Threshold()(data[None, None]), dim=1)[0].argmax(0)
    return torch.tensor([0, 7, 9], dtype=torch.int32)[classes]


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("axes", ["RAS", "LAI", "LPS", "LIA", "PIR", "SLP"])
def test_every_orientation_equals_thresholding(make_grid: Callable[..., Grid], axes: str, ndim: int) -> None:
    image = image_with_range(make_grid((20, 24, 18), axes=axes, origin=(5, -7, 11)))
    found = threshold_segmenter(ndim=ndim).segment(image)
    assert found.labels.grid is image.grid
    assert torch.equal(found.labels.data, thresholded(image.data))
    assert found.notes == []


def test_oblique_images_keep_their_own_grid(make_grid: Callable[..., Grid]) -> None:
    image = image_with_range(make_grid((20, 24, 18), degrees=20))
    assert torch.equal(threshold_segmenter().segment(image).labels.data, thresholded(image.data))


@pytest.mark.parametrize(("shape", "spacing"), [((40, 44, 9), (1, 1, 5)), ((30, 30, 30), (1.7, 0.8, 2.2))])
def test_anisotropic_images_agree_but_at_the_borders(
    make_grid: Callable[..., Grid], shape: tuple[int, ...], spacing: tuple[float, ...]
) -> None:
    image = image_with_range(make_grid(shape, spacing, axes="LPS"))
    found = threshold_segmenter((1.5, 1.5, 1.5)).segment(image).labels
    assert found.data.shape == shape
    assert (found.data == thresholded(image.data)).float().mean() > 0.95


def test_volumes_are_counts_and_sums_of_probabilities(make_grid: Callable[..., Grid]) -> None:
    image = image_with_range(make_grid((20, 24, 18), (2, 1, 1.5)))
    found = threshold_segmenter((1, 1, 1)).segment(image, probabilities=True)
    assert found.probabilities is not None
    assert found.probabilities.shape == (3, 20, 24, 18)
    torch.testing.assert_close(found.probabilities.sum(0), torch.ones(image.grid.shape), atol=1e-4, rtol=0)
    for k, label in enumerate(TABLE.labels[1:], start=1):
        assert found.volumes_mm3[label.name] == pytest.approx(int((found.labels.data == label.value).sum()) * 3.0)
        assert found.soft_volumes_mm3[label.name] == pytest.approx(float(found.probabilities[k].double().sum()) * 3.0, rel=1e-4)
    assert "background" not in found.volumes_mm3


@pytest.mark.parametrize("axes", ["RAS", "LIA"])
def test_the_quality_is_that_of_the_network_and_not_of_the_images_grid(make_grid: Callable[..., Grid], axes: str) -> None:
    image = image_with_range(make_grid((20, 24, 18)))
    fine = make_grid((40, 48, 36), (0.5, 0.5, 0.5), origin=(-0.25, -0.25, -0.25))
    found = threshold_segmenter().segment(image).quality
    assert list(found) == ["bright", "brightest"]
    assert threshold_segmenter().segment(resample_image(image, fine)).quality == pytest.approx(found, abs=0.02)
    turned = make_grid((20, 24, 18), axes=axes)
    shown = threshold_segmenter().segment(Image(image.data, turned)).quality
    assert shown == pytest.approx(found, abs=1e-4)


def test_a_noisy_image_has_less_quality(make_grid: Callable[..., Grid]) -> None:
    image = image_with_range(make_grid((20, 24, 18)))
    noise = 0.1 * torch.randn(image.data.shape, generator=torch.Generator().manual_seed(5))
    noisy = threshold_segmenter().segment(Image(image.data + noise, image.grid)).quality
    assert all(noisy[name] < value - 0.1 for name, value in threshold_segmenter().segment(image).quality.items())


def test_detached_parts_become_background(make_grid: Callable[..., Grid]) -> None:
    table = LabelTable("one piece", (TABLE.labels[0], Label(7, "bright", (1, 1, 1), largest_component=True), TABLE.labels[2]))
    image = Image(torch.zeros(20, 24, 18), make_grid((20, 24, 18)))
    image.data[2:6, 2:6, 2:6] = 0.7
    image.data[10:12, 10:12, 10:12] = 0.7
    image.data[15:17, 15:17, 15:17] = 1
    found = threshold_segmenter(table=table).segment(image)
    assert found.volumes_mm3 == {"bright": 4**3, "brightest": 2**3}
    assert found.soft_volumes_mm3["bright"] == pytest.approx(4**3 + 2**3, rel=0.01)
    whole = threshold_segmenter().segment(image)
    assert found.quality["brightest"] < whole.quality["brightest"]  # what was taken away counts as an error of the segmentation


def test_voxels_that_share_a_corner_are_one_part() -> None:
    labels = torch.zeros(8, 8, 8, dtype=torch.int32)
    labels[1, 1, 1] = labels[2, 2, 2] = labels[6, 6, 6] = 3
    labels[0, 7, 7] = 5
    cleaned = keep_largest_components(labels, [3, 4])
    assert cleaned.nonzero().tolist() == [[0, 7, 7], [1, 1, 1], [2, 2, 2]]
    assert labels[6, 6, 6] == 3


def test_small_parts_that_lie_apart_from_a_brain_go_and_large_ones_stay() -> None:
    labels = torch.zeros(20, 8, 8, dtype=torch.int32)
    labels[0:6], labels[6, 0, 0] = 2, 3  # structures that touch are one part
    labels[10:12], labels[16, :3, :3] = 4, 5
    cleaned = keep_near_the_largest(labels)
    assert cleaned.unique().tolist() == [0, 2, 3, 4] and torch.equal(cleaned[:12], labels[:12])
    assert not keep_near_the_largest(torch.zeros(4, 4, 4, dtype=torch.int32)).any()


def test_far_parts_of_a_structure_go_to_the_next_most_probable_class() -> None:
    posteriors = torch.zeros(4, 40, 8, 8)
    posteriors[0], posteriors[1, 20:], posteriors[2, :20] = 0.3, 0.2, 0.2
    posteriors[3, :3] = 0.6  # the structure,
    posteriors[3, 8:10, 2:4, 2:4] = 0.6  # a piece of it nearby
    posteriors[3, 33:35, 2:4, 2:4] = 0.6  # and a stray
    posteriors /= posteriors.sum(0, keepdim=True)
    before, labels = posteriors.clone(), posteriors.argmax(0)
    give_strays_away(posteriors, labels, [1, 2, 3], (1, 1, 1))
    far = torch.zeros(40, 8, 8, dtype=torch.bool)
    far[32:36, 2:4, 2:4] = far[33:35, 1:5, 2:4] = far[33:35, 2:4, 1:5] = True  # with a rim
    assert not posteriors[3, far].any() and torch.allclose(posteriors.sum(0), torch.ones(40, 8, 8))
    assert torch.equal(posteriors.argmax(0)[far], torch.zeros_like(labels)[far]) and torch.equal(posteriors[:, ~far], before[:, ~far])
    again = before.clone()
    give_strays_away(again, labels, [1, 2], (1, 1, 1))
    assert torch.equal(again, before)


def test_strays_are_looked_for_in_brain_structures_of_one_side_alone() -> None:
    rows = [label for label in load_table("brain-sided").labels if label.name in ("background", "left hippocampus", "brain stem")]
    lesion = Label(99, "left lesions", (1, 2, 3), freesurfer=(78,), side="left")
    card = NetworkCard("some", NetworkConfig(), LabelTable("some", (*rows, lesion)), (1, 1, 1), (16,) * 3, (0, 100))
    assert [card.table.labels[k].name for k in card.compact] == ["left hippocampus"]
    assert replace(card, table=load_table("brain")).compact == ()


def restricted(segmenter: Segmenter, available: Callable[[torch.device], int]) -> Segmenter:
    return Segmenter(segmenter.network, segmenter.card, segmenter.device, available)


@pytest.mark.parametrize(("rank", "batch_size"), [(0, 8), (1, 4), (2, 2)])
def test_little_memory_means_fewer_windows_at_once_and_one_sentence(make_grid: Callable[..., Grid], rank: int, batch_size: int) -> None:
    image = image_with_range(make_grid((20, 24, 10)))
    card = NetworkCard("threshold", NetworkConfig(features=(64, 64, 64, 64)), TABLE, (1, 1, 1), (256, 256), (0, 100))
    segmenter = Segmenter(Threshold(), card, CPU)
    demand = segmenter._demand(image.grid, image.grid, False)
    needs = [demand.bytes_on(plan)[CPU] for plan in plans(CPU, card.window, card.network.divisor)]
    found = restricted(segmenter, lambda device: needs[rank]).segment(image)
    sentence = f"Segmented in windows of 256 x 256 voxels, {batch_size} at a time, on the CPU, because cpu has"
    assert [note.startswith(sentence) for note in found.notes] == ([True] if rank else [])
    assert torch.equal(found.labels.data, thresholded(image.data))


def test_large_windows_shrink_when_memory_is_short(make_grid: Callable[..., Grid]) -> None:
    image = image_with_range(make_grid((20, 24, 18)))
    card = NetworkCard("threshold", NetworkConfig(features=(64, 64, 64, 64)), TABLE, (1, 1, 1), (160, 160, 160), (0, 100))
    segmenter = Segmenter(Threshold(), card, CPU)
    demand = segmenter._demand(image.grid, image.grid, False)
    needs = [demand.bytes_on(plan)[CPU] for plan in plans(CPU, card.window, card.network.divisor)]
    found = restricted(segmenter, lambda device: needs[2]).segment(image)
    assert len(found.notes) == 1
    assert "windows of 88 x 88 x 88 voxels, 1 at a time, on the CPU, because cpu has" in found.notes[0]
    assert found.notes[0].endswith(".")
    assert torch.equal(found.labels.data, thresholded(image.data))


def test_a_full_gpu_falls_back_to_the_cpu(make_grid: Callable[..., Grid]) -> None:
    image = image_with_range(make_grid((20, 24, 18)))
    fitting = threshold_segmenter()
    segmenter = Segmenter(fitting.network, fitting.card, CUDA, lambda device: 10**6 if device.type == "cuda" else 10**12)
    found = segmenter.segment(image)
    (note,) = found.notes
    assert "on the CPU" in note
    assert "cuda:0 has 0.00 GB of memory left" in note
    assert torch.equal(found.labels.data, thresholded(image.data))


def test_running_out_of_memory_falls_back_too(make_grid: Callable[..., Grid], monkeypatch: pytest.MonkeyPatch) -> None:
    image = image_with_range(make_grid((20, 24, 18)))
    fitting = threshold_segmenter(ndim=2)
    network = Greedy()
    found = Segmenter(network, fitting.card, CPU, lambda device: 10**12).segment(image)
    assert network.largest == 2
    start = "Segmented in windows of 16 x 16 voxels, 2 at a time, on the CPU, because cpu gave up (CUDA out of memory"
    assert found.notes[0].startswith(start)
    assert torch.equal(found.labels.data, thresholded(image.data))


class Greedy(Threshold):
    """Runs out of memory with more than three windows at once."""

    largest = 0

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to allocate a lot")
        self.largest = max(self.largest, len(x))
        return super().forward(x)


class Faulty(Threshold):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("a fault of the program")


def test_other_errors_are_not_taken_for_short_memory(make_grid: Callable[..., Grid]) -> None:
    with pytest.raises(RuntimeError, match="a fault of the program"):
        Segmenter(Faulty(), threshold_segmenter().card, CPU).segment(image_with_range(make_grid((20, 24, 18))))


def test_too_little_memory_for_anything_is_wrong_input(make_grid: Callable[..., Grid]) -> None:
    segmenter = restricted(threshold_segmenter(), lambda device: 10**6)
    with pytest.raises(InputError, match=r"0.00 GB of memory left and .* need 0.* GB"):
        segmenter.segment(image_with_range(make_grid((20, 24, 18))))


def test_volumes_as_csv(tmp_path: Path, make_grid: Callable[..., Grid]) -> None:
    found = threshold_segmenter().segment(image_with_range(make_grid((20, 24, 18))))
    write_volumes_csv(tmp_path / "new" / "volumes.csv", [("größe, 1", found.measures), ("two", found.measures)])
    with open(tmp_path / "new" / "volumes.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:4] == ["image", "bright (mm3)", "bright soft (mm3)", "bright quality"]
    assert list(rows[0])[4:] == ["brightest (mm3)", "brightest soft (mm3)", "brightest quality"]
    assert [row["image"] for row in rows] == ["größe, 1", "two"]
    assert float(rows[0]["bright (mm3)"]) == found.volumes_mm3["bright"]
    assert 0 < float(rows[1]["bright quality"]) == round(found.quality["bright"], 3) < 1
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["volumes.csv"]


def test_flips_are_refused_where_left_and_right_cannot_be_swapped(make_grid: Callable[..., Grid]) -> None:
    table = LabelTable("half", (BACKGROUND, Label(7, "left eye", (1, 1, 1), side="left"), TABLE.labels[2]))
    segmenter, image = threshold_segmenter(table=table), image_with_range(make_grid((16, 16, 16)))
    assert segmenter.segment(image).table == table
    with pytest.raises(InputError, match="left eye.*segment without flips"):
        segmenter.segment(image, flips=True)

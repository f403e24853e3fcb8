"""The Segmenter: from an image on any grid to labels on that grid, within the memory there is, from bundles that are sound."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from Learn2SynthLib.config import NetworkConfig
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import Label, LabelTable, load_table
from Learn2SynthLib.model import Model
from Learn2SynthLib.segmentation.card import NetworkCard
from Learn2SynthLib.segmentation.clean_up import keep_largest_components
from Learn2SynthLib.segmentation.device import choose_device
from Learn2SynthLib.segmentation.networks import build_network
from Learn2SynthLib.segmentation.plan import Demand, plans
from Learn2SynthLib.segmentation.segmenter import Segmenter, find_model, write_volumes_csv
from Learn2SynthLib.volume.image import Grid, Image

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
BACKGROUND = Label(0, "background", (0, 0, 0), scored=False)
TABLE = LabelTable("threshold", (BACKGROUND, Label(7, "bright", (255, 0, 0)), Label(9, "brightest", (0, 255, 0))))


class Threshold(nn.Module):
    """Bright above a half, brightest above four fifths of the range."""

    divisor = 8

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(x), 50 * (x - 0.5), 100 * (x - 0.65)], dim=1)


def threshold_segmenter(spacing_mm: tuple[float, float, float] = (1, 1, 1), ndim: int = 3, table: LabelTable = TABLE) -> Segmenter:
    card = NetworkCard("threshold", NetworkConfig(features=(4, 8)), table, spacing_mm, (16,) * ndim, (0, 100))
    return Segmenter(Threshold(), card, CPU)


def image_with_range(grid: Grid) -> Image:
    """Smooth intensities from 0 to 1, with both ends in it."""
    coarse = torch.rand(1, 1, 4, 4, 4, generator=torch.Generator().manual_seed(3))
    data = nn.functional.interpolate(coarse, size=grid.shape, mode="trilinear")[0, 0]
    return Image((data - data.min()) / (data.max() - data.min()), grid)


def thresholded(data: Tensor) -> Tensor:
    classes = torch.softmax(Threshold()(data[None, None]), dim=1)[0].argmax(0)
    return torch.tensor([0, 7, 9], dtype=torch.int32)[classes]


def bundle(ndim: int = 2, changes: Mapping[str, Any] = MappingProxyType({})) -> Model:
    table = load_table("brain-sided")
    torch.manual_seed(0)
    network = build_network(NetworkConfig(features=(4, 8)), ndim, 1, len(table.labels))
    card = {
        "schema": 1, "name": "tiny", "ndim": ndim, "network": {"name": "unet", "features": [4, 8]}, "labels": table.to_json(),
        "spacing_mm": [4, 4, 4], "orientation": "RAS", "shape": [16] * ndim, "intensity": {"rule": "percentiles", "low": 0.5, "high": 99.5},
    }  # fmt: skip
    return Model({**card, **changes}, safetensors.torch.save(network.state_dict()))


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


def test_detached_parts_become_background(make_grid: Callable[..., Grid]) -> None:
    table = LabelTable("one piece", (TABLE.labels[0], Label(7, "bright", (1, 1, 1), largest_component=True), TABLE.labels[2]))
    image = Image(torch.zeros(20, 24, 18), make_grid((20, 24, 18)))
    image.data[2:6, 2:6, 2:6] = 0.7
    image.data[10:12, 10:12, 10:12] = 0.7
    image.data[15:17, 15:17, 15:17] = 1
    found = threshold_segmenter(table=table).segment(image)
    assert found.volumes_mm3 == {"bright": 4**3, "brightest": 2**3}
    assert found.soft_volumes_mm3["bright"] == pytest.approx(4**3 + 2**3, rel=0.01)


def test_voxels_that_share_a_corner_are_one_part() -> None:
    labels = torch.zeros(8, 8, 8, dtype=torch.int32)
    labels[1, 1, 1] = labels[2, 2, 2] = labels[6, 6, 6] = 3
    labels[0, 7, 7] = 5
    cleaned = keep_largest_components(labels, [3, 4])
    assert cleaned.nonzero().tolist() == [[0, 7, 7], [1, 1, 1], [2, 2, 2]]
    assert labels[6, 6, 6] == 3


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_real_bundle_from_file_to_labels(tmp_path: Path, head: Callable[..., Any], make_grid: Callable[..., Grid], ndim: int) -> None:
    bundle(ndim).write(tmp_path / "best.l2s")
    image = head(make_grid((36, 40, 30), (5, 5, 6), axes="LIA"))[0]
    progress: list[tuple[int, int]] = []
    found = Segmenter.load(tmp_path, device="cpu").segment(image, flips=True, progress=lambda *step: progress.append(step))
    assert found.labels.data.shape == image.data.shape
    assert found.labels.table == "brain-sided"
    assert set(found.labels.data.unique().tolist()) <= set(load_table("brain-sided").values)
    assert progress[-1][0] == progress[-1][1]


def test_loading_draws_nothing_at_random() -> None:
    model = bundle()
    torch.manual_seed(5)
    Segmenter.from_model(model, device="cpu")
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), after)


def test_weights_in_half_precision_are_read_as_float32() -> None:
    model = bundle()
    weights = {name: tensor.half() for name, tensor in safetensors.torch.load(model.weights).items()}
    network = Segmenter.from_model(Model(model.card, safetensors.torch.save(weights)), device="cpu").network
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"ndim": 4}, "ndim"),
        ({"ndim": [2]}, "ndim"),
        ({"orientation": "LPS"}, "orientation"),
        ({"network": {"name": "unett"}}, "unet"),
        ({"network": {"name": "unet", "features": [4, 8, 16]}}, "weights"),
        ({"network": {"name": "unet", "features": [8, 8]}}, "shape"),
        ({"network": 3}, "network"),
        ({"labels": load_table("brain").to_json()}, "weights 'head"),
        ({"spacing_mm": [2, 2]}, "spacing_mm"),
        ({"spacing_mm": [2, 2, 0]}, "spacing_mm"),
        ({"spacing_mm": [2, 2, float("nan")]}, "spacing_mm"),
        ({"shape": [16, 16, 16]}, "shape"),
        ({"shape": [16, 17]}, "multiples of 2"),
        ({"intensity": {"rule": "z-score"}}, "intensity"),
        ({"intensity": {"rule": "percentiles", "low": 99, "high": 1}}, "low below high"),
        ({"intensity": {"rule": "percentiles"}}, "intensity"),
    ],
)
def test_a_card_that_cannot_be_followed_is_refused_in_one_line(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word) as refusal:
        Segmenter.from_model(bundle(changes=changes), "tiny.l2s", device="cpu")
    assert "\n" not in str(refusal.value)
    assert "tiny.l2s" in str(refusal.value)


def test_corrupt_weights_are_refused_in_one_line() -> None:
    model = bundle()
    weights = safetensors.torch.load(model.weights)
    name = next(iter(weights))
    lacking = {key: tensor for key, tensor in weights.items() if key != name}
    broken = [
        model.weights[: len(model.weights) // 2],
        b"",
        b"\x00" * 100,
        safetensors.torch.save(lacking),
        safetensors.torch.save({**weights, "extra": torch.ones(1)}),
        safetensors.torch.save({**weights, name: weights[name] * float("nan")}),
    ]
    for content in broken:
        with pytest.raises(InputError, match="weights") as refusal:
            Segmenter.from_model(Model(model.card, content), "tiny.l2s", device="cpu")
        assert "\n" not in str(refusal.value)


def test_a_model_is_found_by_file_by_run_and_by_name(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.l2s").touch()
    assert find_model(tmp_path / "run") == tmp_path / "run" / "best.l2s"
    assert find_model(tmp_path / "run" / "best.l2s") == tmp_path / "run" / "best.l2s"
    with pytest.raises(InputError, match="no such model"):
        find_model("no-such-model")
    with pytest.raises(InputError, match=r"best.l2s"):
        find_model(tmp_path)


def test_bundles_that_are_too_new_or_no_bundles_are_refused(tmp_path: Path) -> None:
    bundle(changes={"schema": 99}).write(tmp_path / "new.l2s")
    with pytest.raises(InputError, match="schema 99"):
        Segmenter.load(tmp_path / "new.l2s")
    (tmp_path / "text.l2s").write_text("no zip")
    with pytest.raises(InputError, match="not a model bundle"):
        Segmenter.load(tmp_path / "text.l2s")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:0", "cuda:", "mps:1", "CUDA"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="--device"):
        choose_device(name)


def test_devices_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == CPU
    with pytest.raises(InputError, match=r"no CUDA device.*auto, cpu"):
        choose_device("cuda:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == CUDA
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(InputError, match=r"2 CUDA devices.*cuda:0, cuda:1"):
        choose_device("cuda:2")


@pytest.mark.parametrize(("window", "divisor"), [((128, 128, 96), 16), ((80, 96), 8), ((40, 200), 8)])
def test_plans_only_get_more_frugal_and_end_on_the_cpu(window: tuple[int, ...], divisor: int) -> None:
    demand = Demand(10**5, 10**5, 10, (64, 128, 256))
    found = list(plans(CUDA, window, divisor))
    assert found[0].window == window
    assert found[0].device == CUDA
    assert found[-1].device == CPU
    assert all(size % divisor == 0 for plan in found for size in plan.window)
    assert all(min(plan.window) >= min(*window, 48 if len(window) == 2 else 64) for plan in found)
    for device in (CPU, CUDA):
        needed = [demand.bytes_on(plan)[device] for plan in found if plan.device == device]
        assert needed == sorted(needed, reverse=True)


def test_the_estimate_grows_with_what_is_held() -> None:
    plan = next(plans(CPU, (96, 96, 96), 8))
    small, large = Demand(10**6, 10**6, 15, (16, 32)), Demand(10**6, 10**6, 15, (16, 32), keep_probabilities=True)
    assert large.bytes_on(plan)[CPU] - small.bytes_on(plan)[CPU] == 15 * 4 * 10**6


def restricted(segmenter: Segmenter, available: Callable[[torch.device], int]) -> Segmenter:
    return Segmenter(segmenter.network, segmenter.card, segmenter.device, available)


def test_little_memory_means_fewer_windows_at_once_and_one_sentence(make_grid: Callable[..., Grid]) -> None:
    image = image_with_range(make_grid((20, 24, 18)))
    segmenter = threshold_segmenter(ndim=2)
    needed = segmenter._demand(image.grid, image.grid, False)
    enough = needed.bytes_on(next(plans(CPU, (16, 16), 8)))[CPU]
    found = restricted(segmenter, lambda device: enough).segment(image)
    assert found.notes == []
    assert torch.equal(found.labels.data, thresholded(image.data))


def test_large_windows_shrink_when_memory_is_short(make_grid: Callable[..., Grid]) -> None:
    image = image_with_range(make_grid((20, 24, 18)))
    card = NetworkCard("threshold", NetworkConfig(features=(64, 64)), TABLE, (1, 1, 1), (160, 160, 160), (0, 100))
    segmenter = Segmenter(Threshold(), card, CPU)
    demand = segmenter._demand(image.grid, image.grid, False)
    needs = [demand.bytes_on(plan)[CPU] for plan in plans(CPU, card.window, 8)]
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
    write_volumes_csv(tmp_path / "new" / "volumes.csv", [("größe, 1", found), ("two", found.volumes)])
    with open(tmp_path / "new" / "volumes.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image", "bright (mm3)", "bright soft (mm3)", "brightest (mm3)", "brightest soft (mm3)"]
    assert [row["image"] for row in rows] == ["größe, 1", "two"]
    assert float(rows[0]["bright (mm3)"]) == found.volumes_mm3["bright"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["volumes.csv"]

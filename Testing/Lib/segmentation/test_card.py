"""Bundles: sound ones become segmenters, broken ones are refused in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import safetensors.torch
import torch

from Learn2SynthLib.config import NetworkConfig
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.model import Model
from Learn2SynthLib.resources import resource
from Learn2SynthLib.segmentation.networks import build_network
from Learn2SynthLib.segmentation.segmenter import Segmenter, find_model
from Learn2SynthLib.volume.image import Grid


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
        ({"usual_mm3": 7}, "usual_mm3"),
        ({"usual_mm3": {"thalamus": "large"}}, "usual_mm3"),
        ({"usual_intensity": {"thalamus": 70}}, "usual_intensity"),
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


def test_a_model_is_found_by_file_by_run_and_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.l2s").touch()
    assert find_model(tmp_path / "run") == tmp_path / "run" / "best.l2s"
    assert find_model(tmp_path / "run" / "best.l2s") == tmp_path / "run" / "best.l2s"
    with pytest.raises(InputError, match="no such model"):
        find_model("no-such-model")
    monkeypatch.chdir(tmp_path)  # where something is called as a shipped model is
    (tmp_path / "run").rename(tmp_path / "brain")
    assert find_model("brain") == resource("Models", "brain.l2s") and find_model("./brain") == Path("brain/best.l2s")
    with pytest.raises(InputError, match=r"best.l2s"):
        find_model(tmp_path)


def test_bundles_that_are_too_new_or_no_bundles_are_refused(tmp_path: Path) -> None:
    bundle(changes={"schema": 99}).write(tmp_path / "new.l2s")
    with pytest.raises(InputError, match="schema 99"):
        Segmenter.load(tmp_path / "new.l2s")
    (tmp_path / "text.l2s").write_text("no zip")
    with pytest.raises(InputError, match="not a model bundle"):
        Segmenter.load(tmp_path / "text.l2s")

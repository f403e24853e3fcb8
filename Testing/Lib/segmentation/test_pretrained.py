"""Pretrained weights: what fits is taken over bit for bit, what does not is told, and what is no such file is refused."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from Learn2SynthLib.config import NetworkConfig
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.model import Model
from Learn2SynthLib.segmentation.networks import build_network
from Learn2SynthLib.segmentation.pretrained import Pretrained

BRAIN, COARSE = load_table("brain"), load_table("brain-coarse")
RESIDUAL = NetworkConfig("resnet10-unet", (3, 4, 4, 5, 6, 7))
HEAD = ["head.weight", "head.bias"]


def network(config: NetworkConfig, ndim: int = 2, classes: int = len(BRAIN.labels), seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_network(config, ndim, 1, classes)


def bundle(path: Path, config: NetworkConfig) -> dict[str, Tensor]:
    """Writes a model of the table `brain`, and returns its weights."""
    weights = network(config, seed=1).state_dict()
    card = {
        "schema": 1, "ndim": 2, "network": {"name": config.name, "features": list(config.features)}, "labels": BRAIN.to_json(), "spacing_mm": [2, 2, 2],
        "orientation": "RAS", "shape": [16, 16], "intensity": {"rule": "percentiles", "low": 0.5, "high": 99.5},
    }  # fmt: skip
    Model(card, safetensors.torch.save(weights | {"synthesis.noise": torch.ones(2)})).write(path)
    return weights


def medicalnet(path: Path, encoder: nn.Module, shortcut: str = "B", zipped: bool = True) -> dict[str, Tensor]:
    """Writes a checkpoint as DataParallel names it, with batch norm's statistics, and returns its tensors by the encoder's names."""
    tensors = {name: torch.randn_like(weight) for name, weight in encoder.state_dict().items() if shortcut == "B" or "downsample" not in name}
    statistics = {f"{norm}.{what}": torch.ones(4) for norm in ("bn1", "layer1.0.bn2") for what in ("running_mean", "running_var", "num_batches_tracked")}
    state = OrderedDict((f"module.{name}", tensor) for name, tensor in (tensors | statistics | {"conv_seg.0.weight": torch.ones(2, 2)}).items())
    torch.save({"epoch": 3, "state_dict": state, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}}, path, _use_new_zipfile_serialization=zipped)
    return tensors


@pytest.mark.parametrize("config", [NetworkConfig("unet", (3, 4)), NetworkConfig("patched-unet", (3, 4)), RESIDUAL], ids=lambda config: config.name)
def test_a_model_of_the_same_table_is_taken_over_whole_and_of_another_all_but_its_last_layer(config: NetworkConfig, tmp_path: Path) -> None:
    weights = bundle(tmp_path / "model.l2s", config)
    pretrained = Pretrained.read(str(tmp_path / "model.l2s"))
    same = network(config)
    told = pretrained.load_into(same, BRAIN)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in same.state_dict().items())
    assert (told["file"], told["loaded"], told["kept"], told["unused"]) == ("model.l2s", len(weights), [], [])
    assert len(told["sha256"]) == 64

    other, before = network(config, classes=len(COARSE.labels)), network(config, classes=len(COARSE.labels)).state_dict()
    told = pretrained.load_into(other, COARSE)
    assert [name.split("head.")[-1] for name in told["kept"]] == ["weight", "bias"] and told["kept"] == told["unused"]
    assert all(torch.equal(tensor, (before if name in told["kept"] else weights)[name]) for name, tensor in other.state_dict().items())


def test_a_last_layer_of_as_many_rows_that_mean_something_else_is_kept(tmp_path: Path) -> None:
    bundle(tmp_path / "model.l2s", NetworkConfig("unet", (3, 4)))
    rows = BRAIN.to_json()
    rows["labels"] = [rows["labels"][0], *reversed(rows["labels"][1:])]
    reordered = type(BRAIN).from_json(rows, "reordered")
    told = Pretrained.read(str(tmp_path / "model.l2s")).load_into(network(NetworkConfig("unet", (3, 4))), reordered)
    assert told["kept"] == told["unused"] == HEAD


def test_channels_of_classes_that_mean_something_else_are_kept_wherever_they_are() -> None:
    """A slow network's first layer takes class probabilities; its second, and the fast one's first, do not."""
    slow, fast = (f"{part}.encoder.0.convolutions.0.weight" for part in ("slow", "fast"))
    config = NetworkConfig("cooperative-unet", (3, 4))
    before = Pretrained("model", Path("model.l2s"), network(config).state_dict(), None)
    kept = before.weights.keys() - before.fitting(network(config), BRAIN).keys()
    assert slow in kept and fast not in kept and kept == {slow, *(f"{part}.head.{kind}" for part in ("slow", "fast") for kind in ("weight", "bias"))}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_the_encoder_of_medicalnet_is_taken_over_bit_for_bit(shortcut: str, zipped: bool, tmp_path: Path) -> None:
    """In both layouts of torch's files, with and without weights in the shortcuts; batch norm's statistics are not worth a word."""
    ours, before = network(RESIDUAL, 3), network(RESIDUAL, 3).state_dict()
    tensors = medicalnet(tmp_path / "resnet_10.pth", ours.get_submodule("encoder"), shortcut, zipped)
    told = Pretrained.read(str(tmp_path / "resnet_10.pth")).load_into(ours, BRAIN)
    assert told["unused"] == ["encoder.conv_seg.0.weight"] and told["loaded"] == len(tensors)
    for name, tensor in ours.state_dict().items():
        taken = name.removeprefix("encoder.") in tensors and name.startswith("encoder.")
        assert torch.equal(tensor, tensors[name.removeprefix("encoder.")] if taken else before[name]), name
        assert (name in told["kept"]) == (not taken)
    assert any("downsample" in name for name in told["kept"]) == (shortcut == "A")


@pytest.mark.parametrize(("name", "shortcut", "millions"), [("resnet10-unet", "B", 14.36), ("resnet18-unet", "A", 32.99), ("resnet34-unet", "A", 63.31)])
def test_the_encoders_have_as_many_weights_as_medicalnet_tells_of_its_own(name: str, shortcut: str, millions: float) -> None:
    """Its README counts the statistics of batch norm in, two numbers beside the two weights of every channel."""
    with torch.device("meta"):
        encoder = build_network(NetworkConfig(name), 3, 1, 2).get_submodule("encoder")
    count = sum(weight.numel() * (2 if weight.ndim == 1 else 1) for part, weight in encoder.named_parameters() if shortcut == "B" or "downsample" not in part)
    assert count / 1e6 == pytest.approx(millions, abs=0.005)
    assert encoder.get_parameter("conv1.weight").shape == (64, 1, 7, 7, 7) and encoder.get_parameter("layer4.0.conv1.weight").shape == (512, 256, 3, 3, 3)


class Trap:
    """Would run code when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("sprung"),))


def test_what_holds_no_fitting_weights_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bundle(Path("unet.l2s"), NetworkConfig("unet", (3, 4)))
    medicalnet(Path("volumes.pth"), network(RESIDUAL, 3).get_submodule("encoder"))
    Path("text.pth").write_text("no weights")
    Path("text.l2s").write_text("no model")
    Path("code.pth").write_bytes(pickle.dumps({"state_dict": {"module.conv1.weight": Trap()}}))
    torch.save({"state_dict": {"module.conv1.weight": Trap()}}, "code_in_zip.pth")
    torch.save({"network": {"conv1.weight": torch.ones(2)}}, "other.pth")
    torch.save({"state_dict": {"module.conv1.weight": 3}}, "numbers.pth")
    torch.save({"state_dict": {"module.conv1.weight": torch.tensor([float("nan")])}}, "nan.pth")
    expected = {
        "gone.l2s": "no such model", "text.pth": "cannot be read as weights", "text.l2s": "is not a model bundle", "code.pth": "cannot be read as weights",
        "code_in_zip.pth": "cannot be read as weights", "other.pth": "no 'state_dict'", "numbers.pth": "no 'state_dict' of tensors", "nan.pth": "not finite",
        "unet.l2s": r"encoder.0.convolutions.0.weight, .* there, encoder.conv1.weight, .* here", "volumes.pth": r"\[4, 1, 7, 7, 7\] there, \[4, 1, 7, 7\] here",
    }  # fmt: skip
    for name, words in expected.items():
        with pytest.raises(InputError, match=words) as refusal:
            Pretrained.read(name).fitting(network(RESIDUAL), BRAIN)
        assert "\n" not in str(refusal.value) and name in str(refusal.value)
    assert not Path("sprung").exists()

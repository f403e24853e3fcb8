"""Runs that begin with pretrained weights: what they began with is told, kept, and not needed again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from Learn2SynthLib.config import RunConfig
from Learn2SynthLib.console import begun_with
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.learning.session import train_run
from Learn2SynthLib.learning.trainer import check_needs
from Learn2SynthLib.model import Model
from Learn2SynthLib.run import Run
from Learn2SynthLib.segmentation.networks import build_network
from Learn2SynthLib.volume.cohort import Cohort

Tiny = Callable[..., RunConfig]
RESIDUAL = ("network.name=resnet10-unet", "network.features=[3,4,4,5,6,7]")
FIRST, HEAD = "encoder.0.convolutions.0.weight", ["head.weight", "head.bias"]


def weights(run: Run) -> dict[str, torch.Tensor]:
    return torch.load(run.checkpoint_path, weights_only=True)["network"]


@pytest.fixture
def before(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> Run:
    """A run that is over, of the table `brain-sided`."""
    run = Run(tmp_path / "before")
    train_run(tiny(strategy="randomised", steps=1), cohort, run, lambda event: None)
    return run


@pytest.mark.parametrize("strategy", ["supervised", "learn2synth"])
@pytest.mark.parametrize("target", ["brain-sided", "brain-coarse"])
def test_any_strategy_begins_with_the_weights_of_a_run_and_tells_so(
    strategy: str, target: str, before: Run, tiny: Tiny, cohort: Cohort, tmp_path: Path
) -> None:
    config = tiny(2, f"network.pretrained={before.folder}", "optimiser.lr=0", strategy=strategy, target=target, steps=1)
    run, events = Run(tmp_path / "run"), []
    train_run(config, cohort, run, events.append)
    kept = [] if target == "brain-sided" else HEAD
    told = next(event for event in events if event["event"] == "started")["pretrained"]
    assert (told["file"], told["kept"], told["unused"]) == ("before", kept, kept)
    assert all(torch.equal(tensor, weights(before)[name]) for name, tensor in weights(run).items() if name not in kept)
    model = Model.read(run.model_path)
    provenance = model.card["provenance"]
    assert model.data == [*provenance["data"], *Model.read(before.model_path).data] and provenance["data"]
    assert provenance["pretrained"] == told and provenance["config"]["network"]["pretrained"] == "before"
    assert begun_with(told).startswith(f"{told['loaded']} of {told['loaded'] + len(kept)} tensors from before; kept as initialised: ")


def test_what_is_kept_as_initialised_is_a_function_of_the_seed(before: Run, tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    still = ("optimiser.lr=0",)
    for name, settings in {"plain": still, "begun": (*still, f"network.pretrained={before.folder}")}.items():
        train_run(tiny(2, *settings, strategy="randomised", target="brain-coarse", steps=1), cohort, Run(tmp_path / name), lambda event: None)
    plain, begun = (weights(Run(tmp_path / name)) for name in ("plain", "begun"))
    assert all(torch.equal(plain[name], begun[name]) for name in HEAD)
    assert torch.equal(begun[FIRST], weights(before)[FIRST]) and not torch.equal(begun[FIRST], plain[FIRST])


def test_a_resumed_run_equals_the_uninterrupted_one_without_the_file(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    """In volumes, with MedicalNet's layout."""
    config = tiny(3, *RESIDUAL, f"network.pretrained={tmp_path / 'resnet.pth'}", strategy="randomised", steps=4, checkpoint_every=1)
    encoder = build_network(config.network, 3, 1, 2).get_submodule("encoder").state_dict()
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in encoder.items()}}, tmp_path / "resnet.pth")
    whole, broken = Run(tmp_path / "whole"), Run(tmp_path / "broken")
    train_run(config, cohort, whole, lambda event: None)

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "step" and event["step"] == 2:
            broken.request_stop()

    assert train_run(config, cohort, broken, stop)["event"] == "stopped"
    (tmp_path / "resnet.pth").unlink()
    events: list[dict[str, Any]] = []
    train_run(config, cohort, broken, events.append)
    started = next(event for event in events if event["event"] == "started")
    assert started["step"] == 2 and started["pretrained"]["loaded"] == len(encoder)
    assert all(torch.equal(tensor, weights(broken)[name]) for name, tensor in weights(whole).items())
    assert whole.model_path.read_bytes() == broken.model_path.read_bytes()
    with pytest.raises(InputError, match=r"resnet\.pth"):
        train_run(config, cohort, Run(tmp_path / "new"), lambda event: None)


def test_weights_that_do_not_fit_are_refused_before_the_first_step(before: Run, tiny: Tiny, cohort: Cohort) -> None:
    with pytest.raises(InputError, match=rf"before: no kernel fits the network's encoder \({FIRST} is \[3, 1, 3, 3\] there, \[5, 1, 3, 3\] here\)"):
        check_needs(tiny(2, "network.features=[5,6]", f"network.pretrained={before.folder}"), cohort)

"""Cooperative training: what the two networks learn from, and what of them leaves the training."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from Learn2SynthLib import config as configuration
from Learn2SynthLib.config import NetworkConfig, RunConfig
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.learning.cooperative import Cooperative
from Learn2SynthLib.learning.session import train_run
from Learn2SynthLib.learning.strategy import Task
from Learn2SynthLib.learning.trainer import check_needs
from Learn2SynthLib.model import Model
from Learn2SynthLib.run import Run
from Learn2SynthLib.segmentation.fast_and_slow import CooperativeNetwork, ImageDecoder
from Learn2SynthLib.segmentation.segmenter import Segmenter
from Learn2SynthLib.segmentation.unet import UNet
from Learn2SynthLib.volume.cohort import Cohort

Tiny = Callable[..., RunConfig]
MakeTask = Callable[..., Task]


@pytest.fixture
def make(tiny: Tiny, make_task: MakeTask) -> Callable[..., Cooperative]:
    def strategy(*settings: str, **more: object) -> Cooperative:
        return Cooperative(make_task(tiny(2, *settings, strategy="cooperative", **more)))

    return strategy


def moved(strategy: Cooperative, index: int = 0) -> dict[str, bool]:
    """Whether a step changes any weight of each part."""
    network = strategy.network
    parts = {"encoder and decoder": network.fast, "decoupler": network.decoupler, "slow": network.slow, "image decoder": strategy.image_decoder}
    before = {name: [p.detach().clone() for p in part.parameters()] for name, part in parts.items()}
    strategy.step(index)
    return {name: any(not torch.equal(a, b) for a, b in zip(before[name], part.parameters())) for name, part in parts.items()}


def test_it_learns_to_segment_to_correct_and_to_reconstruct(make: Callable[..., Cooperative]) -> None:
    strategy = make("network.features=[6,8]", "cooperative.start=0", "supervised.augmentation=false", "optimiser.lr=0.01", target="brain")
    batch = strategy._batch(0)
    strategy._batch = lambda index: batch  # type: ignore[method-assign]
    first = strategy._think(batch[0], *batch)
    losses = [strategy.step(index) for index in range(60)]
    last = strategy._think(batch[0], *batch)
    for name in ("loss", "hard_loss"):
        early, late = (sum(step[name] for step in part) / 5 for part in (losses[:5], losses[-5:]))
        assert late < 0.6 * early
    assert last.segmentation_loss < 0.6 * first.segmentation_loss
    assert last.reconstruction_loss < 0.5 * first.reconstruction_loss


def test_a_step_teaches_every_part_and_hard_examples_wait_for_their_time(make: Callable[..., Cooperative]) -> None:
    strategy = make("cooperative.start=0.5", steps=10)
    assert all(moved(strategy).values())
    assert set(strategy.step(4)) == {"loss"} and set(strategy.step(5)) == {"loss", "hard_loss"}
    assert set(make("cooperative.hard=0", "cooperative.start=0").step(0)) == {"loss"}


def test_hard_examples_are_made_again_and_differ_by_their_masks(make: Callable[..., Cooperative]) -> None:
    strategy = make("cooperative.masked=[0.5,0.5]", "network.features=[6,8]")
    untouched = make("cooperative.masked=[0,0]", "network.features=[6,8]")
    untouched.network.load_state_dict(strategy.network.state_dict())
    untouched.image_decoder.load_state_dict(strategy.image_decoder.state_dict())
    images, target = strategy._batch(0)
    thought = strategy._think(images, images, target)
    one, again = strategy._hard_examples(3, thought), strategy._hard_examples(3, thought)
    other = strategy._hard_examples(4, thought)
    assert all(torch.equal(a, b) for a, b in zip(one, again)) and not any(torch.equal(a, b) for a, b in zip(one, other))
    assert not any(part.requires_grad for part in one) and float(one[0].min()) >= 0 and float(one[0].max()) <= 1
    whole = untouched._hard_examples(3, untouched._think(images, images, target))
    assert torch.allclose(whole[1], thought.probabilities, atol=1e-6) and not torch.allclose(one[1], thought.probabilities, atol=1e-3)
    assert torch.allclose(whole[0], strategy.image_decoder(thought.image_code).clamp(0, 1), atol=1e-6) and not torch.allclose(one[0], whole[0], atol=1e-3)


def test_the_gradient_of_one_level_is_not_that_by_way_of_coarser_ones() -> None:
    torch.manual_seed(0)
    network = CooperativeNetwork(UNet, 2, 1, 3, (4, 6))
    codes = network.decouple(network.encode(torch.rand(1, 1, 8, 8)))
    direct = torch.autograd.grad(network.segment(codes).square().sum(), codes, retain_graph=True)
    leaves = [code.detach().requires_grad_() for code in codes]
    alone = torch.autograd.grad(network.segment(leaves).square().sum(), leaves)
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(direct, alone))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("block", [1, 2])
def test_an_image_decoder_gives_images_of_the_size_they_had(ndim: int, block: int) -> None:
    decoder = ImageDecoder(ndim, (3, 4, 5), block)
    assert decoder(torch.rand(2, 5, *range(2, 2 + ndim))).shape == (2, 1, *(4 * block * size for size in range(2, 2 + ndim)))


@pytest.mark.parametrize(("share", "synthetic"), [(0.0, 0), (0.5, 2), (0.95, 3)])
def test_the_stated_part_of_each_batch_is_synthetic(share: float, synthetic: int, make: Callable[..., Cooperative]) -> None:
    strategy = make(f"cooperative.share={share}")
    images, target = strategy._batch(2)
    assert len(images) == len(target) == 4
    assert torch.equal(images[: 4 - synthetic], strategy.task.real_batch(2, 4 - synthetic, True)[0])
    assert not synthetic or torch.equal(images[4 - synthetic :], strategy.task.randomised(2, synthetic)[0])


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", ["unet", "patched-unet"])
def test_the_model_holds_both_networks_and_segments_as_they_do(name: str, ndim: int, tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    config = tiny(ndim, f"network.name={name}", "cooperative.start=0", "cooperative.share=0.5", strategy="cooperative")
    train_run(config, cohort, run := Run(tmp_path / "run"), lambda event: None)
    state = torch.load(run.checkpoint_path, weights_only=True)
    card = Model.read(run.model_path).card
    assert card["network"]["name"] == f"cooperative-{name}" and card["provenance"]["config"]["network"]["name"] == name
    network = Segmenter.load(run.folder, "cpu").network
    assert isinstance(network, CooperativeNetwork)
    assert state["strategy"]["image_decoder"] and not any("image_decoder" in name for name in network.state_dict())
    images = torch.rand(2, 1, *config.grid.shape)
    last = CooperativeNetwork(type(network.fast), ndim, 1, network.fast(images).shape[1], config.network.features)
    last.load_state_dict(state["network"])  # as training left it
    said = last.segment(last.decouple(last.encode(images))).softmax(1)
    assert torch.equal(network(images), last.correct(said))
    assert not torch.allclose(network(images).softmax(1), said, atol=1e-3)


def test_a_network_that_cannot_cooperate_is_refused(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(2, strategy="cooperative")
    monkeypatch.setitem(configuration.ARCHITECTURES, "lonely", configuration.ARCHITECTURES["unet"])
    with pytest.raises(InputError, match="'lonely' with strategy 'cooperative'; allowed: unet, patched-unet"):
        replace(config, network=NetworkConfig("lonely", (3, 4)))
    assert replace(config, network=NetworkConfig("cooperative-unet", (3, 4))).trained_network.name == "cooperative-unet"


def test_synthetic_images_without_label_maps_are_refused_at_the_door(tiny: Tiny, cohort: Cohort) -> None:
    real = Cohort(cohort.of("real"))
    check_needs(tiny(2, "cooperative.share=0.5", strategy="cooperative"), real)
    check_needs(tiny(2, "synthesis.real_label_maps=false", strategy="cooperative"), real)
    with pytest.raises(InputError, match="cooperative.share: 0.5 without label maps.*--labels PATH"):
        check_needs(tiny(2, "cooperative.share=0.5", "synthesis.real_label_maps=false", strategy="cooperative"), real)

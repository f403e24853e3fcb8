"""Annotated scans in the shapes and intensities of unlabelled ones: labels move with images, and a run is the same however often it is stopped."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from Learn2SynthLib.config import RunConfig, build_config
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.learning.learned_transforms import Choice, LearnedTransforms
from Learn2SynthLib.learning.session import train_run
from Learn2SynthLib.learning.strategy import Task
from Learn2SynthLib.learning.trainer import check_needs
from Learn2SynthLib.randomness import stream
from Learn2SynthLib.run import Run
from Learn2SynthLib.segmentation.losses import segmentation_loss
from Learn2SynthLib.volume.cohort import Cohort

Tiny = Callable[..., RunConfig]
COARSE = ("learned_transforms.spacing_mm=8", "learned_transforms.features=[2,3]", "learned_transforms.appearance_features=[2,3]")


@pytest.fixture
def make_strategy(make_task: Callable[[RunConfig], Task], tiny: Tiny) -> Callable[..., LearnedTransforms]:
    def make(ndim: int = 2, *assignments: str, **overrides: object) -> LearnedTransforms:
        return LearnedTransforms(make_task(tiny(ndim, *COARSE, *assignments, strategy="learned_transforms", **overrides)))

    return make


def chosen(strategy: LearnedTransforms, index: int = 0) -> Choice:
    return strategy.choose(stream(0, "test", index))


def still(strategy: LearnedTransforms) -> tuple[torch.Tensor, torch.Tensor]:
    """A flow and a change of intensities that do nothing."""
    return torch.zeros(1, 3, *strategy.spatial.coarse.shape), torch.zeros(1, 1, *strategy.spatial.window.shape)


@pytest.mark.parametrize("ndim", [2, 3])
def test_before_anything_is_learned_windows_are_the_atlas_itself(ndim: int, make_strategy: Callable[..., LearnedTransforms]) -> None:
    strategy = make_strategy(ndim)
    for index in range(4):
        choice = chosen(strategy, index)
        image, target = strategy.window(choice)
        wanted, labels = strategy.task.cutting.real([strategy.atlases[choice.atlas].example], [replace(choice.place, example=0)], torch.device("cpu"))
        assert torch.allclose(image, wanted[0], atol=1e-4) and torch.equal(target, labels[0].float())


@pytest.mark.parametrize("ndim", [2, 3])
def test_shape_and_intensities_are_those_of_the_scans_they_are_taken_from(ndim: int, make_strategy: Callable[..., LearnedTransforms]) -> None:
    """One scan's transform is a shift of two voxels, another's makes everything brighter: each gives what is asked of it, alone."""
    strategy = make_strategy(ndim)
    choice = replace(chosen(strategy), atlas=1, shape=0, intensities=1)
    (flow, change), (_, brighter) = still(strategy), still(strategy)
    flow[:, 1] = 4.0
    strategy.transforms = {(1, 0): (flow, change), (1, 1): (still(strategy)[0], brighter + 0.25)}
    image, target = strategy.window(choice)
    x, y, *z = choice.place.centre
    moved = replace(choice.place, example=0, centre=(x, y + 2, *z))
    wanted, labels = strategy.task.cutting.real([strategy.atlases[1].example], [moved], torch.device("cpu"))
    assert torch.allclose(image, (wanted[0] + 0.25).clamp(0, 1), atol=1e-4) and torch.equal(target, labels[0].float())
    unchanged, _ = strategy.window(choice, changed=False)
    assert torch.allclose(unchanged, wanted[0], atol=1e-4)


def test_labels_move_with_the_image(make_strategy: Callable[..., LearnedTransforms]) -> None:
    """With an image that shows its labels, every window shows its target, whatever the field."""
    strategy = make_strategy(3)
    atlas = strategy.atlases[0]
    strategy.atlases[0] = replace(atlas, image=atlas.target / 20)
    flow = 4 * torch.nn.functional.interpolate(
        torch.randn(1, 3, 3, 3, 3, generator=torch.Generator().manual_seed(0)), strategy.spatial.coarse.shape, mode="trilinear", align_corners=True
    )
    strategy.transforms = {(0, 0): (flow, still(strategy)[1])}
    choice = replace(chosen(strategy), atlas=0, shape=0, intensities=0)
    image, target = strategy.window(choice)
    original = strategy.task.cutting.real([atlas.example], [replace(choice.place, example=0)], torch.device("cpu"))[1][0]
    inside = (20 * image - (20 * image).round()).abs() < 1e-3  # of a structure: the image is interpolated, the labels are not
    assert inside.float().mean() > 0.2 and (target != original).float().mean() > 0.2
    agreement, before = (((20 * image).round() == labels)[inside].float().mean() for labels in (target, original))
    assert agreement > 0.98 and before < 0.95


def test_shapes_and_intensities_are_drawn_independently_or_coupled(make_strategy: Callable[..., LearnedTransforms]) -> None:
    for coupled in (False, True):
        strategy = make_strategy(2, f"learned_transforms.coupled={str(coupled).lower()}")
        choices = [chosen(strategy, index) for index in range(120)]
        pairs = Counter((choice.shape, choice.intensities) for choice in choices)
        assert set(pairs) == ({(0, 0), (1, 1)} if coupled else {(0, 0), (0, 1), (1, 0), (1, 1)})
        assert min(pairs.values()) > 15 and {choice.atlas for choice in choices} == {0, 1}


@pytest.mark.parametrize("ndim", [2, 3])
def test_each_phase_trains_its_own_network_and_tells_its_own_loss(ndim: int, make_strategy: Callable[..., LearnedTransforms]) -> None:
    strategy = make_strategy(ndim, "learned_transforms.spatial=0.4", "learned_transforms.appearance=0.4", steps=5)
    networks = {"registration": strategy.spatial, "appearance": strategy.appearance, "synthetic": strategy.task.network}
    told = []
    for index in range(5):
        before = {name: [p.detach().clone() for p in network.parameters()] for name, network in networks.items()}
        (loss,) = strategy.step(index)
        changed = [name for name, network in networks.items() if any(not torch.equal(p, q) for p, q in zip(before[name], network.parameters()))]
        assert changed == [loss.removesuffix("_loss")]
        told += changed
    assert told == ["registration", "registration", "appearance", "appearance", "synthetic"] and strategy.phases == (4,)


def test_the_unlabelled_scans_reach_the_network_by_the_transforms_alone(make_strategy: Callable[..., LearnedTransforms]) -> None:
    """What a step of the network sees is an atlas under the transforms, and nothing else of the scans."""
    strategy = make_strategy(2, steps=10)
    for index in range(3):
        strategy.step(index)
    images, _ = strategy.images(*_drawn(strategy))
    strategy.scans = [torch.rand_like(scan) for scan in strategy.scans]  # after their transforms were made
    again, _ = strategy.images(*_drawn(strategy))
    assert torch.equal(images, again)
    strategy.transforms.clear()
    assert not torch.equal(images, strategy.images(*_drawn(strategy))[0])


def _drawn(strategy: LearnedTransforms) -> tuple[list, list[Choice]]:
    rngs = [stream(0, "test", k) for k in range(4)]
    return rngs, [strategy.choose(rng) for rng in rngs]


def test_a_run_stopped_after_every_step_is_the_uninterrupted_run_bit_for_bit(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    """Across the borders of all phases; previews, which use the transforms too, change nothing."""
    parts = ("learned_transforms.spatial=0.33", "learned_transforms.appearance=0.33")
    config = tiny(2, *COARSE, *parts, strategy="learned_transforms", steps=6, validate_every=1, preview_every=3)
    whole, broken = Run(tmp_path / "whole"), Run(tmp_path / "broken")
    train_run(config, cohort, whole, lambda event: None)
    for _ in range(6):
        last = train_run(config, cohort, broken, lambda event: broken.request_stop() if event["event"] == "step" else None)
    assert last["event"] == "finished"
    states = [torch.load(run.checkpoint_path, weights_only=True) for run in (whole, broken)]
    assert_equal(*states)
    assert whole.model_path.read_bytes() == broken.model_path.read_bytes()
    steps = [{event["step"]: event for event in run.events() if event["event"] == "step"} for run in (whole, broken)]
    losses = [{step: {key: value for key, value in event.items() if key.endswith("loss")} for step, event in one.items()} for one in steps]
    assert losses[0] == losses[1] and [next(iter(loss)) for loss in losses[0].values()] == [
        *["registration_loss"] * 2, *["appearance_loss"] * 2, *["synthetic_loss"] * 2,
    ]  # fmt: skip
    assert [event["step"] for event in whole.events() if event["event"] == "validated"] == [5, 6], "an untrained network is not measured"


def assert_equal(one: object, two: object) -> None:
    if isinstance(one, dict):
        assert isinstance(two, dict) and one.keys() == two.keys()
        for key in one:
            assert_equal(one[key], two[key])
    else:
        assert torch.equal(one, two) if isinstance(one, torch.Tensor) else one == two


def test_previews_show_transformed_images_and_their_labels(make_strategy: Callable[..., LearnedTransforms]) -> None:
    strategy = make_strategy(2)
    strategy.transforms = {(a, s): (still(strategy)[0], still(strategy)[1] + 0.3 * s) for a in (0, 1) for s in (0, 1)}
    before, after, target = strategy.shown(6)
    assert before.shape == after.shape == (6, 1, 16, 16) and target.shape == (6, 16, 16)
    assert not torch.equal(before, after) and torch.equal(after, strategy.shown(6)[1])


def test_without_unlabelled_scans_it_says_what_to_give(tiny: Tiny, cohort: Cohort) -> None:
    labelled = Cohort(tuple(subject for subject in cohort.subjects if subject.role != "unlabelled"))
    with pytest.raises(InputError, match="no unlabelled scans given; add --unlabelled IMAGE"):
        check_needs(tiny(2, strategy="learned_transforms"), labelled)


def test_phases_that_leave_nothing_to_the_network_are_refused() -> None:
    with pytest.raises(InputError, match=r"spatial 0\.6 and appearance 0\.4.*together below 1"):
        build_config(assignments=["learned_transforms.spatial=0.6", "learned_transforms.appearance=0.4"])


def test_the_network_learns_from_transformed_images(make_strategy: Callable[..., LearnedTransforms]) -> None:
    strategy = make_strategy(2, "learned_transforms.spatial=0", "learned_transforms.appearance=0", "optimiser.lr=0.01", steps=30)
    images, target = strategy.images(*_drawn(strategy))
    losses = []
    for index in range(30):
        if index in (0, 29):
            losses.append(float(segmentation_loss(strategy.task.network(images), target).detach()))
        strategy.step(index)
    assert losses[1] < losses[0]


def test_no_more_transforms_are_kept_than_there_is_room_for(make_strategy: Callable[..., LearnedTransforms], monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = make_strategy(2)
    pairs = [(0, 0), (0, 1)]
    flow, change = strategy.transform(*pairs[0])
    monkeypatch.setattr("Learn2SynthLib.learning.learned_transforms._KEPT_BYTES", flow.nbytes + change.nbytes)
    strategy.transform(*pairs[1])
    assert list(strategy.transforms) == pairs[1:]
    assert torch.equal(strategy.transform(*pairs[0])[0], flow)

"""Policies are settings; scans held apart choose them and never train the network."""

import copy
import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from Learn2SynthLib.config import SEARCHABLE, RunConfig, SynthesisConfig, build_config
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.learning.bundle import make_model
from Learn2SynthLib.learning.natural_gradient import CategoricalSearch
from Learn2SynthLib.learning.policy import AWAY, CHOICES, PolicySpace
from Learn2SynthLib.learning.policy_search import PolicySearch, _parted, _searched
from Learn2SynthLib.learning.randomised import Randomised
from Learn2SynthLib.learning.strategy import Task
from Learn2SynthLib.learning.trainer import check_needs
from Learn2SynthLib.previewing import make_previewer
from Learn2SynthLib.randomness import stream
from Learn2SynthLib.settings import from_json, to_json
from Learn2SynthLib.story import tell
from Learn2SynthLib.synthesis.sampling import SynthesisDraw
from Learn2SynthLib.synthesis.synthesizer import Values
from Learn2SynthLib.volume.cohort import Cohort

Tiny = Callable[..., RunConfig]
MakeTask = Callable[..., Task]
PAGE = Path(__file__).resolve().parents[3] / "Docs" / "strategies" / "policy_search.md"
IMAGES = ["real", "synthetic"]


@pytest.fixture
def searching(tiny: Tiny) -> Callable[..., RunConfig]:
    """A configuration that compares policies in every step."""

    def make(images: str, *assignments: str, ndim: int = 2) -> RunConfig:
        settings = (f"policy_search.images={images}", "policy_search.every=1", "policy_search.start=0", "policy_search.duration=1")
        return tiny(ndim, *settings, *assignments, strategy="policy_search", steps=100)

    return make


def weights(task: Task) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in task.network.parameters()])


# --- the space


def test_everything_that_can_be_searched_has_its_choices() -> None:
    assert list(dict.fromkeys(choice.parameter for choice in CHOICES)) == sorted(SEARCHABLE, key=[c.parameter for c in CHOICES].index)
    assert set(SEARCHABLE) <= {field.name for field in dataclasses.fields(SynthesisConfig)}
    assert all(list(choice.values) == sorted(set(choice.values)) for choice in CHOICES)


@pytest.mark.parametrize("extreme", [0, -1])
def test_the_ends_of_every_choice_are_settings(extreme: int) -> None:
    space = PolicySpace.of(SEARCHABLE)
    policy = SynthesisConfig(**space.policy([range(size)[extreme] for size in space.sizes]))
    assert from_json(SynthesisConfig, to_json(policy), "policy") == policy


def test_no_low_end_passes_its_high_end() -> None:
    ends = {choice.name: choice.values for choice in CHOICES if choice.end}
    assert all(max(values) <= min(ends[name.replace(".low", ".high")]) for name, values in ends.items() if name.endswith(".low"))


def test_a_policy_sets_what_it_names_and_nothing_else() -> None:
    space = PolicySpace.of(["scaling", "flip"])
    assert [choice.name for choice in space.choices] == ["scaling.low", "scaling.high", "flip"]
    assert space.policy([0, 10, 5]) == {"scaling": (0.5, 1.5), "flip": 0.5}
    uniform = [torch.full((11,), 1 / 11, dtype=torch.float64)] * 3
    assert space.expected(uniform) == pytest.approx({"scaling.low": 0.75, "scaling.high": 1.25, "flip": 0.5})


def test_what_only_label_maps_are_rendered_with_is_not_searched_on_real_images(searching: Tiny) -> None:
    names = {images: set(_searched(searching(images))) for images in IMAGES}
    assert names["synthetic"] == set(SEARCHABLE) and names["synthetic"] - names["real"] == {"dark_background", "skull_strip"}


def test_a_search_begins_about_settings() -> None:
    """The expected policy is these settings, unless they are near an end; log-probabilities are a line, which alone has the greatest entropy."""
    space = PolicySpace.of(["scaling", "flip", "crop", "skull_strip", "thick_slices"])
    settings = SynthesisConfig(scaling=(0.8, 1.45), flip=0.5, crop=0.1, skull_strip=1.0, thick_slices=0.0)
    beginning = space.about(settings)
    expected = {"scaling.low": 0.8, "scaling.high": 1.45, "flip": 0.5, "crop": 0.1, "skull_strip": 1 - AWAY, "thick_slices": AWAY}
    assert space.expected(beginning) == pytest.approx(expected)
    for probabilities in beginning:
        slopes = probabilities.log().diff()
        assert float(probabilities.sum()) == pytest.approx(1) and torch.allclose(slopes, slopes[0].expand_as(slopes), atol=1e-6)


def test_a_search_that_begins_near_a_wrong_end_leaves_it() -> None:
    space, rng = PolicySpace.of(["flip", "crop", "skull_strip", "thick_slices"]), random.Random(0)
    search = CategoricalSearch(space.sizes)
    search.begin(space.about(SynthesisConfig(flip=1.0, crop=0.5, skull_strip=1.0, thick_slices=1.0)))
    for _ in range(300):
        policies = sorted((search.sample(rng) for _ in range(2)), key=lambda policy: sum(policy) + rng.gauss(0, 3))
        search.update(*policies)
    assert all(part < 0.25 for part in space.expected(search.found).values())


@pytest.mark.parametrize("searched", [["flip"], ["scaling", "flip"], list(SEARCHABLE)])
def test_a_search_of_few_settings_or_many_begins_at_them(searched: list[str]) -> None:
    space, settings = PolicySpace.of(searched), SynthesisConfig(scaling=(0.85, 1.15), flip=0.2)
    search = CategoricalSearch(space.sizes)
    search.begin(space.about(settings))
    assert space.expected(search.found)["flip"] == pytest.approx(0.2)
    assert all(float(p.min()) >= search.floor(len(p)) and float(p.sum()) == pytest.approx(1) for p in search.probabilities)


def test_the_page_shows_the_space_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for parameter in SEARCHABLE:
        spans = [f"{choice.values[0]:g} to {choice.values[-1]:g}" for choice in CHOICES if choice.parameter == parameter]
        row = f"| `{parameter}` | {spans[0] if len(spans) == 2 else ''} | {spans[-1]} |".replace("|  |", "| |")
        assert row in page


# --- at the door


@pytest.mark.parametrize(
    ("settings", "roles", "words"),
    [
        (["policy_search.images=real"], ("label_map", "one real"), r"1 annotated real scan .*2 or more; add --real, or set policy_search.images=synthetic"),
        (["policy_search.images=synthetic", "synthesis.real_label_maps=false"], ("real",), "no label maps given; add --labels"),
        (["policy_search.search=skull_strip"], ("label_map", "real"), r"skull_strip of real images.*images=synthetic"),
    ],
)
def test_a_search_that_cannot_be_is_refused(settings: list[str], roles: tuple[str, ...], words: str, tiny: Tiny, cohort: Cohort) -> None:
    subjects = [subject for role in roles for subject in (cohort.of("real")[:1] if role == "one real" else cohort.of(role))]
    config = tiny(2, *settings, strategy="policy_search")
    with pytest.raises(InputError, match=words):
        check_needs(config, Cohort(tuple(subjects)))


def test_one_scan_is_enough_for_synthetic_images(tiny: Tiny, cohort: Cohort) -> None:
    check_needs(tiny(2, "policy_search.images=synthetic", strategy="policy_search"), Cohort(cohort.of("real")[:1]))


# --- the steps


@pytest.mark.parametrize("images", IMAGES)
def test_scans_held_apart_do_not_touch_the_step_of_the_network(images: str, searching: Tiny, make_task: MakeTask) -> None:
    config = searching(images)
    strategies = [PolicySearch(make_task(config)) for _ in range(2)]
    assert [e.name for e in strategies[0].policies.scans] == (["sub-4"] if images == "real" else ["sub-3", "sub-4"])
    scored = strategies[1].policies
    scored.scans = [dataclasses.replace(e, image=torch.rand_like(e.image), target=e.target.flip(0)) for e in scored.scans]
    losses = [strategy.step(0) for strategy in strategies]
    assert torch.equal(*(weights(strategy.task) for strategy in strategies))
    assert losses[0]["scored_loss"] != losses[1]["scored_loss"]


def test_scans_that_are_not_held_apart_train(searching: Tiny, make_task: MakeTask) -> None:
    strategies = [PolicySearch(make_task(searching("real"))) for _ in range(2)]
    strategies[1].task.real = [dataclasses.replace(e, image=torch.rand_like(e.image)) for e in strategies[1].task.real]
    for strategy in strategies:
        strategy.step(0)
    assert not torch.equal(*(weights(strategy.task) for strategy in strategies))


@pytest.mark.parametrize("images", IMAGES)
def test_two_equal_policies_are_told_apart_by_nothing(images: str, searching: Tiny, make_task: MakeTask) -> None:
    """Same weights, same state of the optimiser, same windows, same random numbers: also after steps have been made."""
    strategy = PolicySearch(make_task(searching(images)))
    scores: list[float] = []
    policies, score = strategy.policies, strategy.policies._score
    policies._score = lambda *scans: scores.append(score(*scans)) or scores[-1]  # type: ignore[func-returns-value,method-assign]
    policies._sampled = lambda index, number: (5,) * len(policies.space.choices)  # type: ignore[method-assign]
    for index in range(3):
        strategy.step(index)
    assert scores[0::2] == scores[1::2] and len(set(scores)) == 3
    assert strategy.learned() == strategy.prior()


def test_a_comparison_is_one_step_of_the_network(searching: Tiny, make_task: MakeTask) -> None:
    """The second policy's, as if the first had never been tried."""
    strategy = PolicySearch(make_task(searching("synthetic")))
    plain = copy.deepcopy(strategy)
    strategy.step(0)
    plain.policies._by(plain.policies._sampled(0, 1), lambda: plain._train(0))
    assert torch.equal(weights(strategy.task), weights(plain.task))


@pytest.mark.parametrize("images", IMAGES)
def test_the_policy_moves_to_what_scores_better(images: str, searching: Tiny, make_task: MakeTask) -> None:
    strategy = PolicySearch(make_task(searching(images)))
    policies, ranges = strategy.policies, strategy.task.synthesizer.ranges
    strategy._train = lambda index: {}  # type: ignore[method-assign]
    policies._scored_batch = lambda index: ()  # type: ignore[assignment,method-assign]
    policies._score = lambda *scans: -ranges.taught.flip  # type: ignore[method-assign]
    for index in range(100):
        strategy.step(index)
    learned, prior = strategy.learned(), strategy.prior()
    assert learned["flip"] > prior["flip"] + 0.2
    assert ranges.taught.flip == learned["flip"]


@pytest.mark.parametrize(("index", "compared"), [(9, False), (10, True), (11, False), (12, True), (88, True), (90, False)])
def test_policies_are_compared_in_their_time_only(index: int, compared: bool, tiny: Tiny, make_task: MakeTask) -> None:
    strategy = PolicySearch(make_task(tiny(2, strategy="policy_search", steps=100)))
    assert ("scored_loss" in strategy.step(index)) == compared
    assert (strategy.learned() != strategy.prior()) == compared


def test_the_images_are_those_of_the_policy(searching: Tiny, make_task: MakeTask) -> None:
    strategy = PolicySearch(make_task(searching("synthetic")))
    lowest, highest = ((k,) * len(CHOICES) for k in (0, 10))
    (calm, low), (wild, high) = (drawn_by(strategy, policy) for policy in (lowest, highest))
    assert not any(d.flip or any(d.rotation_degrees) or d.warp_mm or d.gamma_applied for d in calm) and not low["gamma"].any()
    assert all(d.flip and d.gamma_applied and d.warp_spacing_mm == 30 and 2 <= d.warp_mm <= 6 for d in wild)
    assert float(low["noise"].max()) < 0.0401 and float(high["noise"].min()) > 0.0399 and 0.13 < float(high["noise"].max()) < 0.1401
    assert (high["gamma"] >= 0).all() and float(high["gamma"].max()) > 0.3


def drawn_by(strategy: PolicySearch, policy: tuple[int, ...]) -> tuple[list[SynthesisDraw], Values]:
    synthesizer = strategy.task.synthesizer
    synthesizer.ranges.adopt(strategy.policies.space.policy(policy))
    draws = [synthesizer.draw(stream(0, "test", k), True) for k in range(40)]
    with torch.no_grad():
        return draws, synthesizer.values(draws)


# --- what is left of it


def test_a_policy_is_used_again_as_a_preset(searching: Tiny, make_task: MakeTask, tmp_path: Path) -> None:
    strategy = PolicySearch(make_task(searching("synthetic", "synthesis.shear=[-0.1,0.1]")))
    for index in range(6):
        strategy.step(index)
    make_model(strategy, {}, None, 6).write(tmp_path / "searched.l2s")
    again = build_config(str(tmp_path / "searched.l2s"), ["steps=7"])
    assert (again.strategy, again.steps, again.grid) == ("randomised", 7, strategy.task.config.grid)
    assert again.synthesis.shear == (-0.1, 0.1) and again.synthesis == strategy.task.synthesizer.ranges.taught
    assert again.synthesis.noise[1] == strategy.learned()["noise.high"] != strategy.prior()["noise.high"]
    story = tell(str(tmp_path / "searched.l2s"))
    assert f"--preset {tmp_path / 'searched.l2s'}" in story and "how often rotated" in story
    make_model(Randomised(make_task(again)), {}, None, 1).write(tmp_path / "plain.l2s")
    with pytest.raises(InputError, match="has learned no settings"):
        build_config(str(tmp_path / "plain.l2s"))


def test_a_models_previews_are_drawn_by_its_policy(searching: Tiny, make_task: MakeTask, cohort: Cohort) -> None:
    strategy = PolicySearch(make_task(searching("real")))
    strategy.step(0)
    model = make_model(strategy, {}, None, 1)
    synthesizer = make_previewer(strategy.task.config, model, cohort.of("label_map")[:1]).synthesizer
    draws = [one.draw(stream(0, "test"), True) for one in (synthesizer, strategy.task.synthesizer)]
    assert draws[0] == draws[1]
    values = [one.values(draws[:1]) for one in (synthesizer, strategy.task.synthesizer)]
    assert all(torch.equal(values[0][name], values[1][name]) for name in values[0])


@pytest.mark.parametrize(
    ("names", "scored"),
    [
        (["sub-1_T1w", "sub-2_T1w", "sub-1_FLAIR", "sub-2_FLAIR"], ["sub-2_T1w", "sub-2_FLAIR"]),
        (["sub-1_T1w", "sub-1_FLAIR"], ["sub-1_FLAIR"]),
        (["003_005", "003_006", "004_007", "004_008"], ["004_008"]),
    ],
)
def test_nobody_trains_and_scores_where_there_are_others(names: list[str], scored: list[str], searching: Callable[..., RunConfig]) -> None:
    scans = [SimpleNamespace(name=name) for name in names]
    trained, held = _parted(searching("real"), scans)  # type: ignore[arg-type]
    assert [scan.name for scan in held] == scored and sorted(scan.name for scan in [*trained, *held]) == sorted(names)

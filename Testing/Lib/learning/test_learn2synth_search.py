"""What no gradient reaches is searched along with what the hypergradient learns, and neither disturbs the other."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from Learn2SynthLib.config import LEARNABLE, SEARCHABLE, RunConfig
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.learning.bundle import make_model
from Learn2SynthLib.learning.learn2synth import Learn2Synth
from Learn2SynthLib.learning.strategy import Task
from Learn2SynthLib.learning.trainer import check_needs
from Learn2SynthLib.previewing import make_previewer
from Learn2SynthLib.randomness import stream
from Learn2SynthLib.story import tell
from Learn2SynthLib.volume.cohort import Cohort

Tiny = Callable[..., RunConfig]
MakeTask = Callable[..., Task]
REST = ",".join(name for name in SEARCHABLE if name not in LEARNABLE)


@pytest.fixture
def both(tiny: Tiny) -> Callable[..., RunConfig]:
    """A configuration that teaches in even steps and compares in odd ones."""

    def make(*assignments: str, search: str = REST, **overrides: object) -> RunConfig:
        rhythm = ("learn2synth.every=2", "policy_search.every=2", "policy_search.start=0", "policy_search.duration=1")
        return tiny(2, f"learn2synth.search={search}", *rhythm, *assignments, **({"steps": 100} | overrides))

    return make


def ends(strategy: Learn2Synth) -> torch.Tensor:
    return torch.cat([values.detach().flatten() for values in strategy.task.synthesizer.ranges.ends.values()])


def weights(strategy: Learn2Synth) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in strategy.task.network.parameters()])


def searched(strategy: Learn2Synth) -> dict[str, float]:
    assert strategy.policies
    return {name: strategy.learned()[name] for name in strategy.policies.expected()}


# --- at the door


@pytest.mark.parametrize("search", ["noise,flip", "gamma"])
def test_nothing_is_both_learned_and_searched(search: str, tiny: Tiny) -> None:
    with pytest.raises(InputError, match=r"learn2synth, search: (noise|gamma), which the hypergradient learns"):
        tiny(2, f"learn2synth.search={search}")
    tiny(2, f"learn2synth.search={search}", "learn2synth.learn=contrast_mean,bias")
    tiny(2, f"learn2synth.search={search}", "learn2synth.enhancement=network")


def test_a_search_that_no_step_is_left_for_is_refused(both: Tiny, cohort: Cohort) -> None:
    with pytest.raises(InputError, match=r"nothing can be searched in 100 steps.*learn2synth\.every=2"):
        check_needs(both("learn2synth.every=1"), cohort)
    check_needs(both("learn2synth.every=1", "learn2synth.lr=0"), cohort)
    check_needs(both(), cohort)


# --- the steps


@pytest.mark.parametrize(
    ("settings", "teaching", "comparing"),
    [
        ([], [0, 2, 4, 6, 8], [1, 3, 5, 7]),
        (["learn2synth.every=1", "learn2synth.duration=0.4"], [0, 1, 2, 3], [5, 7]),
        (["policy_search.every=1", "learn2synth.every=3"], [0, 3, 6, 9], [1, 2, 4, 5, 7, 8]),
        (["learn2synth.lr=0"], [], [1, 3, 5, 7]),
    ],
)
def test_a_step_teaches_or_compares_or_neither(settings: list[str], teaching: list[int], comparing: list[int], both: Tiny, make_task: MakeTask) -> None:
    strategy = Learn2Synth(make_task(both(*settings, steps=10)))
    taught, compared = [], []
    for index in range(10):
        before, policy = ends(strategy), searched(strategy)
        strategy.step(index)
        taught += [index] * (not torch.equal(ends(strategy), before))
        compared += [index] * (searched(strategy) != policy)
    assert (taught, compared) == (teaching, comparing)


def test_steps_that_teach_are_drawn_by_the_expected_policy_and_others_by_sampled_ones(both: Tiny, make_task: MakeTask) -> None:
    strategy = Learn2Synth(make_task(both("policy_search.every=4")))
    ranges, render, drawn = strategy.task.synthesizer.ranges, strategy.task.synthesizer.render, []
    strategy.task.synthesizer.render = lambda maps, draws: drawn.append(ranges.taught.flip) or render(maps, draws)  # type: ignore[func-returns-value,method-assign]
    by_step = []
    for index in range(4):
        drawn.clear()
        expected = searched(strategy)["flip"]
        strategy.step(index)
        assert ranges.taught.flip == searched(strategy)["flip"]
        by_step.append({flip == expected for flip in drawn})
    values = strategy.policies and strategy.policies.space.choices[[c.name for c in strategy.policies.space.choices].index("flip")].values
    assert by_step == [{True}, {False}, {True}, {False}] and values and set(drawn) <= set(values)


def test_scans_choose_policies_and_never_weights(both: Tiny, make_task: MakeTask) -> None:
    strategies = [Learn2Synth(make_task(both("learn2synth.begin=prior"))) for _ in range(2)]
    assert strategies[1].policies
    scans = strategies[1].policies.scans
    strategies[1].policies.scans = [replace(e, image=torch.rand_like(e.image), target=e.target.flip(0)) for e in scans]
    losses = [strategy.step(1) for strategy in strategies]
    assert torch.equal(*(weights(strategy) for strategy in strategies))
    assert losses[0]["scored_loss"] != losses[1]["scored_loss"]


def test_wide_images_do_not_follow_a_policy_and_those_wide_in_a_part_do(both: Tiny, make_task: MakeTask) -> None:
    task = Learn2Synth(make_task(both("learn2synth.begin=prior", search="flip,warp_spacing_mm"))).task
    task.synthesizer.ranges.adopt({"flip": 1.0, "warp_spacing_mm": 30.0})
    _, draws = task.synthetic(0, [True] * 20 + [False] * 20, wide=["contrast"] * 10 + ["scanner"] * 5 + [""] * 25)
    assert all(d.flip and d.warp_spacing_mm == 30 for d in draws[:20])
    assert not all(d.flip for d in draws[20:]) and all(d.warp_spacing_mm == task.config.synthesis.warp_spacing_mm for d in draws[20:])


def test_counterparts_have_the_pose_of_the_scans_whatever_has_been_searched(both: Tiny, make_task: MakeTask) -> None:
    task = Learn2Synth(make_task(both())).task
    task.synthesizer.ranges.adopt({"flip": 1.0, "crop": 1.0, "rotation_degrees": (20.0, 30.0), "warp_mm": (5.0, 6.0)})
    assert torch.equal(task.lesson(3, 4)[1], task.counterparts(3, 4)[1])


# --- where it begins, and what is left of it


def test_the_search_begins_where_the_synthesis_does_and_the_rest_stays_as_measured(both: Tiny, make_task: MakeTask) -> None:
    """One of the two made-up scans is black about the brain, none has thick slices: the prior says otherwise."""
    prior = ("synthesis.skull_strip=0", "synthesis.dark_background=0", "synthesis.thick_slices=1", "synthesis.crop=0.2")
    strategy = Learn2Synth(make_task(both(*prior, search="skull_strip,crop")))
    taught = strategy.task.synthesizer.ranges.taught
    measured = Learn2Synth(make_task(both(*prior, search="crop"))).task.synthesizer.ranges.taught
    assert (measured.skull_strip, measured.dark_background, measured.thick_slices) == (0.5, 0.5, 0)
    assert (taught.dark_background, taught.thick_slices) == (0.5, 0)
    assert taught.skull_strip == pytest.approx(0.5) and taught.crop == pytest.approx(0.2, abs=0.01)
    assert strategy.prior()["skull_strip"] == 0 and strategy.learned()["skull_strip"] == taught.skull_strip


def test_what_is_learned_and_what_is_searched_are_told_together(both: Tiny, make_task: MakeTask, tmp_path: Path) -> None:
    strategy = Learn2Synth(make_task(both()))
    for index in range(4):
        strategy.step(index)
    learned, prior = strategy.learned(), strategy.prior()
    assert learned.keys() == prior.keys() and {"noise.low", "gamma.high", "flip", "warp_mm.low"} <= learned.keys()
    make_model(strategy, {}, None, 4).write(tmp_path / "both.l2s")
    story = tell(str(tmp_path / "both.l2s"))
    assert "how often flipped" in story and "noise level" in story and "--preset" not in story


def test_both_are_used_again(both: Tiny, make_task: MakeTask, cohort: Cohort, tmp_path: Path) -> None:
    first = Learn2Synth(make_task(both()))
    for index in range(4):
        first.step(index)
    make_model(first, {}, None, 4).write(tmp_path / "first.l2s")
    begin = (f"learn2synth.begin={tmp_path / 'first.l2s'}", "learn2synth.lr=0")
    again = Learn2Synth(make_task(both(*begin, search="[]")))
    again.step(0)
    assert again.learned() == first.learned() and again.task.synthesizer.ranges.taught == first.task.synthesizer.ranges.taught
    model = make_model(again, {}, None, 1)
    previewed = make_previewer(again.task.config, model, cohort.of("label_map")[:1]).synthesizer
    draws = [one.draw(stream(0, "test"), True) for one in (previewed, first.task.synthesizer)]
    assert draws[0] == draws[1]
    further = Learn2Synth(make_task(both(*begin, search="warp_spacing_mm")))
    assert searched(further)["warp_spacing_mm"] == pytest.approx(searched(first)["warp_spacing_mm"], rel=0.02)
    assert further.learned()["flip"] == first.learned()["flip"]
    forbidden = Learn2Synth(make_task(both(*begin, "synthesis.flip=0", search="[]"))).task.synthesizer.ranges
    assert forbidden.taught.flip == 0 and forbidden.taught.warp_mm == first.task.synthesizer.ranges.taught.warp_mm


def test_a_search_goes_on_from_its_state(both: Tiny, make_task: MakeTask) -> None:
    strategy, other = (Learn2Synth(make_task(both())) for _ in range(2))
    for index in range(4):
        strategy.step(index)
    other.load_state(copy.deepcopy(strategy.state()))
    assert other.learned() == strategy.learned() and other.task.synthesizer.ranges.taught == strategy.task.synthesizer.ranges.taught

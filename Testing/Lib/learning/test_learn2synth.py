"""The promise of the method: real scans teach the synthesis and never the network."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from Learn2SynthLib.config import RunConfig
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.learning.bundle import make_model
from Learn2SynthLib.learning.learn2synth import Learn2Synth, Lessons
from Learn2SynthLib.learning.strategy import Task
from Learn2SynthLib.synthesis.synthesizer import Values


def weights_after_a_step(task: Task) -> list[torch.Tensor]:
    Learn2Synth(task).step(0)
    return [weight.detach().clone() for weight in task.network.parameters()]


@pytest.mark.parametrize("method", ["exact", "one_sided", "central"])
def test_the_step_of_the_network_does_not_depend_on_the_real_images(method: str, tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    task = make_task(tiny(2, f"learn2synth.hypergradient={method}", "learn2synth.begin=prior"))  # what is measured is part of the synthesis
    other = copy.deepcopy(task)
    other.real = [replace(example, image=torch.rand_like(example.image), target=example.target.flip(0)) for example in other.real]
    ends = [copy.deepcopy(task.synthesizer.ranges.ends.state_dict()) for _ in range(2)]
    for one, two in zip(weights_after_a_step(task), weights_after_a_step(other), strict=True):
        assert torch.equal(one, two)
    learned = [t.synthesizer.ranges.ends.state_dict() for t in (task, other)]
    assert any(not torch.equal(learned[0][name], learned[1][name]) for name in learned[0])
    assert any(not torch.equal(learned[0][name], ends[0][name]) for name in learned[0])


@pytest.mark.parametrize("share", [0.0, 0.5, 0.75])
def test_the_stated_part_of_each_batch_is_wide(share: float, tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    batch = Learn2Synth(make_task(tiny(2, f"learn2synth.share={share}")))._batch(0, teach=True)
    assert len(batch.wide) == round(4 * share) and len(batch.images) == 4 - len(batch.wide) and len(batch.target) == 4


def test_the_network_begins_on_learned_images_alone(tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    strategy = Learn2Synth(make_task(tiny(2, "learn2synth.wide_from=0.5", steps=4)))
    assert [len(strategy._batch(index, teach=False).wide) for index in range(4)] == [0, 0, 2, 2]


def test_parts_of_a_small_batch_hold_over_several(tiny: Callable[..., RunConfig], make_task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two images one is wide, in three steps of four in contrast alone; the other is wide in the scanner in every second step."""
    settings = ("learn2synth.share=0.5", "learn2synth.any_contrast=0.75", "learn2synth.any_scanner=0.5", "batch_size=2")
    strategy = Learn2Synth(make_task(tiny(2, *settings)))
    asked, synthetic = [], strategy.task.synthetic

    def ask(index: int, learned: list[bool], wide: list[str]) -> object:
        asked.append((learned, wide))
        return synthetic(index, learned, wide=wide)

    monkeypatch.setattr(strategy.task, "synthetic", ask)
    for index in range(8):
        assert len(strategy._batch(index, teach=False).wide) == 1
    assert [learned for learned, _ in asked].count([False, True]) == 2
    contrasts, scanners = ([wide[k] for _, wide in asked] for k in (0, 1))
    assert contrasts.count("contrast") == 6 and scanners.count("scanner") == 4 and {*contrasts, *scanners} == {"contrast", "scanner", ""}


@pytest.mark.parametrize(("share", "size", "wide"), [(0.5, 1, [0, 1, 0, 1]), (0.75, 2, [1, 2, 1, 2]), (0.95, 1, [0, 1, 1, 1])])
def test_a_batch_may_be_wide_altogether_but_where_it_teaches(
    share: float, size: int, wide: list[int], tiny: Callable[..., RunConfig], make_task: Callable[..., Task]
) -> None:
    strategy = Learn2Synth(make_task(tiny(2, f"learn2synth.share={share}", f"batch_size={size}")))
    batches = [strategy._batch(index, teach=False) for index in range(4)]
    assert [len(batch.wide) for batch in batches] == wide and {len(batch.joined(batch.images)) for batch in batches} == {size}
    assert len(strategy._batch(3, teach=True).images) == max(1, size - wide[3])
    strategy._train(3)


@pytest.mark.parametrize("teach", [False, True])
def test_images_that_are_wide_in_a_part_alone(teach: bool, tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    """Of eight images four are wide, of these three in contrast alone: their contrast is the prior's, all else the learned one's.

    Of the four others two are wide in the scanner alone, but where the synthesis is taught by them.
    """
    settings = ("learn2synth.share=0.5", "learn2synth.any_contrast=0.75", "learn2synth.any_scanner=0.5", "learn2synth.begin=prior", "batch_size=8")
    strategy = Learn2Synth(make_task(tiny(2, *settings)))
    ranges = strategy.task.synthesizer.ranges
    with torch.no_grad():
        for ends in ranges.ends.values():
            ends.fill_(1)
    shown: list[Values] = []
    render = strategy.task.synthesizer.render
    strategy.task.synthesizer.render = lambda maps, draws: shown.append(strategy.task.synthesizer.values(draws)) or render(maps, draws)  # type: ignore[func-returns-value,method-assign,return-value]
    strategy._batch(0, teach)
    learned, wide = shown
    highest, own = ranges.bounds["noise"][1], 4 if teach else 2
    assert (learned["noise"][:own] == highest).all() and (learned["noise"][own:] < highest).all() and (learned["contrast_mean"] == 1).all()
    assert (wide["noise"][:3] == highest).all() and (wide["noise"][3:] < highest).all()
    assert (wide["contrast_mean"] < 1).any(1).all()


def test_images_may_be_wide_in_the_scanner_where_none_is_wide_in_contrast(
    tiny: Callable[..., RunConfig], make_task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("learn2synth.share=0", "learn2synth.any_scanner=0.5", "learn2synth.wide_from=0.5", "batch_size=2")
    strategy = Learn2Synth(make_task(tiny(2, *settings, steps=4)))
    asked, synthetic = [], strategy.task.synthetic
    monkeypatch.setattr(strategy.task, "synthetic", lambda index, learned, wide: asked.append((learned, wide)) or synthetic(index, learned, wide=wide))  # type: ignore[func-returns-value]
    for index in range(4):
        assert len(strategy._batch(index, teach=False).images) == 2
    assert asked == 2 * [([True, True], ["", ""])] + 2 * [([True, True], ["", "scanner"])]


@pytest.mark.parametrize(
    ("settings", "steps", "expected"),
    [
        (["learn2synth.start=0.2", "learn2synth.duration=0.3"], 10, [2, 3, 4]),
        (["learn2synth.every=3"], 100, [0, 3, 6]),
    ],
)
def test_the_synthesis_moves_in_its_time_and_every_so_many_steps_only(
    settings: list[str], steps: int, expected: list[int], tiny: Callable[..., RunConfig], make_task: Callable[..., Task]
) -> None:
    strategy = Learn2Synth(make_task(tiny(2, *settings, steps=steps)))
    moved = []
    for index in range(7):
        before = strategy.learned()
        strategy.step(index)
        if strategy.learned() != before:
            moved.append(index)
    assert moved == expected


def test_parameters_that_are_not_to_be_learned_keep_their_prior(tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    strategy = Learn2Synth(make_task(tiny(2, 'learn2synth.learn=["noise","bias"]')))
    strategy.step(0)
    assert {name.split(".")[0] for name in strategy.learned()} == {"noise", "bias"}


def test_learning_brings_the_contrast_towards_that_of_the_real_scans(tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    """In the made-up scans the thalamus is the brightest structure and white matter the darkest; both start at the same prior."""
    settings = ["learn2synth.begin=prior", "learn2synth.share=0", "learn2synth.lr=0.05", "network.features=[8,16]", "batch_size=8", "optimiser.lr=5e-3"]
    strategy = Learn2Synth(make_task(tiny(2, *settings, 'learn2synth.learn=["contrast_mean","contrast_spread"]', steps=100)))
    for index in range(80):
        strategy.step(index)
    learned = strategy.learned()
    bright, dark = (learned[f"contrast_mean.{name}.low"] + learned[f"contrast_mean.{name}.high"] for name in ("thalamus", "cerebral white matter"))
    assert bright > dark + 0.2


def test_counterparts_have_the_anatomy_and_pose_of_the_scans(tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    task = Learn2Synth(make_task(tiny(2, batch_size=8))).task
    real, synthetic = task.lesson(3, 8), task.counterparts(3, 8)
    assert torch.equal(real[1], synthetic[1]) and real[1].any()
    assert real[0].shape == synthetic[0].shape and not torch.allclose(real[0], synthetic[0])


def test_matching_is_at_rest_where_scans_and_counterparts_are_alike(tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    """The paper's objective is not: wherever the network can still learn, images that teach it faster lower the loss more."""
    lessons = {}
    for objective in ("matching", "loss"):
        strategy = Learn2Synth(make_task(tiny(2, f"learn2synth.objective={objective}")))
        strategy.task.lesson = lambda step, count: strategy.task.counterparts(step, count)  # type: ignore[method-assign]  # noqa: B023
        lessons[objective] = torch.cat([v.flatten() for v in strategy._lesson(0)[1].values()])
    assert not lessons["matching"].any() and lessons["loss"].any()


def test_a_learned_synthesis_is_used_again(tiny: Callable[..., RunConfig], make_task: Callable[..., Task], tmp_path: Path) -> None:
    first = Learn2Synth(make_task(tiny(2)))
    first.step(0)
    make_model(first, {}, None, 1).write(tmp_path / "first.l2s")
    again = Learn2Synth(make_task(tiny(2, f"learn2synth.begin={tmp_path / 'first.l2s'}", "learn2synth.lr=0")))
    before = again.learned()
    assert before == first.learned()
    again.step(0)
    assert again.learned() == before
    with pytest.raises(InputError, match="has learned another synthesis"):
        Learn2Synth(make_task(tiny(2, f"learn2synth.begin={tmp_path / 'first.l2s'}", 'learn2synth.learn=["noise"]')))


def test_lessons_are_averaged_as_if_all_before_the_first_had_not_been() -> None:
    lessons = Lessons(0.5)
    means = [float(lessons.mean_with({"w": torch.tensor(value)})["w"]) for value in (1.0, 4.0, 0.0)]
    assert means == pytest.approx([1.0, (1 * 1 + 2 * 4) / 3, (1 * 1 + 2 * 4 + 4 * 0) / 7])
    assert [float(Lessons(0.0).mean_with({"w": torch.tensor(value)})["w"]) for value in (1.0, 4.0)] == [1.0, 4.0]

"""The benchmark of hippocampi: whom it gives and whom it measures, which records still hold, and what its page says of them."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from Learn2SynthLib.labels import load_table
from Learn2SynthLib.learning.policy import PolicySpace
from Learn2SynthLib.learning.policy_search import _parted, _searched

PEOPLE = 36


@pytest.fixture
def hippocampus(tmp_path: Path, benchmark: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark, with the files of 36 people by name alone, both sides each, and numbers missing between them as in the data."""
    (tmp_path / "msd_hippocampus").mkdir()
    for person in range(1, PEOPLE + 1):
        for case in (4 * person - 1, 4 * person):
            (tmp_path / "msd_hippocampus" / f"hippocampus_{case:03d}_T1w.nii.gz").touch()
    monkeypatch.setattr(benchmark("people"), "DATA", tmp_path)
    return benchmark("hippocampus")


@pytest.fixture
def record(hippocampus: ModuleType) -> Callable[..., dict[str, Any]]:
    """record(method, people, seed, dice): what a trial leaves behind, read from its line; ten people measured it."""

    def make(method: str, people: int = 4, seed: int = 0, dice: float = 0.8) -> dict[str, Any]:
        trial = hippocampus.Trial(method, people, seed, hippocampus.STEPS)
        names = [f"{person:03d}_{2 * person - side:03d}" for person in range(1, 11) for side in (1, 0)]
        scores = {name: {"dice": {"mean": dice + 0.001 * k, "a": dice}, "hd95_mm": {"mean": 2.0, "a": 2.0} if k else {}} for k, name in enumerate(names)}
        config = hippocampus.settings(trial.config())
        choices = PolicySpace.of(_searched(trial.config())).choices if method == hippocampus.SEARCH else ()
        prior = {choice.name: sum(choice.values) / len(choice.values) for choice in choices}
        learned = prior | ({"flip": 0.75} if prior else {})
        made = {"trial": vars(trial), "config": config, "seconds": 120.0, "cases": scores, "learned": learned, "prior": prior, "versions": {}}
        return json.loads(json.dumps(made))

    return make


def test_its_table_tells_the_two_parts_apart(hippocampus: ModuleType) -> None:
    table = load_table(str(hippocampus.TABLE))
    assert table.mapping_to(load_table(str(hippocampus.TABLE))) == {0: 0, 1: 1, 2: 2} and len({label.generation for label in table.labels}) == 3


@pytest.mark.parametrize("people", [4, 8, 12])
def test_nobody_is_on_two_sides(people: int, hippocampus: ModuleType) -> None:
    """Not among those who are given and those who measure; not among those who train and those who score policies."""

    def persons(subjects: Any) -> set[str]:
        return {subject.name.split("_")[0] for subject in subjects}

    given, strangers = hippocampus.parted()
    assert len(given) == 12 and len(strangers) == 24
    for seed in hippocampus.SEEDS:
        trial = hippocampus.Trial(hippocampus.SEARCH, people, seed, 100)
        real = trial.cohort().of("real")
        assert len(real) == 2 * people and len(persons(real)) == people
        assert persons(real).isdisjoint(persons(side for person in strangers for side in person))
        trained, scored = _parted(trial.config(), real)
        assert len(scored) == people // 2 and persons(trained).isdisjoint(persons(scored))


def test_every_seed_of_four_people_has_its_own(hippocampus: ModuleType) -> None:
    names = [subject.name for seed in hippocampus.SEEDS for subject in hippocampus.Trial(hippocampus.SEARCH, 4, seed, 100).cohort().of("real")]
    assert len(set(names)) == len(names)


def test_what_is_not_augmented_is_not_deformed_either(hippocampus: ModuleType) -> None:
    config = hippocampus.Trial("supervised, not augmented", 4, 0, 100).config()
    made, chances = config.synthesis, ("flip", "crop", "rotation_chance", "scaling_chance", "warp_chance")
    assert not config.supervised.augmentation and not any(getattr(made, name) for name in chances) and made.shear == made.translation_mm == (0, 0)


def test_records_of_other_settings_are_left_out(hippocampus: ModuleType, record: Callable[..., dict[str, Any]]) -> None:
    found, default = record(hippocampus.FOUND), record(hippocampus.DEFAULT)
    assert hippocampus.still_made(found) and hippocampus.still_made(default)
    for each in (found, default):
        each["config"]["synthesis"]["flip"] = 0.25
    assert hippocampus.still_made(found) and not hippocampus.still_made(default)  # a found policy is not compared
    found["config"]["optimiser"]["lr"] = 0.1
    assert not hippocampus.still_made(found)


def test_sessions_of_a_stopped_run_add_up(hippocampus: ModuleType, tmp_path: Path) -> None:
    run = hippocampus.Run(tmp_path)
    for event, seconds in (("started", None), ("step", 2.0), ("step", 5.0), ("stopped", None), ("started", None), ("step", 1.0), ("finished", 3.0)):
        run.append(event, **({} if seconds is None else {"seconds": seconds}))
    assert hippocampus.seconds_of(run) == 8


def test_the_page_says_what_the_numbers_say(
    hippocampus: ModuleType, record: Callable[..., dict[str, Any]], benchmark: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    section = benchmark("sections.hippocampi")
    monkeypatch.setattr(section, "LOTS", 1)
    nothing = "\n".join(section.blocks([]))
    assert nothing.count("not run") > 30 and "better" not in nothing
    records = [record(hippocampus.DEFAULT, dice=0.7), record(hippocampus.SEARCH, dice=0.72), record(hippocampus.FOUND, dice=0.69)]
    told = "\n".join(section.blocks(records))
    assert "with 8 cases *policy search* +2.0 (+2.0 to +2.0: better), *supervised, found policy* -1.0 (-1.0 to -1.0: worse), *random policies* not run" in told
    assert "with 24 cases *policy search* not run" in told
    assert "2.00 to 2.00; 1 not found" in told and "| 0.720<br><sub>2 mm</sub> |" in told
    assert "| `flip` | 0.50 | 0.50 | 0.75<br><sub>+25 %</sub> | not run |" in told

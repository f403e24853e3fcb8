"""What is measured alike is compared, and nothing else."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Bench = Callable[[str], ModuleType]


def record(method: str, seed: int, dice: float, **more: Any) -> dict[str, Any]:
    trial = {"method": method, "scans": 5, "seed": seed, "steps": 1500}
    return {"trial": trial, "rows": {"malf T1": {f"{person}_T1": {"dice": {"mean": dice}, "hd95_mm": {}} for person in "ab"}}, **more}


def test_differences_are_of_trials_of_one_protocol(benchmark: Bench) -> None:
    samples = benchmark("sections.samples")
    both = [record(method, 0, dice) for method, dice in (("learn2synth", 0.7), ("mixed", 0.6))]
    trials = samples.Trials([*both, record("learn2synth", 1, 0.9, protocol=2)])
    setup = samples.Setup(1500, 5)
    assert list(trials.chosen("learn2synth", setup)) == [1] and trials.sample("learn2synth", setup, ("malf T1",)).mean == pytest.approx(0.9)
    difference = trials.difference("learn2synth", "mixed", setup, ("malf T1",))
    assert difference.mean == pytest.approx(0.1) and difference.protocol == 1
    assert (trials.named("learn2synth", setup), trials.named("mixed", setup)) == ("learn2synth", f"mixed{samples.EARLIER}")
    newer = samples.Trials([*trials.records, record("mixed", 1, 0.85, protocol=2)])
    assert newer.difference("learn2synth", "mixed", setup, ("malf T1",)).mean == pytest.approx(0.05)


def test_an_earlier_protocol_is_measured_again(benchmark: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = benchmark("trials")
    records = [record("mixed", seed, 0.6, protocol=number) for seed, number in ((0, 1), (1, trials.PROTOCOL))]
    monkeypatch.setattr(trials, "read_results", lambda: records)
    assert trials.finished() == {trials.Trial("mixed", 5, 1, 1500)}

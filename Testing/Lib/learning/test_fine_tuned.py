"""Random contrast first, real scans after, each with an optimiser of its own and a learning rate that falls from its height to nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from Learn2SynthLib.config import RunConfig
from Learn2SynthLib.learning.session import train_run
from Learn2SynthLib.learning.strategy import Task
from Learn2SynthLib.run import Run
from Learn2SynthLib.volume.cohort import Cohort


@pytest.mark.parametrize(
    ("strategy", "settings", "losses", "rates"),
    [
        ("fine_tuned", ["fine_tuned.start=0.6"], ["synthetic"] * 3 + ["real"] * 2, [1, 0.75, 0.25, 1, 0.5]),
        ("fine_tuned", ["fine_tuned.start=0"], ["real"] * 5, [1, 0.905, 0.655, 0.345, 0.095]),
        ("fine_tuned", ["fine_tuned.start=1"], ["synthetic"] * 5, [1, 0.905, 0.655, 0.345, 0.095]),
        ("fine_tuned", ["fine_tuned.start=0.6", "optimiser.schedule=constant"], ["synthetic"] * 3 + ["real"] * 2, [1] * 5),
        ("learned_transforms", ["learned_transforms.spatial=0.4", "learned_transforms.appearance=0.2"], ["synthetic"] * 2, [1, 0.5]),
    ],
)
def test_every_phase_begins_anew_at_the_full_rate(
    strategy: str, settings: list[str], losses: list[str], rates: list[float], tiny: Callable[..., RunConfig], cohort: Cohort, tmp_path: Path, monkeypatch
) -> None:
    used, fresh, train = [], [], Task.train

    def watch(task: Task, images: Tensor, target: Tensor) -> float:
        fresh.append(not task.optimiser.state)
        used.append(task.optimiser.param_groups[0]["lr"] / task.config.optimiser.lr)
        return train(task, images, target)

    monkeypatch.setattr(Task, "train", watch)
    run = Run(tmp_path / "run")
    train_run(tiny(2, *settings, strategy=strategy, steps=5), cohort, run, lambda event: None)
    told = [key for event in run.events() if event["event"] == "step" for key in ("synthetic", "real") if f"{key}_loss" in event]
    assert told == losses and used == pytest.approx(rates, abs=1e-3)
    assert fresh == [k == 0 or losses[k] != losses[k - 1] for k in range(len(losses))]

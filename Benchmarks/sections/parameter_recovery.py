"""Parameter recovery: planted synthesis parameters learned back, from recovery.json."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from recovery import AVERAGED, EXPERIMENTS

from . import figures
from .markdown import NOT_RUN, Section, counted, duration, listed, number, picture, table, versions

TITLE = "Parameter recovery"
# Means that Hu et al. (2025) publish for their synthetic experiment, by planted standard deviation of the noise.
PAPER = {0.0: -0.001, 0.05: 0.042, 0.1: 0.098, 0.15: 0.146}
ABOUT = f""""Real" images are rendered with planted parameters; a second synthesis that starts at random values learns from them as `learn2synth` does.
Learned: the mean of the last {100 * AVERAGED:.0f} % of the steps. Error: of the mean over seeds, in per cent of the planted value, or absolute where that is 0.
Paper: the means that Hu et al. (2025) publish for noise."""

Run = dict[str, Any]


def section(record: dict[str, Any], pictures: Path) -> Section:
    runs = by_steps(record.get("runs", ()))
    blocks = [ABOUT, made_by(record)]
    for steps, experiments in sorted(runs.items()):
        missing = EXPERIMENTS.keys() - {run["experiment"] for same in experiments.values() for run in same} if steps == usual_steps(runs) else ()
        named = experiments | {name: [] for name in EXPERIMENTS if name in missing}
        path = pictures / f"recovery-{steps}.png"
        figures.recovery({name: same for name, same in named.items() if same}, path)
        rows = [line for name, same in named.items() for line in lines(name, same)]
        blocks += [f"### {steps} steps", picture(path, "Learned values over the steps, a curve a seed; dashed: planted")]
        blocks += [table(["experiment", "parameter", "planted", "learned", "each seed", "error", "paper"], rows)]
        blocks += identified([run for same in named.values() for run in same], pictures / f"slopes-{steps}.png")
    return Section(TITLE, summary(runs), blocks)


def by_steps(runs: Sequence[Run]) -> dict[int, dict[str, list[Run]]]:
    """Runs with equal steps that planted the same, seed by seed; where each seed planted something else, each stands alone."""
    found: dict[int, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    own = {run["experiment"] for run in runs for other in runs if run["experiment"] == other["experiment"] and run["planted"] != other["planted"]}
    order = list(EXPERIMENTS)
    for run in sorted(runs, key=lambda run: (order.index(run["experiment"]), run["seed"])):
        name = run["experiment"]
        found[run["steps"]][f"{name}, seed {run['seed']}" if name in own else name].append(run)
    return found


def made_by(record: dict[str, Any]) -> str:
    runs = record.get("runs", ())
    if not runs:
        return f"Command: `python Benchmarks/recovery.py`: {NOT_RUN}."
    seeds, steps = ({run[key] for run in runs} for key in ("seed", "steps"))
    took = f"{counted(len(runs), 'run')}, {counted(len(seeds), 'seed')}, {listed(sorted(steps))} steps, {duration(sum(run['seconds'] for run in runs))} in all"
    return f"Command: `{record['command']}`; {took}; {versions(runs, {'torch': 'torch', 'python': 'Python'})}."


def usual_steps(runs: dict[int, dict[str, list[Run]]]) -> int:
    """With which most experiments were run."""
    return max(runs, key=lambda steps: len(runs[steps]))


def summary(runs: dict[int, dict[str, list[Run]]]) -> str:
    """How far off the parameters of each kind are on average, with the steps that most experiments had."""
    if not runs:
        return f"{NOT_RUN}."
    steps = usual_steps(runs)
    found = [(key.split(".")[0], run["planted"][key], learned(same, key)) for same in runs[steps].values() for run in same[:1] for key in run["planted"]]
    off: dict[str, list[float]] = defaultdict(list)
    for kind, planted, mean in found:
        if not _is_zero(planted):
            off[kind].append(abs(error(planted, mean)))
    done = len({run["experiment"] for same in runs[steps].values() for run in same})
    told = listed(f"{kind} {100 * fmean(errors):.0f} % ({counted(len(errors), 'value')})" for kind, errors in off.items())
    return f"{done} of {len(EXPERIMENTS)} experiments with {steps} steps; mean error of what was planted: {told}. The remarks say what cannot be found."


def identified(runs: Sequence[Run], path: Path) -> Iterator[str]:
    """The hypergradient over the level of a parameter, where it was measured."""
    panels = [
        (f"{run['experiment']}\n{key}", run["planted"][key], [level for level in run["slopes"] if level["parameter"] == key])
        for run in runs
        for key in dict.fromkeys(level["parameter"] for level in run.get("slopes", ()))
    ]
    if panels:
        figures.slopes(panels, path)
        yield picture(path, "Hypergradient of a parameter over its level, all others as planted, with two standard errors of 40 steps; dashed: planted")


def lines(name: str, runs: Sequence[Run]) -> Iterator[list[str]]:
    """A line for each parameter of an experiment."""
    if not runs:
        yield [name, *[NOT_RUN] * 5, ""]
    for key, planted in runs[0]["planted"].items() if runs else ():
        seeds = listed(f"{run['learned'][key]:.3f}" for run in runs)
        mean = learned(runs, key)
        off = f"{error(planted, mean):+.3f}" if _is_zero(planted) else f"{100 * error(planted, mean):+.0f} %"
        paper = PAPER.get(round(planted, 4)) if key == "noise" else None
        yield [name, key, number(planted), f"{mean:.3f}", seeds, off, "" if paper is None else f"{paper:.3f}"]


def learned(runs: Sequence[Run], key: str) -> float:
    return fmean(run["learned"][key] for run in runs)


def error(planted: float, found: float) -> float:
    return found - planted if _is_zero(planted) else (found - planted) / abs(planted)


def _is_zero(value: float) -> bool:
    """Values are planted in single precision."""
    return abs(value) < 1e-6

"""Gradients: how right each form of the hypergradient is, and what it costs, from gradients.json."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from . import figures
from .markdown import NOT_RUN, Section, counted, listed, number, picture, small, table, versions

TITLE = "Gradients"
GRIDS = ("2d", "3d")
ABOUT = """Each form of the hypergradient is compared with central differences, in double precision, of the loss on real scans after the network's whole step.
A cosine similarity of 1 and an error of 0 (length of the difference, divided by the length of the reference) are right. The reference is computed with two
step lengths; how well these agree is its own error."""
COST = """Time of a step and rise of its peak memory, as multiples of those of a plain step. With the paper's objective; `matching`
also takes the gradient on the scans' synthetic counterparts. Over a run: computed from the time, for a synthesis that learns in every k-th
step of its part of the run."""

Part = dict[str, Any]


def section(record: Part, pictures: Path) -> Section:
    accuracy = {grid: steps for grid in GRIDS if (steps := record.get("accuracy", {}).get(grid))}
    blocks = [ABOUT, made_by(record, accuracy), "### Accuracy over training"]
    if accuracy:
        figures.cosines(accuracy, pictures / "gradients.png")
        blocks.append(picture(pictures / "gradients.png", "Cosine similarity with the reference over training"))
    for grid in GRIDS:
        blocks += [f"**{grid}**", over_training(accuracy[grid])] if grid in accuracy else [f"**{grid}**: {NOT_RUN}"]
    blocks += ["### Length of the difference", *(epsilons(found) for found in record.get("epsilon", ())), *([] if record.get("epsilon") else [NOT_RUN])]
    return Section(TITLE, summary(accuracy, record), [*blocks, "### Cost", COST, *costs(record.get("cost", {}))])


def made_by(record: Part, accuracy: dict[str, list[Part]]) -> str:
    if not record:
        return f"Command: `python Benchmarks/gradients.py`: {NOT_RUN}."
    steps = [f"{grid} before steps {listed(found['step'] for found in same)}" for grid, same in accuracy.items()]
    trained = f"accuracy: {f'1 seed, {listed(steps)}' if steps else NOT_RUN}"
    where = f"{record['machine']}, {counted(record['threads'], 'thread')}"
    return f"Command: `{record['command']}`; {trained}; {versions([record], {'torch': 'torch', 'python': 'Python'})}; {where}."


def summary(accuracy: dict[str, list[Part]], record: Part) -> str:
    """The lowest cosine of every form in the program's own precision, after the first step and before it, and the cost of a step."""
    later, first = (lowest([step for steps in accuracy.values() for step in steps if (step["step"] == 0) == begins]) for begins in (False, True))
    told = [f"{form} {cosine:.5f}" for form, cosine in later.items()]
    cost = record.get("cost", {}).get("2d")
    times = [f"{form} x{found['ratio']:.1f}" for form, found in cost["time"].items() if form != "plain"] if cost else []
    begun = f", before the very first step {min(first.values()):.2f}" if first else ""
    return f"lowest cosine in float32 over training: {listed(told) or NOT_RUN}{begun}; time of a step, 2d: {listed(times) or NOT_RUN}."


def lowest(steps: Sequence[Part]) -> dict[str, float]:
    found = [f for step in steps for f in step["found"] if f["precision"] == "float32"]
    return {form: min(f["cosine"] for f in found if f["form"] == form) for form in dict.fromkeys(f["form"] for f in found)}


def over_training(steps: Sequence[Part]) -> str:
    kinds = list(dict.fromkeys((f["form"], f["precision"]) for step in steps for f in step["found"]))
    rows = []
    for step in steps:
        found = {(f["form"], f["precision"]): agreement(f) for f in step["found"]}
        rows.append([str(step["step"]), str(step["coordinates"]), agreement(step["reference"]), *(found.get(kind, NOT_RUN) for kind in kinds)])
    return table(["before step", "coordinates", "reference with itself", *(f"{form}, {precision}" for form, precision in kinds)], rows)


def agreement(found: Part) -> str:
    return small(f"{found['cosine']:.5f}", f"error {number(found['error'], 2)}")


def epsilons(step: Part) -> str:
    """The exact form has no length of difference."""
    found = {(f["epsilon"], f["form"], f["precision"]): agreement(f) for f in step["found"]}
    kinds = list(dict.fromkeys((form, precision) for _, form, precision in found))
    lengths = sorted({epsilon for epsilon, _, _ in found if epsilon is not None}, reverse=True)
    rows = [[f"{epsilon:g}", *(found.get((epsilon, *kind)) or found.get((None, *kind), NOT_RUN) for kind in kinds)] for epsilon in lengths]
    return f"Before step {step['step']}:\n\n" + table(["epsilon", *(f"{form}, {precision}" for form, precision in kinds)], rows)


def costs(cost: Part) -> Iterator[str]:
    cuda = cost.get("cuda") or {}
    gpu = f"{cuda['device']}, torch {cuda['torch']}" if cuda else "CUDA"
    for device, cases in (("CPU", cost), (gpu, cuda)):
        for grid in GRIDS:
            found = cases.get(grid)
            yield f"**{grid}, {device}**: {described(found) if found else NOT_RUN}"
            if found:
                yield cost_table(found)


def described(cost: Part) -> str:
    window = "x".join(map(str, cost["shape"]))
    return f"preset {cost['preset']}, {cost['batch_size']} x {window}, features {listed(cost['features'])}, median of {counted(cost['rounds'], 'round')}"


def cost_table(cost: Part) -> str:
    over = list(next(iter(cost["computed_run_ratio"].values())))
    rows = []
    for form, time in cost["time"].items():
        memory, run = cost["memory"][form], cost["computed_run_ratio"].get(form, {})
        rows.append([form, f"x{time['ratio']:.2f}", number(time["seconds"]), f"x{memory['ratio']:.2f}", f"{memory['megabytes']:.0f}"])
        rows[-1] += [f"x{run[every]:.2f}" if every in run else "" for every in over]
    return table(["form", "time", "seconds a step", "memory", "MB", *(f"run, {every}" for every in over)], rows)

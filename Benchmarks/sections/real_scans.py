"""Real scans: every way of training side by side, from trials.jsonl."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from trials import MAIN, OURS

from . import figures
from .markdown import NOT_RUN, Section, counted, details, duration, interval, left_out, listed, number, picture, points, small, table, versions
from .samples import EARLIER, IN_DOMAIN, LEVEL, OUT_OF_DOMAIN, RESAMPLES, ROWS, SHIFTED, SITES, Record, Sample, Setup, Trials
from .targets import checklist

TITLE = "Real scans"
COMPARED = (OURS, "randomised", "mixed", "supervised, augmented")
PROGRAMS = {"learn2synth": "learn2synth", "torch": "torch", "python": "Python"}
ABOUT = f"""Every method trains the same network on the label maps of the same six people (MICCAI 2012 challenge, T1, manual labels) with equal steps, and is
given the scans of some of these people, which all methods deform (*augmented*: and corrupt as scanners do). Measured at the last step: on four other people
as they are (`malf T1`, in domain) and shifted ({listed(SHIFTED)}), and on six older people of another site with automatic labels ({listed(SITES)}). Mean Dice
of twelve structures and 95 % Hausdorff distance, on the model's 2 mm grid. Methods that are given no scans are the same in all tables."""
CREDITS = """Shown is NiiVue's demo image (BSD-2-Clause), which is not among the measured scans. These are OASIS scans with labels by Neuromorphometrics,
Inc. (CC BY-NC 3.0) and NiChart demo data (University of Pennsylvania, SBIA licence)."""
INTERVALS = f"""Small figures are {100 * LEVEL:.0f} % intervals of a percentile bootstrap ({RESAMPLES} resamples, fixed seed) that draws people and
seeds again, each on their own; where there is one seed, only people. People are few, four or six, so the intervals are probably too narrow, and they are about
these ten people. The p-values are of Wilcoxon's signed-rank test over pairs of the same person and seed; pairs that share a person or a seed are not
independent, which the test assumes, and nothing is corrected for the number of comparisons: read them as a description. With 4 pairs none can be below
0.125, with 6 none below 0.031."""
MARKED = f"""{EARLIER.strip()} Measured by an earlier program: labels of scans stood up to half a voxel of 1 mm beside their image, in training and in measuring
alike, and `learn2synth` did not measure the texture of scans. Figures with and without this mark are not to be compared; differences are always of
trials of one kind."""


def section(trials: Trials, pictures: Path) -> Section:
    targets, verdicts = checklist(trials)
    main = [record for record in trials.records if record["trial"]["method"] in MAIN]
    shifts = pictures / "shifts.png"
    blocks = [ABOUT, made_by(main, "main"), INTERVALS, MARKED]
    blocks += [picture(shifts, "One slice of a scan as it is and as each shift makes it"), CREDITS] if shifts.is_file() else []
    blocks += ["### Targets", targets]
    setups = trials.setups(list(MAIN))
    if setups:
        blocks += [*drawn(trials, setups, pictures), *(block for setup in setups for block in tables(trials, setup)), *distances(trials, setups)]
    return Section(TITLE, f"{summary(trials, main, setups)} Targets: {verdicts}.", blocks)


def made_by(records: Sequence[Record], study: str) -> str:
    """The command, and what it took."""
    if not records:
        return f"Command: `python Benchmarks/trials.py --runs FOLDER --study {study}`: {NOT_RUN}."
    values = {option: sorted({r["trial"][key] for r in records}) for option, key in (("scans", "scans"), ("seeds", "seed"), ("steps", "steps"))}
    values["scans"] = [scans for scans in values["scans"] if scans] or [0]
    options = " ".join(f"--{option} {' '.join(map(str, numbers))}" for option, numbers in values.items())
    took = f"{counted(len(records), 'trial')}, {counted(len(values['seeds']), 'seed')}, {duration(sum(r['seconds'] for r in records))} of training in all"
    return f"Command: `python Benchmarks/trials.py --runs FOLDER --study {study} {options}`; {took}; {versions((r['versions'] for r in records), PROGRAMS)}."


def summary(trials: Trials, records: Sequence[Record], setups: Sequence[Setup]) -> str:
    """The figures of the setup that most trials share, the last of them where there are several."""
    if not setups:
        return f"{NOT_RUN}."
    setup = max(setups, key=lambda setup: (sum(len(trials.chosen(method, setup)) for method in MAIN), setup))
    told = listed(f"`{method}` {inside_and_outside(trials, method, setup)}" for method in COMPARED)
    return f"{counted(len(records), 'trial')}; mean Dice in domain / out of domain with {setup}: {told}."


def inside_and_outside(trials: Trials, method: str, setup: Setup) -> str:
    inside, outside = (trials.sample(method, setup, rows) for rows in (IN_DOMAIN, OUT_OF_DOMAIN))
    return f"{inside.mean:.3f} / {outside.mean:.3f}" if inside and outside else NOT_RUN


def drawn(trials: Trials, setups: Sequence[Setup], pictures: Path) -> Iterator[str]:
    """In domain over the number of scans; every row for the most scans of each number of steps."""
    by_steps = {steps: [setup for setup in setups if setup.steps == steps] for steps in sorted({setup.steps for setup in setups})}
    panels = {f"{steps} steps": {method: curve(trials, method, same) for method in MAIN} for steps, same in by_steps.items()}
    figures.curves(panels, pictures / "dice-by-scans.png")
    yield picture(pictures / "dice-by-scans.png", f"Dice in domain over the number of annotated scans, with 95 % intervals; hollow:{EARLIER}")
    for steps, same in by_steps.items():
        run = [method for method in MAIN if trials.chosen(method, same[-1])]
        means = [[trials.sample(method, same[-1], (row,)).mean for method in run] for row in ROWS]
        path = pictures / f"dice-by-row-{steps}.png"
        figures.heat_map(means, ROWS, [trials.named(method, same[-1]) for method in run], f"Dice, {same[-1]}", path)
        yield picture(path, f"Dice of every measured row and method, {same[-1]}")


def curve(trials: Trials, method: str, setups: Sequence[Setup]) -> figures.Curve:
    """Where the method was run."""
    samples = {setup.scans: trials.sample(method, setup, IN_DOMAIN) for setup in setups}
    return [(scans, sample.mean, *sample.interval, bool(sample.mark)) for scans, sample in samples.items() if sample]


def tables(trials: Trials, setup: Setup) -> Iterator[str]:
    """Of the methods that were run; the others by name."""
    run = [method for method in MAIN if trials.chosen(method, setup)]
    yield f"### {setup}"
    yield dice(trials, setup, run)
    yield from left_out([method for method in MAIN if method not in run])
    yield f"`{OURS}` minus each other method, in points of Dice:"
    yield comparisons(trials, setup, [method for method in run if method != OURS])
    yield details(f"Structures in domain: Dice and 95 % Hausdorff distance in mm, {setup}", structures(trials, setup, run))


def dice(trials: Trials, setup: Setup, methods: Sequence[str]) -> str:
    means = {**{row: (row,) for row in ROWS}, "mean out of domain": OUT_OF_DOMAIN}
    rows = [[name, *best_bold([trials.sample(method, setup, of) for method in methods])] for name, of in means.items()]
    records = [list(trials.chosen(method, setup).values()) for method in methods]
    rows.append(["seeds", *(seeds_told(len(same)) for same in records)])
    rows.append(["seconds of a training", *(f"{fmean(r['seconds'] for r in same):.0f}" for same in records)])
    return table(["Dice", *(trials.named(method, setup) for method in methods)], rows)


def seeds_told(count: int) -> str:
    return small("1", "intervals over people only") if count == 1 else str(count)


def best_bold(samples: Sequence[Sample]) -> list[str]:
    """The best of those that may be compared, those of the newest protocol among them, is bold."""
    newest = max((sample.protocol for sample in samples if sample), default=0)
    best = max((f"{sample.mean:.3f}" for sample in samples if sample and sample.protocol == newest), default="")
    return [bold_if(sample.protocol == newest and f"{sample.mean:.3f}" == best, sample) if sample else NOT_RUN for sample in samples]


def bold_if(best: bool, sample: Sample) -> str:
    mean = f"{sample.mean:.3f}"
    return small(f"**{mean}**" if best else mean, interval(*sample.interval, ".3f"))


def comparisons(trials: Trials, setup: Setup, others: Sequence[str]) -> str:
    """Pair by pair: where it was taught, and where it was not."""
    columns = {"in domain": IN_DOMAIN, "mean of the shifts": SHIFTED, **{site: (site,) for site in SITES}}
    rows = [[f"`{other}`", *(compared(trials.difference(OURS, other, setup, of)) for of in columns.values())] for other in others]
    return table(["minus", *columns], rows)


def compared(difference: Sample) -> str:
    if not difference:
        return NOT_RUN
    low, high = difference.interval
    p = f"p {difference.p:.3f}" if difference.p >= 0.001 else "p < 0.001"
    return small(points(difference.mean) + difference.mark, f"{interval(100 * low, 100 * high, '+.1f')}; {p}, {difference.pairs} pairs")


def structures(trials: Trials, setup: Setup, methods: Sequence[str]) -> str:
    records = [record for method in methods for record in trials.chosen(method, setup).values()]
    scans = (scan for record in records for scan in record["rows"][IN_DOMAIN[0]].values())
    names = dict.fromkeys(name for scan in scans for name in scan["dice"] if name != "mean")
    rows = [[name, *(structure(trials, method, setup, name) for method in methods)] for name in names]
    return table(["", *(trials.named(method, setup) for method in methods)], rows)


def structure(trials: Trials, method: str, setup: Setup, name: str) -> str:
    overlap, distance = (trials.sample(method, setup, IN_DOMAIN, metric, name) for metric in ("dice", "hd95_mm"))
    return small(f"{overlap.mean:.2f}", f"{number(distance.mean, 2)} mm") if overlap else NOT_RUN


def distances(trials: Trials, setups: Sequence[Setup]) -> Iterator[str]:
    yield "### Hausdorff distance in domain"
    yield "A structure that was not found at all has no distance and is not in the mean; where there are any, their number a scan is given."
    yield table(["mm", *map(str, setups)], [[f"`{method}`", *(distance(trials, method, setup) for setup in setups)] for method in MAIN])


def distance(trials: Trials, method: str, setup: Setup) -> str:
    sample = trials.sample(method, setup, IN_DOMAIN, "hd95_mm")
    if not sample:
        return NOT_RUN
    scans = [scan for record in trials.chosen(method, setup).values() for scan in record["rows"][IN_DOMAIN[0]].values()]
    missed = fmean(len(scan["dice"].keys() - scan["hd95_mm"].keys()) for scan in scans)
    return small(f"{sample.mean:.2f}{sample.mark}", interval(*sample.interval, ".2f") + (f"; {missed:.1f} not found" if missed else ""))

"""Policy search beside our own augmentation on hippocampi, from hippocampus.jsonl, and what the searches moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from hippocampus import DEFAULT, FOUND, METHODS, PEOPLE, RANDOM, SEARCH, STEPS

from Learn2SynthLib.config import SynthesisConfig
from Learn2SynthLib.learning.natural_gradient import CategoricalSearch
from Learn2SynthLib.learning.policy import CHOICES, Choice
from Learn2SynthLib.randomness import stream

from .markdown import NOT_RUN, counted, details, duration, interval, listed, number, points, small, table, versions
from .real_scans import PROGRAMS, best_bold
from .samples import EMPTY, Record, Sample

TITLE = "Policy search on hippocampi"
PAPER = {"Prostate": (74.84, 77.22), "Brain Tumour": (73.65, 74.38), "Heart": (93.21, 93.27)}  # nnU-Net's augmentation, the search
MOVERS, LOTS = 6, 8  # entries shown; searches drawn by lot
ABOUT = f"""The data are another task of the collection that the paper of `policy_search` uses (Xu, Li and Zhu 2020): Medical Segmentation
Decathlon, hippocampus, T1 cropped about one hippocampus, manual labels of its anterior and posterior part, volumes of 1 mm. Both sides of some people are
given, 24 other people measure; one small network, {STEPS} steps in all. *{SEARCH}* keeps a quarter of the cases to score policies by and trains on the
others; *{FOUND}* is `--preset MODEL.l2s` of that search, trained anew on all cases; *{RANDOM}* is the search without a single comparison. Dice is the mean
of both parts; intervals draw people and seeds again (where there is one seed, only people). Nothing trained on these data is shipped (CC BY-SA 4.0; Antonelli
et al., *Nature Communications* 13, 4128, 2022)."""


@dataclass(frozen=True)
class Hippocampi:
    """The records of one number of steps."""

    records: Sequence[Record]

    def chosen(self, method: str, people: int) -> dict[int, Record]:
        """The records of one method, by seed."""
        return {r["trial"]["seed"]: r for r in self.records if (r["trial"]["method"], r["trial"]["people"]) == (method, people)}

    def sample(self, method: str, people: int, metric: str = "dice", structure: str = "mean") -> Sample:
        """The mean over both sides of every person who measures."""
        by_seed = dict(sorted(self.chosen(method, people).items()))
        if not by_seed:
            return EMPTY
        values = [list(_by_person(record["cases"], metric, structure).values()) for record in by_seed.values()]
        return Sample(tuple(by_seed), (np.array(values),), (1,))


def _by_person(cases: Mapping[str, Record], metric: str, structure: str) -> dict[str, float]:
    """Cases are named `person_case`. A side on which nothing was found has no distance; nan where neither side has one."""
    sides: dict[str, list[float]] = {}
    for name, scores in sorted(cases.items()):
        found = sides.setdefault(name.split("_")[0], [])
        if structure in scores[metric]:
            found.append(scores[metric][structure])
    return {person: fmean(values) if values else np.nan for person, values in sides.items()}


def blocks(records: Sequence[Record]) -> Iterator[str]:
    measured = Hippocampi([record for record in records if record["trial"]["steps"] == STEPS])
    yield f"## {TITLE}"
    yield ABOUT
    yield made_by(measured)
    yield verdict(measured)
    yield figures(measured)
    yield details("Dice and 95 % Hausdorff distance of each part", structures(measured)) if measured.records else f"Each part alone: {NOT_RUN}."
    yield "The paper's own figures on other tasks of the collection, mean Dice in percent:"
    yield table(["", *PAPER], [[name, *(f"{pair[k]:.2f}" for pair in PAPER.values())] for k, name in enumerate(("nnU-Net's own augmentation", "the search"))])
    yield from moved(measured)


def made_by(measured: Hippocampi) -> str:
    command = "Command: `python Benchmarks/hippocampus.py --runs FOLDER`"
    if not measured.records:
        return f"{command}: {NOT_RUN}."
    took = duration(sum(record["seconds"] for record in measured.records))
    return f"{command}; {counted(len(measured.records), 'trial')}, {took} in all; {versions((r['versions'] for r in measured.records), PROGRAMS)}."


def verdict(measured: Hippocampi) -> str:
    """One sentence of the numbers."""
    told = "; ".join(f"with {_cases(people)} {listed(_against_default(measured, people))}" for people in PEOPLE)
    return f"**Difference to our default augmentation, in points of Dice with 95 % intervals:** {told}."


def _cases(people: int) -> str:
    return f"{2 * people} cases"


def _against_default(measured: Hippocampi, people: int) -> Iterator[str]:
    for method in (SEARCH, FOUND, RANDOM):
        difference = measured.sample(method, people) - measured.sample(DEFAULT, people)
        yield f"*{method}* {_told(difference) if difference else NOT_RUN}"


def _told(difference: Sample) -> str:
    low, high = difference.interval
    word = "better" if low > 0 else "worse" if high < 0 else "not told apart"
    return f"{points(difference.mean)} ({interval(100 * low, 100 * high, '+.1f')}: {word})"


def figures(measured: Hippocampi) -> str:
    """A line a method; for each number of cases Dice, distance and minutes, the best Dice in bold."""
    columns = []
    for people in PEOPLE:
        columns.append(best_bold([measured.sample(method, people) for method in METHODS]))
        columns.append([distance(measured, method, people) for method in METHODS])
        columns.append([minutes(list(measured.chosen(method, people).values())) for method in METHODS])
    head = [title for people in PEOPLE for title in (f"Dice, {_cases(people)}", "HD95, mm", "minutes")]
    return table(["", *head], zip(METHODS, *columns))


def distance(measured: Hippocampi, method: str, people: int) -> str:
    sample = measured.sample(method, people, "hd95_mm")
    if not sample:
        return NOT_RUN
    cases = [case for record in measured.chosen(method, people).values() for case in record["cases"].values()]
    missed = sum(len(case["dice"].keys() - case["hd95_mm"].keys() - {"mean"}) for case in cases)
    return small(f"{sample.mean:.2f}", interval(*sample.interval, ".2f") + (f"; {missed} not found" if missed else ""))


def minutes(records: Sequence[Record]) -> str:
    """The fastest training, one core beside whatever else ran."""
    return small(f"{min(r['seconds'] for r in records) / 60:.0f}", counted(len(records), "seed")) if records else NOT_RUN


def structures(measured: Hippocampi) -> str:
    names = dict.fromkeys(name for r in measured.records for case in r["cases"].values() for name in case["dice"] if name != "mean")
    columns = [(people, name) for people in PEOPLE for name in names]
    head = [f"{name}, {_cases(people)}" for people, name in columns]
    return table(["", *head], [[method, *(structure(measured, method, *column) for column in columns)] for method in METHODS])


def structure(measured: Hippocampi, method: str, people: int, name: str) -> str:
    overlap, apart = (measured.sample(method, people, metric, name) for metric in ("dice", "hd95_mm"))
    return small(f"{overlap.mean:.3f}", f"{number(apart.mean)} mm") if overlap else NOT_RUN


def moved(measured: Hippocampi) -> Iterator[str]:
    """What the searches moved most, and how far chance alone moves."""
    searches = {people: list(measured.chosen(SEARCH, people).values()) for people in PEOPLE}
    run = [record for records in searches.values() for record in records]
    if not run:
        yield f"What the search moved: {NOT_RUN}."
        return
    choices = [choice for choice in CHOICES if choice.name in run[0]["learned"]]
    mean = fmean(abs(_movement(record, choice)) for record in run for choice in choices)
    lot = by_lot(comparisons(run[0]["config"]), len(choices))
    yield (
        f"What the search moved: on average over all entries and searches, the mean of an entry moved {100 * mean:.0f} % of its range away from the middle; "
        f"if chance decides every comparison, it moves {100 * lot:.0f} %. The {MOVERS} that moved most (means over the seeds):"
    )
    far = sorted(choices, key=lambda choice: -max(abs(_mean_movement(records, choice)) for records in searches.values() if records))
    head = ["`synthesis.`", "our default", "middle", *(_cases(people) for people in PEOPLE)]
    yield table(head, [[f"`{c.name}`", f"{_default(c):.2f}", f"{run[0]['prior'][c.name]:.2f}", *_learned(searches, c)] for c in far[:MOVERS]])


def _learned(searches: Mapping[int, Sequence[Record]], choice: Choice) -> Iterator[str]:
    for records in searches.values():
        mean = fmean(record["learned"][choice.name] for record in records) if records else 0
        yield small(f"{mean:.2f}", f"{100 * _mean_movement(records, choice):+.0f} %") if records else NOT_RUN


def _mean_movement(records: Sequence[Record], choice: Choice) -> float:
    return fmean(_movement(record, choice) for record in records)


def _movement(record: Record, choice: Choice) -> float:
    """As a part of the range of the choice's values."""
    return (record["learned"][choice.name] - record["prior"][choice.name]) / (choice.values[-1] - choice.values[0])


def _default(choice: Choice) -> float:
    value = getattr(SynthesisConfig(), choice.parameter)
    return value[choice.end == "high"] if choice.end else value


def comparisons(config: Mapping[str, Record]) -> int:
    """Of a whole search."""
    search = config["policy_search"]
    return round(config["steps"] * min(search["duration"], 1 - search["start"]) / search["every"])


def by_lot(count: int, entries: int) -> float:
    """How far an entry's mean strays, as a part of its range, when two policies are alike: of two samples the first is called better."""
    size = len(CHOICES[0].values)
    places = np.linspace(-0.5, 0.5, size)
    strayed = []
    for lot in range(LOTS):
        search = CategoricalSearch([size] * entries)
        for k in range(count):
            rng = stream(lot, "lot", k)
            search.update(search.sample(rng), search.sample(rng))
        strayed += [abs(float(p.numpy() @ places)) for p in search.probabilities]
    return fmean(strayed)

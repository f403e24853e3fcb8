"""Trials as samples: the same people measure the networks of every seed, so people and seeds are crossed, and both are resampled.

Intervals are of a percentile bootstrap: seeds and people are drawn again with replacement, each on their own. Two methods are compared pair by pair, on
the same person with the same seed, by the same protocol.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from people import ELDERS
from people import IN_DOMAIN as HOME
from scipy.stats import wilcoxon
from shifts import SHIFTS
from trials import METHODS, PROTOCOL, protocol

from .markdown import counted

RESAMPLES, LEVEL = 2000, 0.95
EARLIER = "\u00a0†"  # on the line of what it marks
IN_DOMAIN, SITES = (HOME,), tuple(ELDERS.values())
SHIFTED = tuple(SHIFTS)
OUT_OF_DOMAIN = (*SHIFTED, *SITES)
ROWS = (*IN_DOMAIN, *OUT_OF_DOMAIN)

Record = dict[str, Any]


class Setup(NamedTuple):
    """What methods must have in common to be compared; of those that are given no scans, `scans` says nothing."""

    steps: int
    scans: int

    def __str__(self) -> str:
        return f"{self.steps} steps, {counted(self.scans, 'scan')}"


@dataclass(frozen=True)
class Sample:
    """A measure of crossed seeds and people.

    groups: for each group of people an array (seeds, people), nan where a person has no measure. weights: the rows that each group stands for. protocol: that
    all of it was measured by.
    """

    seeds: tuple[int, ...]
    groups: tuple[np.ndarray, ...]
    weights: tuple[int, ...]
    protocol: int = PROTOCOL

    def __bool__(self) -> bool:
        return bool(self.seeds)

    def __sub__(self, other: Sample) -> Sample:
        """The differences of the pairs that there are."""
        seeds = tuple(seed for seed in self.seeds if seed in other.seeds)
        if not seeds:
            return EMPTY
        pairs = zip(self.of(seeds).groups, other.of(seeds).groups, strict=True)
        return Sample(seeds, tuple(ours - theirs for ours, theirs in pairs), self.weights, self.protocol)

    def of(self, seeds: Sequence[int]) -> Sample:
        chosen = [self.seeds.index(seed) for seed in seeds]
        return Sample(tuple(seeds), tuple(values[chosen] for values in self.groups), self.weights, self.protocol)

    @property
    def mean(self) -> float:
        return float(np.average([_mean(values, (0, 1)) for values in self.groups], weights=self.weights))

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the interval of the mean; with one seed only people are drawn again."""
        rng = np.random.default_rng(0)
        seeds = rng.integers(len(self.seeds), size=(RESAMPLES, len(self.seeds), 1))
        means = []
        for values in self.groups:
            people = rng.integers(values.shape[1], size=(RESAMPLES, 1, values.shape[1]))
            means.append(_mean(values[seeds, people], (1, 2)))
        low, high = np.quantile(np.average(means, axis=0, weights=self.weights), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(low), float(high)

    @property
    def mark(self) -> str:
        return _mark(self.protocol)

    @property
    def pairs(self) -> int:
        return sum(values.size for values in self.groups)

    @property
    def p(self) -> float:
        """Wilcoxon's signed-rank test of differences against 0, two-sided."""
        differences = np.concatenate([values.ravel() for values in self.groups])
        return float(wilcoxon(differences).pvalue) if differences.any() else 1.0


EMPTY = Sample((), (), ())


@dataclass(frozen=True)
class Trials:
    records: Sequence[Record]

    def chosen(self, method: str, setup: Setup) -> dict[int, Record]:
        """The records of one method, by seed: those of the newest protocol that it was measured by."""
        wanted = {"method": method, "scans": setup.scans if METHODS[method].scans else 0, "steps": setup.steps}
        found = [record for record in self.records if wanted.items() <= record["trial"].items()]
        newest = max(map(protocol, found), default=PROTOCOL)
        return {r["trial"]["seed"]: r for r in found if protocol(r) == newest}

    def mark(self, method: str, setup: Setup) -> str:
        """That of a method whose records are of an earlier protocol."""
        return _mark(max(map(protocol, self.chosen(method, setup).values()), default=PROTOCOL))

    def named(self, method: str, setup: Setup) -> str:
        return method + self.mark(method, setup)

    def by(self, number: int) -> Trials:
        """What was measured by one protocol."""
        return Trials([record for record in self.records if protocol(record) == number])

    def setups(self, methods: Sequence[str]) -> list[Setup]:
        """In which any of the methods was run; with 0 scans only where nothing else was."""
        found = {Setup(r["trial"]["steps"], r["trial"]["scans"]) for r in self.records if r["trial"]["method"] in methods}
        taught = {setup.steps for setup in found if setup.scans}
        return sorted(setup for setup in found if setup.scans or setup.steps not in taught)

    def sample(self, method: str, setup: Setup, rows: Sequence[str], metric: str = "dice", structure: str = "mean") -> Sample:
        """The mean over the rows, for every person who is in them."""
        records = {seed: r for seed, r in sorted(self.chosen(method, setup).items()) if set(rows) <= r["rows"].keys()}
        groups = defaultdict(list)
        for row in rows if records else ():
            measured = [_by_person(record["rows"][row], metric, structure) for record in records.values()]
            people = tuple(sorted(measured[0]))
            groups[people].append([[of_seed[person] for person in people] for of_seed in measured])
        means, weights = tuple(np.mean(same, axis=0) for same in groups.values()), tuple(len(same) for same in groups.values())
        return Sample(tuple(records), means, weights, max(map(protocol, records.values()), default=PROTOCOL))

    def difference(self, method: str, other: str, setup: Setup, rows: Sequence[str]) -> Sample:
        """By the newest protocol that both were measured by, with the same seeds."""
        for number in range(PROTOCOL, 0, -1):
            same = self.by(number)
            if difference := same.sample(method, setup, rows) - same.sample(other, setup, rows):
                return difference
        return EMPTY


def _mark(number: int) -> str:
    """Of a protocol that is not today's."""
    return "" if number == PROTOCOL else EARLIER


def _by_person(scans: Record, metric: str, structure: str) -> dict[str, float]:
    """A person's scans are named `person_contrast`."""
    return {name.split("_")[0]: scores[metric].get(structure, np.nan) for name, scores in scans.items()}


def _mean(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Of the numbers among the values; nan where there is none."""
    with np.errstate(invalid="ignore"):
        return np.nansum(values, axis=axes) / np.isfinite(values).sum(axis=axes)

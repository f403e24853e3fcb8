"""The targets of the study on real scans, each met, missed or not run. A mean decides; its interval stands beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from trials import MAIN, OURS, SCANS, STEPS

from .markdown import NOT_RUN, counted, interval, points, small, table
from .samples import IN_DOMAIN, OUT_OF_DOMAIN, Sample, Setup, Trials

MET, MISSED = "met", "missed"


@dataclass(frozen=True)
class Target:
    """`learn2synth` minus `other` shall be at least `least`, in Dice: on the mean of the rows, or each on its own."""

    other: str
    rows: Sequence[str]
    steps: int
    least: float
    each: bool = False

    @property
    def name(self) -> str:
        where = "in domain" if self.rows == IN_DOMAIN else "worst row out of domain" if self.each else "out of domain"
        return f"{where}, minus `{self.other}`, {self.steps} steps: at least {100 * self.least:.0f}"

    def judged(self, trials: Trials, scans: int) -> tuple[str, str]:
        """The verdict and its cell."""
        setup = Setup(self.steps, scans)
        parts = [(row,) for row in self.rows] if self.each else [self.rows]
        differences = {", ".join(rows): trials.difference(OURS, self.other, setup, rows) for rows in parts}
        if not all(differences.values()):
            return NOT_RUN, NOT_RUN
        worst = min(differences, key=lambda rows: differences[rows].mean)
        verdict = MET if differences[worst].mean >= self.least else MISSED
        return verdict, cell(verdict, differences[worst], f" ({worst})" if self.each else "")


def cell(verdict: str, difference: Sample, where: str) -> str:
    low, high = difference.interval
    return small(f"**{verdict}** {points(difference.mean)}{difference.mark}", interval(100 * low, 100 * high, "+.1f") + where)


TARGETS = (
    *(Target("randomised", IN_DOMAIN, steps, least) for steps, least in zip(STEPS, (0.18, 0.09))),
    *(Target("randomised", OUT_OF_DOMAIN, steps, -0.01, each=True) for steps in STEPS),
    *(Target("supervised, augmented", OUT_OF_DOMAIN, steps, 0.0) for steps in STEPS),
    *(Target(mix, rows, steps, 0.0) for mix in ("mixed, side by side", "mixed") for rows in (IN_DOMAIN, OUT_OF_DOMAIN) for steps in STEPS),
)


def checklist(trials: Trials) -> tuple[str, str]:
    """The table of all targets, and how many are met, in words."""
    numbers = sorted({*SCANS, *(setup.scans for setup in trials.setups(list(MAIN)) if setup.scans)})
    judged = {target: [target.judged(trials, scans) for scans in numbers] for target in TARGETS}
    verdicts = Counter(verdict for cells in judged.values() for verdict, _ in cells)
    head = [f"`{OURS}`, in points of Dice", *(counted(scans, "scan") for scans in numbers)]
    rows = [[target.name, *(cell for _, cell in cells)] for target, cells in judged.items()]
    return table(head, rows), ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in (MET, MISSED, NOT_RUN))

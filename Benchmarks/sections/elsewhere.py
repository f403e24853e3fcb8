"""Scans that cannot be measured well, are of other people than the label maps, or are annotated in part: what is learned from them, from trials.jsonl."""

from __future__ import annotations

from people import IN_DOMAIN
from trials import ELSEWHERE

from .markdown import NOT_RUN, Section, counted, table
from .real_scans import best_bold, made_by
from .samples import SHIFTED, SITES, Setup, Trials

TITLE = "Scans of another kind"
ABOUT = """The same people and measures as in the section before, but other scans are given: those of the six people with noise added (as much as in the row
`noise`), which the measured start cannot distinguish from spread within a structure; or FLAIR scans of three older people of another site with their
label maps. These three people are not measured. *Nothing learned* stays at the measured start.

*Annotated in part*: the scans of three of the six people, with labels of thalamus, putamen, hippocampus and amygdala alone, and the label maps of the three
others. These four structures are the target, and Dice is their mean. By default the shipped model segments the rest of the three brains, to measure and render
it; *not completed*: it does not, and these label maps are not rendered. *No label maps*: those of the three others are not given either. `randomised` renders
the three others'."""


def section(trials: Trials) -> Section:
    blocks, run = [ABOUT, made_by([r for r in trials.records if r["trial"]["method"] in ELSEWHERE], "elsewhere")], []
    for told in dict.fromkeys(name.rpartition(", ")[2] for name in ELSEWHERE):
        methods = [name for name in ELSEWHERE if name.rpartition(", ")[2] == told]
        setups = trials.setups(methods)
        run += [name for name in methods for setup in setups if trials.chosen(name, setup)]
        for setup in setups:
            blocks += [f"### {setup.steps} steps, {counted(setup.scans, 'scan')}: {told}", beside(trials, setup, methods)]
    return Section(TITLE, f"{len(set(run))} of {len(ELSEWHERE)} methods run.", blocks)


def beside(trials: Trials, setup: Setup, methods: list[str]) -> str:
    """A column a method; the row that the scans are of comes first."""
    given = ELSEWHERE[methods[0]].given
    rows = {f"{given} (given)": (given,), "mean of the shifts": SHIFTED, **{row: (row,) for row in (IN_DOMAIN, "inverted", *SITES) if row != given}}
    lines = [[name, *best_bold([trials.sample(method, setup, of) for method in methods])] for name, of in rows.items()]
    seeds = ["seeds", *(str(len(trials.chosen(method, setup)) or NOT_RUN) for method in methods)]
    named = [method.rpartition(", ")[0] + trials.mark(method, setup) for method in methods]
    return table(["Dice", *named], [*lines, seeds])

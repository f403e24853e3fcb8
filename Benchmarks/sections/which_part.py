"""Which part of the method helps: parts of the synthesis learned alone, and ablations, from trials.jsonl."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean

from trials import ABLATIONS, EARLY, FROM_THE_START, OURS, PARTS, Method

from .markdown import NOT_RUN, Section, left_out, listed, points, small, table
from .real_scans import made_by
from .samples import IN_DOMAIN, SHIFTED, SITES, Setup, Trials

TITLE = "Which part helps, and what to choose"
RIVAL = "randomised"
TITLES = {"parts": "Parts", "ablations": "Ablations", "early": f"Ablations, {FROM_THE_START}"}
COLUMNS = {"in domain": IN_DOMAIN, "mean of the shifts": SHIFTED, **{site: (site,) for site in SITES}}
ABOUT = f"""One thing is changed at a time; people and measures are those of the section before. Small figures are differences in points of Dice to
the first two rows, `{OURS}` and `{RIVAL}`, with equal steps and scans, over the seeds that both have, measured alike (†: by the earlier program that is told
of there, and so are the differences). The last tables are around an earlier default, whose batches hold wide images from the first step on, three eighths of
each."""


def section(trials: Trials) -> Section:
    studies = {"parts": (PARTS, OURS), "ablations": (ABLATIONS, OURS), "early": (EARLY, f"{OURS}, {FROM_THE_START}")}
    blocks, run = [ABOUT], []
    for study, (methods, base) in studies.items():
        records = [record for record in trials.records if record["trial"]["method"] in methods]
        found = {record["trial"]["method"] for record in records}
        run.append(f"{len(found)} of {len(methods)} {TITLES[study].lower()} run")
        blocks += [f"### {TITLES[study]}", made_by(records, study)]
        for setup in trials.setups(list(methods)):
            blocks += [f"**{setup}**", *beside(trials, setup, methods, base)]
    return Section(TITLE, f"{listed(run)}.", blocks)


def beside(trials: Trials, setup: Setup, methods: Mapping[str, Method], base: str) -> Iterator[str]:
    """The methods that were run, below the two that they are compared with; the others by name."""
    others = [method for method in methods if method != base]
    run = [method for method in others if trials.chosen(method, setup)]
    yield table(["Dice", *COLUMNS, "seeds", "seconds"], [line(trials, setup, method, base) for method in (base, RIVAL, *run)])
    yield from left_out([method for method in others if method not in run])


def line(trials: Trials, setup: Setup, method: str, base: str) -> list[str]:
    records = trials.chosen(method, setup).values()
    if not records:
        return [f"`{method}`", *[NOT_RUN] * (len(COLUMNS) + 2)]
    cells = (cell(trials, setup, method, base, rows) for rows in COLUMNS.values())
    return [f"`{method}`{trials.mark(method, setup)}", *cells, str(len(records)), f"{fmean(r['seconds'] for r in records):.0f}"]


def cell(trials: Trials, setup: Setup, method: str, base: str, rows: tuple[str, ...]) -> str:
    sample = trials.sample(method, setup, rows)
    differences = (trials.difference(method, other, setup, rows) for other in (base, RIVAL))
    told = " / ".join(points(difference.mean) if difference else NOT_RUN for difference in differences)
    return small(f"{sample.mean:.3f}", told) if sample else NOT_RUN

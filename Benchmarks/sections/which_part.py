"""Which part of the method helps: parts of the synthesis learned alone, and ablations, from trials.jsonl."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean

from trials import ABLATIONS, OURS, PARTS, Method

from .markdown import NOT_RUN, Section, listed, points, small, table
from .real_scans import made_by
from .samples import IN_DOMAIN, SHIFTED, SITES, Setup, Trials

TITLE = "Which part helps, and what to choose"
BESIDE = (OURS, "randomised")
COLUMNS = {"in domain": IN_DOMAIN, "mean of the shifts": SHIFTED, **{site: (site,) for site in SITES}}
ABOUT = f"""One thing is changed at a time; people and measures are those of the section before. Small figures are differences in points of Dice to
{" / ".join(f"`{method}`" for method in BESIDE)} with equal steps and scans, over the seeds that both have."""


def section(trials: Trials) -> Section:
    studies = {"parts": PARTS, "ablations": ABLATIONS}
    blocks, run = [ABOUT], []
    for study, methods in studies.items():
        records = [record for record in trials.records if record["trial"]["method"] in methods]
        found = {record["trial"]["method"] for record in records}
        run.append(f"{len(found)} of {len(methods)} {study} run")
        blocks += [f"### {study.capitalize()}", made_by(records, study)]
        for setup in trials.setups(list(methods)):
            blocks += [f"**{setup}**", *beside(trials, setup, methods)]
    return Section(TITLE, f"{listed(run)}.", blocks)


def beside(trials: Trials, setup: Setup, methods: Mapping[str, Method]) -> Iterator[str]:
    """The methods that were run; the others by name."""
    run = [method for method in methods if trials.chosen(method, setup)]
    yield table(["Dice", *COLUMNS, "seeds", "seconds"], [line(trials, setup, method) for method in (*BESIDE, *run)])
    left = [f"`{method}`" for method in methods if method not in run]
    if left:
        yield f"{NOT_RUN.capitalize()}: {listed(left)}."


def line(trials: Trials, setup: Setup, method: str) -> list[str]:
    records = trials.chosen(method, setup).values()
    if not records:
        return [f"`{method}`", *[NOT_RUN] * (len(COLUMNS) + 2)]
    cells = (cell(trials, setup, method, rows) for rows in COLUMNS.values())
    return [f"`{method}`", *cells, str(len(records)), f"{fmean(r['seconds'] for r in records):.0f}"]


def cell(trials: Trials, setup: Setup, method: str, rows: tuple[str, ...]) -> str:
    sample = trials.sample(method, setup, rows)
    differences = (trials.difference(method, other, setup, rows) for other in BESIDE)
    told = " / ".join(points(difference.mean) if difference else NOT_RUN for difference in differences)
    return small(f"{sample.mean:.3f}", told) if sample else NOT_RUN

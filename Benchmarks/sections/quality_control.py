"""Quality control: does a segmentation know where it failed, from quality.json."""

from __future__ import annotations

from typing import Any

from .markdown import NOT_RUN, Section, counted, listed, table, versions

TITLE = "Quality control"
ABOUT = """The estimated quality of every structure of a segmentation, beside its Dice: of networks of slices that were trained as in the sections before and of
the shipped model, on scans of the people who measure there, as they are and shifted. The estimate was fitted to half of these people and, but for the shipped
model, to other networks; the other half measures it. A structure failed where its Dice is below 0.5. *Ranked*: of all pairs of a failure and a success, how
often the failure has the lower estimate. *Own*: the Dice of a structure with its own probabilities. *Flip*: its Dice with the segmentation of the left/right
flip, which takes twice the time."""

Part = dict[str, Any]


def section(record: Part) -> Section:
    if not record:
        return Section(TITLE, f"{NOT_RUN}.", [ABOUT, f"Command: `python Benchmarks/quality.py MODEL...`: {NOT_RUN}."])
    told, quality = record["doubtful"], record["estimates"]["quality"]["all"]
    summary = f"a failed structure is ranked below a good one in {quality['auc']:.0%} of pairs; {told['of failed']:.0%} of the failures are told."
    return Section(TITLE, summary, [ABOUT, made_by(record), estimates(record), "By what the scans are:", rows(record), warnings(record)])


def made_by(record: Part) -> str:
    counts = f"{record['cases']} structures in {record['scans']} scans by {counted(len(record['models']), 'network')} ({listed(record['models'])})"
    return f"Command: `{record['command']}`; {counts}; {record['failed']:.0%} failed; {versions([record['versions']], {'torch': 'torch', 'python': 'Python'})}."


def estimates(record: Part) -> str:
    head = ["estimate", "ranked", "within a structure", "within a segmentation", "mean difference from Dice", "mean absolute difference"]
    return table(head, [[f"`{name}`", *ranks(found), *off(found["all"])] for name, found in record["estimates"].items()])


def ranks(found: Part) -> list[str]:
    return [f"{found[group]['auc']:.0%}" for group in ("all", "within a structure", "within a segmentation")]


def off(scores: Part) -> list[str]:
    return [f"{scores['bias']:+.2f}", f"{scores['error']:.2f}"]


def rows(record: Part) -> str:
    head = ["`quality`", "ranked", "mean difference from Dice", "mean absolute difference"]
    return table(head, [[row, f"{scores['auc']:.0%}" if "auc" in scores else "", *off(scores)] for row, scores in record["shifts"].items()])


def warnings(record: Part) -> str:
    told, given_up = record["doubtful"], record["probably failed"]
    return (
        f"Users are warned of structures below {told['threshold']}: {told['of all']:.0%} of all, of which {told['failed of told']:.0%} failed; "
        f"{told['of failed']:.0%} of those that failed, {told['of lost']:.0%} of those with a Dice below 0.3, {told['of good']:.1%} of those above 0.7. "
        f"Where most structures are doubtful, the whole segmentation is said to have failed: {given_up['of all']} segmentations, among them "
        f"{given_up['of lost']} with a mean Dice below 0.3, and {given_up['of others']} above 0.5."
    )

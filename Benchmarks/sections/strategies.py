"""The page of all strategies side by side, from trials.jsonl: what each is, its figures on the same people, network and steps; more figures of some."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from trials import MAIN, METHODS

from Learn2SynthLib.config import STRATEGIES

from .markdown import left_out, table
from .real_scans import best_bold
from .samples import EARLIER, IN_DOMAIN, OUT_OF_DOMAIN, SHIFTED, SITES, Setup, Trials

STEPS, SCANS = 1500, (5, 1)
ABOUT = """# Strategies

Every way of training that `--strategy` knows, side by side. All train the same network on the same people for the same number of steps, and are measured on
other people: scans of the very kind that was given, the mean of eight shifts of them, inverted contrast, and older people of another site. What exactly is
measured, and the other numbers of scans, stand in [results.md](results.md). At the end: pretrained weights, and `policy_search` on
data like those of its paper.

**Which to take.** To segment several contrasts, with at least one scan annotated: `learn2synth`. To segment scans of the annotated kind alone: `learn2synth`
with `learn2synth.share=0` (*nothing wide*), which needs one annotated scan, or `supervised`, which with several is as good, and better where noise, bias
field or gamma differ from theirs (`learn2synth.any_scanner=0.5` makes up for most of that). Without any annotated scan: `randomised`. Where only a few
structures of the scans are annotated, `supervised` for scans of this kind alone, and for several contrasts `learn2synth` or `mixed`
([figures](results.md#scans-of-another-kind)). The others are here for comparison, and for what each alone can use: scans without labels
(`learned_transforms`), hard examples that the network makes itself (`cooperative`), searched deformation and probabilities (`policy_search`). With any of
them, a training can begin with the weights of another ([`--pretrained`](strategies/transfer.md)).

This page is made by `python Benchmarks/pages.py` from the files in `Benchmarks/results/`, and is not edited by hand."""
COLUMNS = {"same kind": IN_DOMAIN, "mean of the shifts": SHIFTED, "inverted": ("inverted",), **{site: (site,) for site in SITES}, "all others": OUT_OF_DOMAIN}


def page(trials: Trials, pages: Path, more: Iterable[str]) -> str:
    """pages: the folder of a page for each strategy that has one. more: blocks at the end."""
    return "\n\n".join([ABOUT, what_each_is(pages), *figures(trials), *more]) + "\n"


def what_each_is(pages: Path) -> str:
    needs = {"label_map": "label maps", "real": "annotated scans", "unlabelled": "scans without labels"}
    rows = [[linked(name, pages), facts.summary, ", ".join(needs[role] for role in facts.needs)] for name, facts in STRATEGIES.items()]
    return table(["strategy", "what it does", "needs"], rows)


def linked(name: str, pages: Path) -> str:
    return f"[`{name}`]({pages.name}/{name}.md)" if (pages / f"{name}.md").is_file() else f"`{name}`"


def figures(trials: Trials) -> Iterator[str]:
    for setup in (Setup(STEPS, scans) for scans in SCANS):
        fitting = [name for name in MAIN if METHODS[name].fewest <= setup.scans]
        run = [method for method in fitting if trials.chosen(method, setup)]
        yield f"## {setup}"
        yield "Mean Dice of twelve structures, with 95 % intervals; minutes of the fastest training on one core, while other programs ran."
        yield f"{EARLIER.strip()}: measured by the earlier program that [results.md](results.md#real-scans) tells of, and not to be compared with the others."
        yield table(["", *COLUMNS, "seeds", "minutes"], lines(trials, setup, run))
        yield from left_out([method for method in fitting if method not in run])


def lines(trials: Trials, setup: Setup, methods: Sequence[str]) -> list[list[str]]:
    """A line a method, the best of each column in bold."""
    columns = [best_bold([trials.sample(method, setup, rows) for method in methods]) for rows in COLUMNS.values()]
    return [[trials.named(method, setup), *cells, *cost(trials, method, setup)] for method, *cells in zip(methods, *columns)]


def cost(trials: Trials, method: str, setup: Setup) -> Sequence[str]:
    records = trials.chosen(method, setup).values()
    return str(len(records)), f"{min(record['seconds'] for record in records) / 60:.0f}"

"""Trainings begun with pretrained weights beside the same begun at random, from transfer.jsonl."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from transfer import Transfer

from . import figures
from .markdown import NOT_RUN, counted, picture, table

TITLE = "Pretrained weights"
COMMAND = "Command: `python Benchmarks/transfer.py MODEL.l2s --runs FOLDER`"
SHOWN = (250, 500, 1000, 1500)  # steps
ABOUT = """[Transfer](strategies/transfer.md): one network of slices taught in turn by several data sets (`Benchmarks/pretraining.py --lessons`, 1500 steps of
each); then a strategy on scans of another cohort, begun at random and begun with these weights. *synthseg*: 20 label maps, drawn at random; *nichart*: T1 and
FLAIR of six older people with other labels; *hippocampus*: crops of T1 (Medical Segmentation Decathlon). Mean Dice during the training, on four other people of
that cohort. `learn2synth` is shown images of any contrast from a third of the run on, where its curves fall: just before that they are about as high as at the
end (2 points below to 4 above), with pretrained weights and without."""

Curve = Sequence[tuple[int, float]]  # step and mean Dice


class Kind(NamedTuple):
    """What a row of the table is about."""

    method: str
    lessons: tuple[str, ...]
    scans: int


class Pair(NamedTuple):
    """The same training begun both ways, means over the seeds that both have."""

    seeds: int
    scratch: Curve
    pretrained: Curve


def blocks(curves: Mapping[Transfer, Curve], pictures: Path) -> Iterator[str]:
    """pictures: the folder for the curves' picture, beside the page."""
    yield f"## {TITLE}"
    yield ABOUT
    pairs = paired(curves)
    if not pairs:
        yield f"{COMMAND}: {NOT_RUN}."
        return
    yield f"{COMMAND}; {counted(len(curves), 'training')}."
    figures.transfer(by_panel(pairs), pictures / "transfer.png")
    yield picture(pictures / "transfer.png", "Mean Dice over the steps with pretrained weights (full lines) and from random ones (dashed)")
    yield "From random weights / with pretrained ones:"
    head = ["", "taught before by", "scans", *(f"{step} steps" for step in SHOWN), "as good as the end of random", "seeds"]
    yield table(head, [[kind.method, ", ".join(kind.lessons), str(kind.scans), *cells(pair)] for kind, pair in pairs.items()])


def paired(curves: Mapping[Transfer, Curve]) -> dict[Kind, Pair]:
    """Every training that was begun with pretrained weights, beside the same from random ones."""
    pairs: dict[Kind, list[tuple[Curve, Curve]]] = defaultdict(list)
    for transfer, curve in curves.items():
        scratch = curves.get(Transfer(transfer.trial))
        if transfer.model and scratch:
            pairs[Kind(transfer.trial.method, transfer.lessons, transfer.trial.scans)].append((scratch, curve))
    return {kind: Pair(len(seeds), *map(_mean, zip(*seeds, strict=True))) for kind, seeds in sorted(pairs.items())}


def _mean(curves: Sequence[Curve]) -> Curve:
    return [(points[0][0], fmean(dice for _, dice in points)) for points in zip(*curves, strict=True)]


def by_panel(pairs: Mapping[Kind, Pair]) -> dict[str, dict[str, tuple[Curve, Curve]]]:
    """A panel for each method and what taught it before, in it the numbers of scans."""
    panels: dict[str, dict[str, tuple[Curve, Curve]]] = defaultdict(dict)
    for kind, pair in pairs.items():
        panels[f"{kind.method}\nafter {', '.join(kind.lessons)}"][counted(kind.scans, "scan")] = (pair.scratch, pair.pretrained)
    return panels


def cells(pair: Pair) -> list[str]:
    scratch, pretrained = dict(pair.scratch), dict(pair.pretrained)
    told = [f"{scratch[step]:.3f} / {pretrained[step]:.3f}" if step in scratch else NOT_RUN for step in SHOWN]
    return [*told, reached(pair), str(pair.seeds)]


def reached(pair: Pair) -> str:
    """When the pretrained one was as good as the other in the end."""
    end = pair.scratch[-1][1]
    return next((f"at step {step}" for step, dice in pair.pretrained if dice >= end), "not reached")

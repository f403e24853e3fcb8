"""Does the estimated quality tell failures from successes? On scans with labels, as they are and shifted, beside other estimates that are as cheap.

    python Benchmarks/quality.py MODEL... [--half 1] [--fit] [--output Benchmarks/results/quality.json]

MODEL: a .l2s file, a run's folder or a shipped model, whose table is `brain` or `brain-sided`, that knows none of the measured people. Every structure
of every scan by every network is one case; it failed where its Dice is below 0.5. --fit: prints the constants of Learn2SynthLib/segmentation/quality.py,
fitted to all cases, every network as weighty as another, and writes nothing; those in use are of `--half 0` of brain and five networks of trials.py:
learn2synth_5_0, learn2synth-nothing-wide_5_1, learn2synth-noise-alone_5_0, randomised-3-label-maps_0_0 and mixed_5_1, all of 1500 steps. So
measure `--half 1`, of others.
Data: LEARN2SYNTH_DATA or ../shared/data.

The estimates: `quality`; `own`, the Dice of a structure with its own probabilities; `flip`, its Dice with the segmentation of the left/right flip, at twice
the time.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata, spearmanr

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from people import scenes

from Learn2SynthLib import __version__
from Learn2SynthLib.doubt import DOUBTFUL, probably_failed
from Learn2SynthLib.labels import LabelTable
from Learn2SynthLib.learning.data import Example
from Learn2SynthLib.segmentation.metrics import dice
from Learn2SynthLib.segmentation.quality import figures
from Learn2SynthLib.segmentation.segmenter import Segmenter, find_model
from Learn2SynthLib.volume.image import Image
from Learn2SynthLib.volume.intensity import normalise_volume

FAILED, LOST, GOOD = 0.5, 0.3, 0.7  # Dice
ESTIMATES = ("quality", "own", "flip")


@dataclass(frozen=True)
class Case:
    """One structure of one scan by one network. estimates: of its Dice, by name. figures: what the quality is made of."""

    network: str
    row: str
    scan: str
    structure: str
    dice: float
    estimates: dict[str, float]
    figures: tuple[float, ...]

    @property
    def segmentation(self) -> tuple[str, str, str]:
        return self.network, self.row, self.scan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--half", type=int, choices=(0, 1), help="every second person, from the first or second on: fit on one half, measure the other")
    parser.add_argument("--output", type=Path, default=ROOT / "Benchmarks" / "results" / "quality.json")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cases = [case for model in options.models for case in measured(find_model(model), options.half)]
    if options.fit:
        print(dict(zip(("CONSTANT", "OWN", "MEAN", "THIN_MM", "UNUSUAL", "FOREIGN"), fitted(cases).round(2).tolist())))
        return
    half = "" if options.half is None else f" --half {options.half}"
    found = {"command": f"python Benchmarks/quality.py MODEL...{half}", **record(cases)}
    options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found["estimates"], indent=1))


def measured(model: Path, half: int | None) -> Iterator[Case]:
    segmenter, name = Segmenter.load(model), model.parent.name if model.name == "best.l2s" else model.stem
    for row, scans in scenes(segmenter.card.table.name, segmenter.card.spacing_mm).items():
        for scan in scans[half :: 1 if half is None else 2]:
            yield from cases_of(segmenter, scan, name, row)


def cases_of(segmenter: Segmenter, scan: Example, network: str, row: str) -> Iterator[Case]:
    assert scan.image is not None
    table, values = segmenter.card.table, [label.value for label in segmenter.card.table.foreground]
    reference = torch.tensor(table.values)[scan.target.long()]
    found = segmenter.segment(Image(scan.image, scan.grid), probabilities=True)
    flipped = segmenter.segment(Image(scan.image.flip(0), scan.grid)).labels.data.flip(0)
    assert found.probabilities is not None
    seen = normalise_volume(scan.image, *segmenter.card.percentiles)
    parts = figures(found.probabilities, found.labels.data, seen, table, scan.grid, segmenter.card.usual).tolist()
    truth, flip = dice(found.labels.data, reference, values), dice(found.labels.data, mirrored(flipped, table), values)
    for k, label in enumerate(table.foreground):
        if not math.isnan(truth[label.value]):
            agreement = 0.0 if math.isnan(flip[label.value]) else flip[label.value]
            estimates = (found.quality[label.name], expit(parts[k][0]), agreement)
            yield Case(network, row, scan.name, label.name, truth[label.value], dict(zip(ESTIMATES, estimates)), tuple(parts[k]))


def mirrored(labels: torch.Tensor, table: LabelTable) -> torch.Tensor:
    """The labels of a flipped image, named as in the image itself."""
    found = labels.clone()
    for value, other in table.mirrored().items():
        found[labels == value] = other
    return found


def record(cases: list[Case]) -> dict[str, Any]:
    return {
        "models": sorted({case.network for case in cases}),
        "scans": len({case.segmentation[1:] for case in cases}),
        "cases": len(cases),
        "failed": round(float(np.mean([case.dice < FAILED for case in cases])), 3),
        "estimates": {name: told(cases, name) for name in ESTIMATES},
        "structures": {structure: scores(part, "quality") for structure, part in grouped(cases, "structure").items()},
        "shifts": {row: scores(part, "quality") for row, part in grouped(cases, "row").items()},
        "doubtful": warned(cases),
        "probably failed": given_up(cases),
        "versions": {"learn2synth": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }


def told(cases: list[Case], estimate: str) -> dict[str, dict[str, float]]:
    """Scores of an estimate over all cases, and the mean of its scores within each structure and within each segmentation."""
    found = {"all": scores(cases, estimate)}
    for by in ("structure", "segmentation"):
        parts = [scores(part, estimate) for part in grouped(cases, by).values()]
        found[f"within a {by}"] = {rank: round(statistics.fmean(part[rank] for part in parts if rank in part), 3) for rank in ("auc", "spearman")}
    return found


def grouped(cases: list[Case], by: str) -> dict[Any, list[Case]]:
    keys = dict.fromkeys(getattr(case, by) for case in cases)
    return {key: [case for case in cases if getattr(case, by) == key] for key in keys}


def scores(cases: list[Case], estimate: str) -> dict[str, float]:
    """auc: area under the ROC curve for failures. spearman: with Dice. error: mean absolute difference from Dice; bias: mean difference.

    Without auc where all failed or none, without spearman where all are equal.
    """
    found, truth = np.array([case.estimates[estimate] for case in cases]), np.array([case.dice for case in cases])
    varied = len(set(found)) > 1 and len(set(truth)) > 1
    ranks = {"auc": auc(found, truth < FAILED), "spearman": spearmanr(found, truth)[0] if varied else math.nan}
    distances = {"error": np.abs(found - truth).mean(), "bias": (found - truth).mean()}
    return {name: round(float(score), 3) for name, score in (ranks | distances).items() if not math.isnan(score)}


def auc(estimate: np.ndarray, failed: np.ndarray) -> float:
    """Of all pairs of a failure and a success, the part where the failure is below; ties count half."""
    pairs = failed.sum() * (~failed).sum()
    successes = int((~failed).sum())
    return float((rankdata(estimate)[~failed].sum() - successes * (successes + 1) / 2) / pairs) if pairs else math.nan


def warned(cases: list[Case]) -> dict[str, Any]:
    """What the threshold does: how many are told, how many of those failed, and how many are told of those that failed, were lost, and were good."""
    truth, doubtful = np.array([case.dice for case in cases]), np.array([case.estimates["quality"] < DOUBTFUL for case in cases])
    groups = {"of failed": truth < FAILED, "of lost": truth < LOST, "of good": truth > GOOD}
    parts = {name: round(float(doubtful[group].mean()), 3) for name, group in groups.items()}
    return {"threshold": DOUBTFUL, "of all": round(float(doubtful.mean()), 3), "failed of told": round(float((truth < FAILED)[doubtful].mean()), 3), **parts}


def given_up(cases: list[Case]) -> dict[str, Any]:
    """How many segmentations are told to have failed, how many of those where most structures failed, and how many by their mean Dice."""
    parts = list(grouped(cases, "segmentation").values())
    told = np.array([probably_failed({case.structure: case.estimates["quality"] for case in part}) for part in parts])
    means, most = np.array([[np.mean([case.dice for case in part]), np.median([case.dice for case in part]) < FAILED] for part in parts]).T
    groups = {"of most structures failed": most == 1, "of lost": means < LOST, "of half": means < FAILED, "of others": means >= FAILED}
    counts = {name: f"{told[group].sum()} of {group.sum()}" for name, group in groups.items()}
    return {"of all": f"{told.sum()} of {len(told)}", **counts, "mean Dice of told": round(float(means[told].mean()), 3)}


def fitted(cases: list[Case]) -> np.ndarray:
    """Constants of the logistic regression of Dice, of structures that were found, on their figures."""
    known = [case for case in cases if math.isfinite(case.figures[0])]
    inputs, truth = np.array([(1.0, *case.figures) for case in known]), np.array([case.dice for case in known])
    counts = Counter(case.network for case in known)
    weights = np.array([1 / counts[case.network] for case in known])

    def cross_entropy(constants: np.ndarray) -> float:
        logits = inputs @ constants
        return float((np.logaddexp(0, logits) - truth * logits) @ weights / len(counts))

    return minimize(cross_entropy, np.zeros(inputs.shape[1]), method="BFGS").x


if __name__ == "__main__":
    main()

"""Validation: the network on real scans that taught nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..labels import LabelTable
from ..segmentation.inference import Sliding, predict
from ..segmentation.metrics import dice
from ..volume.cohort import FILES, Subject
from .data import Example
from .strategy import Task

_FEW = 3


def segment_example(task: Task, example: Example) -> Tensor:
    """Rows of the target table (X, Y, Z) that the network sees in the example's image."""
    assert example.image is not None, "only examples with an image are segmented"
    sliding = Sliding(tuple(task.config.grid.shape), batch_size=16 if task.config.ndim == 2 else 1)
    return predict(task.network, example.image, sliding).argmax(0)


def validate(task: Task, examples: Sequence[Example], note: str) -> dict[str, Any]:
    """The content of a `validated` event: Dice per structure, its mean over the scored ones, and each scan's mean."""
    scores = [_scores(segment_example(task, example), example, task.target) for example in examples]
    names = list(dict.fromkeys(name for score in scores for name in score))
    per_structure = {name: _mean([score[name] for score in scores if name in score]) for name in names}
    scored = {label.name for label in task.target.foreground if label.scored}
    means = {example.name: round(_mean([score[n] for n in score if n in scored]), 5) for example, score in zip(examples, scores)}
    overall = _mean([per_structure[n] for n in per_structure if n in scored])
    return {"dice": {"mean": round(overall, 5), **{n: round(v, 5) for n, v in per_structure.items()}}, "scans": means, "note": note}


def apart(maps: Sequence[Subject], learned: Sequence[Subject], scans: Sequence[Subject], record: Mapping[str, Any]) -> tuple[Sequence[Subject], bool]:
    """The label maps without those of the people of `scans`, and whether these teach nothing then.

    learned: real scans that teach. record: the stored cohort, with the sha256 of every file. Where fewer than two label maps would remain, all stay.
    """
    digests = {(entry["role"], entry["name"]): {entry[kind]["sha256"] for kind in FILES if entry.get(kind)} for entry in record["subjects"]}

    def files(subjects: Sequence[Subject]) -> set[str]:
        return {digest for subject in subjects for digest in digests[subject.role, subject.name]}

    theirs = files(scans)
    others = [subject for subject in maps if not files([subject]) & theirs]
    kept = maps if len(others) < 2 else others
    return kept, not files([*kept, *learned]) & theirs


def estimate_note(count: int, independent: bool, left_out: int = 0) -> str:
    """What the estimate is worth, in one sentence. left_out: label maps that are not rendered, because they are those of the scans."""
    scans = f"{count} scan{'s' if count != 1 else ''}"
    if not independent:
        return f"measured on the {scans} that training learns from: an optimistic figure, no estimate of Dice on new scans"
    theirs = f" ({left_out} label map{'s' if left_out != 1 else ''} of theirs left out of the synthesis)" if left_out else ""
    if count < _FEW:
        return f"measured on {scans}{theirs}: too few to say how the model does on other people"
    return f"measured on {scans} held out from training{theirs}"


def _scores(predicted: Tensor, example: Example, target: LabelTable) -> dict[str, float]:
    """Dice of each structure that the reference or the prediction holds; nothing can be said of one that the reference has no label for."""
    rows = [row for row in range(1, len(target.labels)) if row not in example.unnamed]
    values = dice(predicted, example.target, rows)
    return {target.labels[row].name: values[row] for row in rows if values[row] == values[row]}


def _mean(values: Sequence[float]) -> float:
    return float(torch.tensor(values, dtype=torch.float64).mean()) if values else 0.0

"""Segmentations against references: one pair of label maps, or files and folders paired by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from ..errors import InputError
from ..labels import LabelTable, load_table, some, table_marked
from ..resources import names
from ..volume.discovery import find_label_maps
from ..volume.files import mark_of, read_label_map, stem
from ..volume.image import LabelMap
from ..volume.relabel import relabel
from .metrics import dice, hausdorff95_mm, volume_difference_mm3

TARGETS = ("brain", "brain-coarse", "brain-sided")
METRICS = ("dice", "hd95_mm", "volume_difference_mm3")
_ENDINGS = {"dseg", "seg", "synthseg", "aseg", "labels", "label", "pred", "prediction", "T1w", "T2w", "PDw", "FLAIR", "0000"}

Scores = dict[str, dict[str, float | None]]


def evaluate(
    prediction: LabelMap, reference: LabelMap, target: LabelTable, called: Sequence[object] = ("prediction", "reference")
) -> Scores:
    """{"dice": {"mean": ..., "<structure>": ...}, "hd95_mm": {...}, "volume_difference_mm3": {...}}, JSON-ready.

    Both are mapped to `target`; its structures that one of the two numberings has no label for are left out, because nothing
    could be said of them. null: absent in both, or, for the distance, in one. "mean" is over the scored structures that have a
    number: a structure that was missed lowers the mean of Dice, and is not in that of the distance.
    `called` stand for the two in errors. Raises InputError for different grids and for values that a numbering does not know.
    """
    if not prediction.grid.matches(reference.grid, _tolerance_mm(reference)):
        found = f"not on the grid of {called[1]} ({_describe(prediction)} against {_describe(reference)})"
        raise InputError(called[0], found, "one grid", "resample one of them")
    tables = [load_table(labels.table) for labels in (prediction, reference)]
    for labels, table, name in zip((prediction, reference), tables, called, strict=True):
        _refuse_unknown(labels, table, name)
    ours, theirs = (relabel(labels.data, table.mapping_to(target)) for labels, table in zip((prediction, reference), tables, strict=True))
    known = [set(table.mapping_to(target).values()) for table in tables]
    structures = [label for label in target.foreground if all(label.value in values for values in known)]
    if not structures:
        found = f"its table '{tables[0].name}' and '{tables[1].name}' of {called[1]} have no structure of '{target.name}' in common"
        raise InputError(called[0], found, remedy="name the right tables with --prediction-ids and --reference-ids; the same one twice is compared as it is")
    values = [label.value for label in structures]
    by_metric = (
        dice(ours, theirs, values),
        hausdorff95_mm(ours, theirs, values, reference.grid.spacing_mm),
        volume_difference_mm3(ours, theirs, values, reference.grid.voxel_mm3),
    )
    by_name = [{label.name: _number(scores[label.value]) for label in structures} for scores in by_metric]
    return {metric: _with_mean(scores, target) for metric, scores in zip(METRICS, by_name, strict=True)}


def evaluate_paths(
    prediction: str | Path,
    reference: str | Path,
    prediction_ids: str | None = None,
    reference_ids: str = "freesurfer",
    target: str | None = None,
) -> dict[str, Any]:
    """What `evaluate` says of each pair, under "cases" with both paths, and above them the means over the cases, as JSON-ready record.

    prediction, reference: two files, or two folders whose label maps are paired by name, endings like _dseg and _T1w aside.
    The ids name the label tables that the files are numbered by; without `prediction_ids` the segmentations' headers say so, or else it is `brain`. target:
    the table to compare in; by default that of the predictions when it is one of `TARGETS` or, with both ids, the user's own; else `brain`; but that of the
    references where it is the coarser. Raises InputError for what has no partner, for a header that names a table which is none of the package's, and as
    `evaluate` does.
    """
    pairs = pair_by_name(Path(prediction), Path(reference))
    tables = [prediction_ids or _told_numbering(ours) or "brain" for ours, _ in pairs]
    common = tables[0] if len(set(tables)) == 1 else "brain"
    own = common == reference_ids and common not in names("Labels", ".json")
    table = load_table(target or (common if own or common in TARGETS else "brain"))
    if target is None and reference_ids in TARGETS and load_table(reference_ids).parted_by(table):
        table = load_table(reference_ids)
    cases = []
    for (ours, theirs), numbering in zip(pairs, tables, strict=True):
        pair = (read_label_map(ours, numbering), read_label_map(theirs, reference_ids))
        cases.append({"prediction": str(ours), "reference": str(theirs), **evaluate(*pair, table, (ours, theirs))})
    means = {metric: _with_mean(_means([case[metric] for case in cases]), table) for metric in METRICS}  # type: ignore[misc]
    return {**means, "cases": cases}


def _told_numbering(path: Path) -> str | None:
    """Name of the package's label table that a segmentation's header names, None where it names none."""
    mark = mark_of(path)
    known = next((name for name in names("Labels", ".json") if load_table(name).mark == mark), None)
    if mark and known is None:
        found = f"says that its numbers are those of the table '{table_marked(mark)}', which is none of the package's"
        raise InputError(path, found, remedy="name that table's file with --prediction-ids")
    return known


def pair_by_name(prediction: Path, reference: Path) -> list[tuple[Path, Path]]:
    """Two files are one pair; the label maps of two folders pair by name. Raises InputError, naming what has no partner."""
    if prediction.is_file() and reference.is_file():
        return [(prediction, reference)]
    ours, theirs = _by_case(prediction), _by_case(reference)
    for here, there, folder in ((ours, theirs, reference), (theirs, ours, prediction)):
        alone = [str(path) for case, path in here.items() if case not in there]
        if alone:
            found = f"no partner in '{folder}' ({len(alone)} without one)"
            raise InputError(", ".join(alone[:3]), found, "the same names, endings like _dseg and _T1w aside")
    return [(path, theirs[case]) for case, path in ours.items()]


def _by_case(path: Path) -> dict[str, Path]:
    cases: dict[str, Path] = {}
    for found in find_label_maps(path):
        case = _case(found)
        if case in cases:
            same = f"names the same case as '{cases[case].name}'"
            raise InputError(found, same, "one label map a case", "give the two files instead of the folder")
        cases[case] = found
    return cases


def _case(path: Path) -> str:
    """The name without its endings: 'sub-01' for 'sub-01_T1w_dseg.nii.gz'."""
    words = stem(path).split("_")
    while len(words) > 1 and words[-1] in _ENDINGS:
        words.pop()
    return "_".join(words)


def _refuse_unknown(labels: LabelMap, table: LabelTable, name: object) -> None:
    unknown = table.unknown(labels.data.unique().tolist())
    if unknown:
        remedy = "name its table with --prediction-ids or --reference-ids"
        raise InputError(name, f"values {some(unknown)} are not in the label table '{table.name}'", remedy=remedy)


def _means(scores: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Mean over the cases that have a number, per structure."""
    names = dict.fromkeys(name for case in scores for name in case if name != "mean")
    return {name: _mean([case.get(name) for case in scores]) for name in names}


def _with_mean(scores: Mapping[str, float | None], target: LabelTable) -> dict[str, float | None]:
    return {"mean": _mean([scores[label.name] for label in target.foreground if label.scored and label.name in scores]), **scores}


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return fmean(numbers) if numbers else None


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _tolerance_mm(reference: LabelMap) -> float:
    """A tenth of a voxel: formats round their affines differently."""
    return 0.1 * min(reference.grid.spacing_mm)


def _describe(labels: LabelMap) -> str:
    spacing = " x ".join(f"{s:.3g}" for s in labels.grid.spacing_mm)
    return f"{' x '.join(map(str, labels.grid.shape))} voxels of {spacing} mm, {labels.grid.orientation}"

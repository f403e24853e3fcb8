"""What is wrong with the data, all of it, before training starts: one report per subject."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import nibabel
import numpy as np

from ..errors import InputError
from ..labels import LabelTable, load_table, some, table_marked
from ..resources import names
from .alignment import alignment
from .cohort import Cohort, Subject, file_digest
from .files import mark_of, read_image, read_label_map, volume_suffix
from .formats import GUESS, is_placed_by_guess
from .image import NEARLY_SAME_GRID_MM, Grid, Image, LabelMap
from .population import brain_mm3, label_counts, population_findings, structure_volumes
from .relabel import relabel
from .reports import Finding, Report, format_reports

__all__ = ["Finding", "Report", "check_cohort", "check_subject", "format_reports", "population_findings"]

_Read = TypeVar("_Read")

_THICK_MM = 7.0
_ANISOTROPY = 10.0
_TINY_FIELD_MM, _HEAD_FIELD_MM = 20.0, 110.0
_OBLIQUE_DEGREES = 5.0
_INTENSITIES = 300  # label tables are shorter
_SAME_GRID_MM = 1e-2
_STRUCTURES_TO_ALIGN, _MM3_TO_ALIGN = 4, 200_000.0  # fewer labels than these have no shape to recognise a head by


def check_subject(subject: Subject, target: LabelTable) -> Report:
    """Read a subject's files once and report all that is wrong with them; bad data is a finding, never an exception.

    target: the table of the segmentation to learn, to say which of the labels will count.
    """
    findings: list[Finding] = []
    table = _attempt(lambda: load_table(subject.table), findings)
    image = _attempt(partial(read_image, subject.image), findings) if subject.image else None
    labels = _attempt(partial(read_label_map, subject.labels, subject.table), findings) if subject.labels else None
    volume = image or labels
    counts = label_counts(labels) if labels else {}
    volumes = structure_volumes(counts, labels.grid.voxel_mm3, table, target) if labels and table else {}
    findings += _guessed(subject, image, labels)
    findings += [Finding("warning", image.note)] if image and image.note else []
    findings += _numbered_otherwise(subject.labels, table) if subject.labels and labels and table else []
    if volume:
        findings += _geometry(volume.grid)
    if labels and table:
        findings += _labels(counts, volumes, table, target)
    if image and labels:
        findings += _same_place(image, labels, volumes, table, target)
    grid = volume.grid if volume else None
    return Report(
        subject.name,
        subject.role,
        str(subject.path),
        grid.shape if grid else None,
        grid.spacing_mm if grid else None,
        grid.orientation if grid else None,
        tuple(findings),
        volumes,
        brain_mm3(counts, labels.grid.voxel_mm3, table) if labels and table else 0.0,
        counts,
        _digests(subject),
    )


def _attempt(read: Callable[[], _Read], findings: list[Finding]) -> _Read | None:
    try:
        return read()
    except InputError as error:
        findings.append(Finding("error", str(error)))
        return None


def _digests(subject: Subject) -> dict[str, str]:
    return {str(path): file_digest(path) for path in subject.files.values() if path.exists()}


# --- geometry


def _guessed(subject: Subject, image: Image | None, labels: LabelMap | None) -> Iterator[Finding]:
    for what, path, volume in (("image", subject.image, image), ("labels", subject.labels, labels)):
        if path and volume and is_placed_by_guess(path, volume_suffix(path)):
            yield Finding("warning", f"the header of the {what} does not say {GUESS}")


def _numbered_otherwise(path: Path, table: LabelTable) -> Iterator[Finding]:
    mark = mark_of(path)
    if mark and mark != table.mark:
        told = f"the header says that the numbers are those of the table '{table_marked(mark)}'"
        yield Finding("warning", f"{told}, and they are read as those of '{table.name}': name the right table")


def _geometry(grid: Grid) -> Iterator[Finding]:
    spacing = ", ".join(f"{s:.2f}" for s in grid.spacing_mm)
    extent = np.multiply(grid.shape, grid.spacing_mm)
    if max(grid.spacing_mm) > _THICK_MM:
        yield Finding("warning", f"voxels of {spacing} mm; small structures vanish above {_THICK_MM:g} mm: use a scan with thinner slices")
    if max(grid.spacing_mm) > _ANISOTROPY * min(grid.spacing_mm):
        yield Finding("warning", f"voxels of {spacing} mm, {max(grid.spacing_mm) / min(grid.spacing_mm):.0f} times as long as wide")
    if min(extent) < _TINY_FIELD_MM:
        yield Finding(
            "warning", f"field of view {_sizes(extent)} mm, thinner than {_TINY_FIELD_MM:g} mm: check the voxel size in the header"
        )
    elif min(extent) < _HEAD_FIELD_MM:
        yield Finding("note", f"field of view {_sizes(extent)} mm: a part of the head")
    angle = float(np.degrees(nibabel.affines.obliquity(grid.affine).max()))
    if angle > _OBLIQUE_DEGREES:
        yield Finding("note", f"oblique, {angle:.0f} degrees from the anatomical axes")


def _sizes(values: Iterable[float]) -> str:
    return " x ".join(f"{value:.0f}" for value in values)


# --- labels


def _labels(counts: Mapping[int, int], volumes: Mapping[str, float], table: LabelTable, target: LabelTable) -> Iterator[Finding]:
    unknown = table.unknown(counts)
    if len(counts) == 1:
        yield Finding("error", f"every voxel has label {next(iter(counts))}: nothing to learn from this label map")
        return
    if unknown:
        yield _unknown(unknown, counts, table)
    parted = {value: names for value, names in table.parted_by(target).items() if value in counts}
    if parted:
        value, parts = next(iter(parted.items()))
        more = f", as are {len(parted) - 1} others" if len(parted) > 1 else ""
        found = f"label {value} '{table[value].name}' is several structures of the target '{target.name}' ({', '.join(parts)}){more}"
        yield Finding("error", f"{found}: choose a coarser --target")
    if not volumes and not any(label.freesurfer for label in target.foreground):
        found = f"no structure of the target '{target.name}' has FreeSurfer ids, by which those of '{table.name}' are found"
        yield Finding("error", f"""{found}: give its labels "freesurfer": [...], or use one table for both""")
        return
    if not volumes:
        yield Finding("error", f"none of its labels is a structure of the target '{target.name}': is '{table.name}' the right label table?")
        return
    scored = [label.name for label in target.foreground if label.scored]
    present = [name for name in scored if name in volumes]
    if 2 * len(present) < len(scored):
        yield Finding(
            "warning",
            f"only {len(present)} of {len(scored)} structures of '{target.name}' ({', '.join(present)}): partial labels, and all others count as background; "
            "choose or write a --target of these alone",
        )


def _unknown(unknown: list[int], counts: Mapping[int, int], table: LabelTable) -> Finding:
    others = [name for name in names("Labels", ".json") if not load_table(name).unknown(counts)]
    remedy = f"the table '{others[0]}' knows them all" if others else "give the right label table, or one of your own"
    if not others and len(unknown) >= _INTENSITIES:
        remedy = "so many are intensities: is it an image, given in the place of the labels?"
    return Finding("error", f"labels {some(unknown)} are not in the table '{table.name}'; {remedy}")


# --- image and labels together


def _same_place(
    image: Image, labels: LabelMap, volumes: Mapping[str, float], table: LabelTable | None, target: LabelTable
) -> Iterator[Finding]:
    if not image.grid.matches(labels.grid, _SAME_GRID_MM):
        nearly = image.grid.matches(labels.grid, NEARLY_SAME_GRID_MM)
        grids = f"image {_describe(image.grid)}, labels {_describe(labels.grid)}"
        if not nearly:
            yield Finding("error", f"image and labels lie on different grids: {grids}; resample the labels onto the image")
            return
        yield Finding(
            "warning", f"the headers of image and labels differ by less than {NEARLY_SAME_GRID_MM:g} mm: {grids}; the image's is used"
        )
    if table and len(volumes) >= _STRUCTURES_TO_ALIGN and sum(volumes.values()) >= _MM3_TO_ALIGN:
        structures = LabelMap(relabel(labels.data, table.mapping_to(target)), image.grid, target.name)
        yield from _lines_up(image, structures)


def _describe(grid: Grid) -> str:
    sizes, spacing = " x ".join(map(str, grid.shape)), " x ".join(f"{s:.3g}" for s in grid.spacing_mm)
    return f"({sizes} voxels of {spacing} mm, {grid.orientation}, origin {', '.join(f'{o:.1f}' for o in grid.affine[:3, 3])})"


def _lines_up(image: Image, structures: LabelMap) -> Iterator[Finding]:
    fit = alignment(image, structures)
    if fit.doubtful:
        move = f"moved by {fit.distance_mm:.0f} mm" if fit.distance_mm > 0 else ""
        change = " and ".join(part for part in (fit.flip, move) if part)
        yield Finding(
            "error" if fit.wrong else "warning",
            f"image and labels do not line up: the labels fit {fit.best / max(fit.here, 0.01):.1f} times better {change}; "
            "look at both in one view",
        )


# --- all together


def check_cohort(cohort: Cohort, target: LabelTable, progress: Callable[[int, int], None] | None = None) -> list[Report]:
    """One report per subject, in their order; `progress` is told (done, all) after each.

    Scans that are in training and validation at once get a warning. How the people of the label maps compare with those
    of the real scans is for `population_findings`, which needs no more than these reports.
    """
    reports = []
    for subject in cohort.subjects:
        reports.append(check_subject(subject, target))
        if progress:
            progress(len(reports), len(cohort.subjects))
    return [_with_repeats(report, reports) for report in reports]


def _with_repeats(report: Report, reports: Sequence[Report]) -> Report:
    """A validation scan that also trains, by its image or by its labels."""
    if report.role != "validation":
        return report
    findings = []
    for role, where in (("real", "a real scan"), ("label_map", "among the label maps"), ("unlabelled", "an unlabelled scan")):
        same = [other for other in reports if other.role == role and set(other.digests.values()) & set(report.digests.values())]
        if same:
            left_out = role == "label_map" and _without_their_maps(reports)
            level, then = ("note", "training leaves it out") if left_out else ("warning", "the estimate would be on training data")
            findings.append(Finding(level, f"also {where} ({same[0].path}): {then}"))
    return replace(report, findings=(*report.findings, *findings))


def _without_their_maps(reports: Sequence[Report]) -> bool:
    """Whether training leaves out the label maps of the validation scans: where at least two others remain."""
    theirs = {digest for report in reports if report.role == "validation" for digest in report.digests.values()}
    return sum(report.role == "label_map" and not theirs & set(report.digests.values()) for report in reports) >= 2

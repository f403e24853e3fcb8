"""The page of one model for whole brains: what report.py measured, from brain.json."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isnan
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
from quality import FAILED, auc
from reporting.scans import BRAIN, VALIDATION, person_of
from reporting.user_scans import FREE_SHEET, listed_credits

from Learn2SynthLib.doubt import DOUBTFUL

from . import brain_figures
from .markdown import NOT_RUN, Section, counted, details, interval, listed, number, picture, points, small, table, versions

TITLE = "A model for whole brains"
ABOUT = """How good a model is on scans that it never saw, how much it suffers from disturbances, how well it agrees with itself, and what it costs.
Every scan is segmented as a user would, and scored on its own voxels. This page is made by `python Benchmarks/report.py --page Docs/brain.md` from a file in
`Benchmarks/results/`, and is not edited by hand."""
ACCURACY = """Dice, its lowest and highest scan, and the 95 % Hausdorff distance. The mean is over the twelve scored structures, left and right merged; a
structure that was not found counts as 0 in Dice and has no distance. *malf*: MICCAI 2012 challenge, T1 of 1 mm, skull-stripped as delivered, labelled by
hand. *NiChart*: older people, T1 and FLAIR of 2 mm, whole heads, and again without what the labels say is outside the brain; these labels are those of
another program (DLMUSE, on the T1), so a score says how alike the two are, not which is right, and lesions are not in them. Voxel size and rules of labelling
differ between the data sets: compare a column with the same column of another model, not with its neighbour. The reference itself is measured
beside the model, taken to its grid and back: about as far comes a network that makes no error there."""
OTHERS = """**Beside other models.** The authors of SynthSeg 1.0 and 2.0 report a mean Dice of about 0.85 to 0.88 on T1 over the same twelve
structures, and a few points less on T2, FLAIR and PD (Billot et al., Medical Image Analysis 86, 2023, 102789). These figures are of other people
with other reference labels, and were not measured here."""
ROBUSTNESS = """The same scans, disturbed. Slices are really thick: fewer voxels, and a header that says so. Noise is Rician, also around the brain, its
standard deviation a part of the intensity range; the bias field is smooth over 60 mm, given by the standard deviation of its logarithm; other contrasts
follow the spin-echo equation from tissue fractions that are estimated from the T1, so they have its anatomy, edges and noise. *Undisturbed*: the segmentation
of the undisturbed scan, scored on the same voxels. *Agreement*: mean Dice of the two segmentations with each other; it must be 1 where only the order of the
stored axes or the header's angle differs."""
QUALITY = f"""The model's own estimate of Dice for every structure, `quality`, beside the true Dice, on all scans above, disturbed ones too. A
structure failed where its Dice is below {FAILED}. *Ranked*: of all pairs of a failure and a success, how often the failure has the lower quality. *Doubtful*:
the part of structures whose quality is below {DOUBTFUL}, of which users are warned. Left and right are merged here by their mean, so where a field of view
leaves one side out, whose quality is 0, a quality far below Dice is not wrong: half of the structure is not there."""
REPEAT = """*Moved*: coefficient of variation of a structure's volume over six positions of the same head, turned by up to 5 degrees, shifted by up to half a
voxel. *T1 and FLAIR*: difference of the volumes in the two scans of a session, in per cent of their mean. Small: the same for soft volumes, which count half
a voxel as half. Means over people."""
COST = """The command line from the start of the process to the written segmentation, of a head of {grid} with skull and neck. Load: how many other
processes wanted a core just before; they slow it down."""
MEAN, MEAN_OF_SCORED = "mean", "mean of the scored"
PROGRAMS = {"learn2synth": "learn2synth", "torch": "torch", "python": "Python"}

Part = dict[str, Any]
Scans = Mapping[str, Part]


def section(record: Part, pictures: Path, rivals: Mapping[str, Part], remarks: str) -> Section:
    """remarks: by hand, about the accuracy."""
    columns = accuracy_columns(record)
    blocks = [ABOUT, made_by(record), "## Accuracy", *accuracy(columns, pictures), *beside(columns, rivals), OTHERS, *([remarks] if remarks else [])]
    blocks += ["## Robustness", *robustness(record.get("robustness", {}), pictures)]
    blocks += ["## Quality control", *quality_control(record, pictures)]
    blocks += ["## Repeatability", *repeatability(record.get("repeat", {}))]
    blocks += ["## Scans without labels", *user_scans(record.get("user_scans", {}), pictures), "## Cost", *cost(record)]
    return Section(TITLE, summary(columns, record), blocks)


def made_by(record: Part) -> str:
    if not record:
        return f"Command: `python Benchmarks/report.py MODEL`: {NOT_RUN}."
    model = record["model"]
    voxels = " x ".join(f"{size:g}" for size in model["spacing_mm"])
    network = f"a {model['ndim']}D network on voxels of {voxels} mm, {model['bytes'] / 1e6:.1f} MB, {told_training(model)}"
    known = listed(f"{person} ({told_role(role)})" for person, role in model["known_people"].items())
    return (
        f"Model: `{model['name']}`, table `{model['table']}`, {network}, sha256 `{model['sha256'][:12]}`. "
        f"People of its training among those measured: {known or 'none'}. {versions([record['versions']], PROGRAMS)}; {record['machine']}."
    )


def told_training(model: Part) -> str:
    return f"trained for {model['steps']} steps" + (" from pretrained weights" if model["pretrained"] else "")


def summary(columns: Mapping[str, Scans], record: Part) -> str:
    told = listed(f"{name} {mean_of(scans):.3f}" for name, scans in columns.items())
    shifts = record.get("robustness", {}).get(VALIDATION, {})
    lost = {condition: mean_of(scans) - undisturbed(scans, "dice") for condition, scans in shifts.items()}
    worst = min(lost, key=lambda condition: lost[condition], default=None)
    seconds = [run["seconds"] for runs in record.get("speed", {}).values() for run in runs.values()]
    return (
        f"Mean Dice: {told or NOT_RUN}. Worst disturbance: {f'{worst} ({points(lost[worst])} points)' if worst else NOT_RUN}. "
        f"Seconds for a whole head: {f'{median(seconds):.0f}' if seconds else NOT_RUN}."
    )


def told_role(role: str) -> str:
    return "watched its training" if role == "validation" else "trained on"


# --- accuracy


def accuracy_columns(record: Part) -> Mapping[str, Scans]:
    """The scans of every row; those of people whom the model knows from its training stand apart, and are said to be known."""
    columns: dict[str, dict[str, Part]] = {}
    for row, scans in record.get("accuracy", {}).items():
        for scan, scores in scans.items():
            role = record["model"]["known_people"].get(person_of(scan))
            column = f"{row} ({told_role(role)})" if role else row
            columns.setdefault(column, {})[scan] = scores
    return columns


def accuracy(columns: Mapping[str, Scans], pictures: Path) -> Iterator[str]:
    yield ACCURACY
    if not columns:
        yield NOT_RUN
        return
    drawn = {name: {s: over(scans, "dice", s) for s in (MEAN, *structures())} for name, scans in columns.items()}
    brain_figures.accuracy(drawn, pictures / "accuracy.png")
    yield picture(pictures / "accuracy.png", "Dice of every structure and data set; lines: lowest and highest scan")
    yield accuracy_table(columns, [MEAN, *structures()])
    references, sided = inner(columns, "of_the_grid"), inner(columns, "own_table")
    if references:
        yield details("The reference itself, on the model's grid and back", accuracy_table(references, [MEAN, *structures()]))
    if sided:
        names = dict.fromkeys(name for scans in sided.values() for found in scans.values() for name in found["dice"])
        yield details("Left and right apart (the references count the vermis as left cerebellum cortex)", accuracy_table(sided, list(names)))


def inner(columns: Mapping[str, Scans], key: str) -> Mapping[str, Scans]:
    """The scores that stand under a key of each scan's, where they were measured."""
    found = {name: {scan: scores[key] for scan, scores in scans.items() if key in scores} for name, scans in columns.items()}
    return {name: scans for name, scans in found.items() if scans}


def beside(columns: Mapping[str, Scans], rivals: Mapping[str, Part]) -> Iterator[str]:
    """Mean Dice of the models that were compared, where they were measured on the same scans."""
    known = {name: accuracy_columns(record) for name, record in rivals.items()}
    shared = [row for row in columns if all(found.get(row, {}).keys() == columns[row].keys() for found in known.values())]
    if known and shared:
        yield "**Beside models made for comparison**, on the same scans, mean Dice:"
        compared = {"this model": columns, **known, "the reference itself, on this model's grid and back": inner(columns, "of_the_grid")}
        yield table(["", *shared], [[name, *(f"{mean_of(found[row]):.3f}" if row in found else NOT_RUN for row in shared)] for name, found in compared.items()])
        yield listed(told_rival(name, record) for name, record in rivals.items()) + "."


def told_rival(name: str, record: Part) -> str:
    model = record["model"]
    return f"*{name}*: model `{model['name']}`, {told_training(model)}"


def accuracy_table(columns: Mapping[str, Scans], names: Sequence[str]) -> str:
    head = ["structure", *(small(name, counted(len(scans), "scan")) for name, scans in columns.items())]
    return table(head, [[told_name(name), *(score(scans, name) for scans in columns.values())] for name in names])


def score(scans: Scans, name: str) -> str:
    overlaps, distances = over(scans, "dice", name), over(scans, "hd95_mm", name)
    missed = len(overlaps) - len(distances)
    told = [interval(min(overlaps), max(overlaps), ".2f"), f"{fmean(distances):.1f} mm" if distances else "", f"{missed} not found" if missed else ""]
    return small(f"{fmean(overlaps):.3f}", listed(filter(None, told))) if overlaps else NOT_RUN


def over(scans: Scans, metric: str, name: str) -> list[float]:
    return [found[metric][name] for found in scans.values() if name in found[metric]]


def mean_of(scans: Scans, metric: str = "dice") -> float:
    return fmean(over(scans, metric, MEAN) or [float("nan")])


def structures() -> list[str]:
    return [label.name for label in sorted(BRAIN.foreground, key=lambda label: not label.scored)]


def told_name(name: str) -> str:
    unscored = {label.name for label in BRAIN.foreground if not label.scored}
    return f"**{name}**" if name == MEAN else f"{name} (not scored)" if name in unscored else name


# --- robustness


def robustness(rows: Mapping[str, Mapping[str, Scans]], pictures: Path) -> Iterator[str]:
    yield ROBUSTNESS
    if not rows:
        yield NOT_RUN
        return
    drawn = {row: {name: (undisturbed(scans, "dice"), mean_of(scans)) for name, scans in found.items()} for row, found in rows.items()}
    brain_figures.robustness(drawn, pictures / "robustness.png")
    yield picture(pictures / "robustness.png", "Mean Dice of disturbed scans, and of the undisturbed ones on the same voxels")
    for row, found in rows.items():
        yield f"**{row}**, {counted(max(map(len, found.values())), 'scan')}:"
        yield table(["", "Dice", "undisturbed", "points", "HD95 mm", "undisturbed", "agreement", "not found"], [disturbance(*item) for item in found.items()])


def disturbance(name: str, scans: Scans) -> list[str]:
    before, after = undisturbed(scans, "dice"), mean_of(scans)
    missed = fmean(len(found["dice"].keys() - found["hd95_mm"].keys()) for found in scans.values())
    agreement = [found["agreement"] for found in scans.values() if found["agreement"] is not None]
    distances = [f"{mean_of(scans, 'hd95_mm'):.1f}", f"{undisturbed(scans, 'hd95_mm'):.1f}"]
    return [name, f"{after:.3f}", f"{before:.3f}", points(after - before), *distances, f"{fmean(agreement):.3f}" if agreement else "none", number(missed, 2)]


def undisturbed(scans: Scans, metric: str) -> float:
    return fmean([found["undisturbed"][metric] for found in scans.values() if metric in found["undisturbed"]] or [float("nan")])


# --- quality control


def quality_control(record: Part, pictures: Path) -> Iterator[str]:
    yield QUALITY
    groups = dict(judged(record))
    if not groups:
        yield NOT_RUN
        return
    groups |= {"**all**": np.concatenate(list(groups.values()))}
    brain_figures.quality(groups["**all**"], pictures / "quality.png")
    yield picture(pictures / "quality.png", "Dice over quality, a point a structure of a scan, and the mean Dice of each tenth of quality")
    head = ["", "structures", "failed", "ranked", "mean difference", "mean absolute difference", "doubtful of failed", "doubtful of others"]
    yield table(head, [[name, *told_quality(*cases.T)] for name, cases in groups.items()])


def judged(record: Part) -> Iterator[tuple[str, np.ndarray]]:
    """For each row of scans, as they are and disturbed: (n, 2), quality and Dice of every structure that the reference has."""
    robust = {f"{row}, disturbed": [scan for scans in found.values() for scan in scans.values()] for row, found in record.get("robustness", {}).items()}
    for row, scans in {**{row: list(found.values()) for row, found in record.get("accuracy", {}).items()}, **robust}.items():
        cases = [(scan["quality"][name], dice) for scan in scans for name, dice in scan["dice"].items() if name in scan.get("quality", {})]
        if cases:
            yield row, np.array(cases)


def told_quality(quality: np.ndarray, dice: np.ndarray) -> list[str]:
    failed, doubtful = dice < FAILED, quality < DOUBTFUL
    off = quality - dice
    parts = [f"{doubtful[group].mean():.0%}" if group.any() else "none" for group in (failed, ~failed)]
    ranked = auc(quality, failed)
    return [str(len(dice)), f"{failed.mean():.0%}", "" if isnan(ranked) else f"{ranked:.0%}", f"{off.mean():+.2f}", f"{abs(off).mean():.2f}", *parts]


# --- repeatability


def repeatability(record: Part) -> Iterator[str]:
    yield REPEAT
    columns = {f"{row}, moved": (scans, variation) for row, scans in record.get("moved", {}).items()}
    columns |= {name: (scans, difference) for name, scans in record.items() if name != "moved"}
    if not columns:
        yield NOT_RUN
        return
    scored = [label.name for label in BRAIN.foreground if label.scored]
    head = ["structure", *(small(name, counted(len(scans), "person" if measure is difference else "scan")) for name, (scans, measure) in columns.items())]
    rows = [[told_name(name), *(repeated(*column, [name]) for column in columns.values())] for name in structures()]
    yield table(head, [[f"**{MEAN_OF_SCORED}**", *(repeated(*column, scored) for column in columns.values())], *rows])


def repeated(scans: Scans, measure: Callable[[Sequence[float]], float], names: Sequence[str]) -> str:
    """In per cent, the mean over people and structures; a structure that is in no image of a person says nothing."""
    hard, soft = (
        [100 * measure(found[kind][name]) for found in scans.values() for name in names if any(found[kind][name])] for kind in ("hard_mm3", "soft_mm3")
    )
    return small(f"{fmean(hard):.1f} %", f"soft {fmean(soft):.1f} %") if hard and soft else "not found"


def variation(volumes: Sequence[float]) -> float:
    return stdev(volumes) / fmean(volumes)


def difference(volumes: Sequence[float]) -> float:
    one, other = volumes
    return 2 * abs(one - other) / (one + other)


# --- scans without labels, cost


def user_scans(record: Mapping[str, Part], pictures: Path) -> Iterator[str]:
    if not record:
        yield NOT_RUN
        return
    sheet = pictures / FREE_SHEET
    if sheet.is_file():
        yield picture(sheet, "Slices of scans as users have them, and the outlines of what was found")
        yield listed_credits()
    yield "Volumes in ml; nothing is known of what they should be."
    rows = [[told_name(name), *(f"{found['volumes_mm3'][name] / 1000:.1f}" for found in record.values())] for name in structures()]
    total = ["**all**", *(f"{sum(found['volumes_mm3'].values()) / 1000:.0f}" for found in record.values())]
    yield table(["ml", *(small(name, grid_of(found)) for name, found in record.items())], [total, *rows])


def grid_of(scan: Part) -> str:
    return " x ".join(f"{spacing:.2g}" for spacing in scan["spacing_mm"]) + " mm"


def cost(record: Part) -> Iterator[str]:
    for grid, runs in record.get("speed", {}).items():
        yield COST.format(grid=grid)
        rows = [[name, f"{run['seconds']:.1f}", *(str(run[key]) for key in ("peak_mb", "threads", "load"))] for name, run in runs.items()]
        yield table(["", "seconds", "peak memory, MB", "threads", "load"], rows)
    if not record.get("speed"):
        yield NOT_RUN

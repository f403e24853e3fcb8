"""Whose scans and label maps the trials use: people of four data sets, and scans of theirs as another scanner would have made them.

Data: LEARN2SYNTH_DATA or ../shared/data. MICCAI 2012 challenge (OASIS, T1, manual labels), NiChart (older people of another site, T1 and FLAIR, automatic
labels), SynthSeg's label maps; hippocampi of the Medical Segmentation Decathlon (T1, cropped, manual labels).
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from shifts import SHIFTS, Shift, brain_only

from Learn2SynthLib.config import build_config
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.learning.data import Example, Preparation, load_examples, preparation_for
from Learn2SynthLib.volume.cohort import Subject
from Learn2SynthLib.volume.files import read_label_map, write_image, write_label_map
from Learn2SynthLib.volume.image import Image

DATA = Path(os.environ.get("LEARN2SYNTH_DATA", Path(__file__).parents[2] / "shared" / "data")).resolve()
IN_DOMAIN, ELDERS = "malf T1", {"T1w": "NiChart T1", "FLAIR": "NiChart FLAIR"}
TAUGHT_BY = 3  # of the elders, the same for every seed, where their scans are given; the others measure


def malf(part: str) -> list[Subject]:
    scans = sorted((DATA / "malf_t1_manual" / part).glob("*_T1w.nii.gz"))
    return [Subject(_name(path), "real", path, Path(str(path).replace("_T1w", "_dseg")), "neuromorphometrics") for path in scans]


def synthseg() -> list[Subject]:
    maps = sorted((DATA / "synthseg_label_maps").glob("*.nii.gz"))
    return [Subject(_name(path), "label_map", None, path, "freesurfer") for path in maps]


def nichart() -> list[Subject]:
    scans = sorted(path for path in (DATA / "nichart_t1_flair").glob("*.nii.gz") if "dseg" not in path.name)
    return [Subject(_name(p), "real", p, Path(str(p).replace("_T1w", "_space-T1w_dseg").replace("_FLAIR", "_space-FLAIR_dseg")), "muse") for p in scans]


def hippocampi(table: str) -> list[list[Subject]]:
    """Everybody in the Decathlon's task of hippocampi by both sides, named `person_case`; cases 2k - 1 and 2k are one person's."""
    people: dict[int, list[Subject]] = {}
    for path in sorted((DATA / "msd_hippocampus").glob("hippocampus_*_T1w.nii.gz")):
        case = int(path.name.split("_")[1])
        person = (case + 1) // 2
        side = Subject(f"{person:03d}_{case:03d}", "real", path, Path(str(path).replace("_T1w", "_dseg")), table)
        people.setdefault(person, []).append(side)
    return list(people.values())


def elders(row: str) -> list[Subject]:
    """Those of NiChart whose scans of that row are given."""
    return [person for person in nichart() if person.name.endswith(_contrast(row))][:TAUGHT_BY]


def given(person: Subject, row: str, folder: Path) -> Subject:
    """The person with the scan that `row` is about: as it is, shifted, or only the brain of it. What is made is written into `folder`, once."""
    if row == IN_DOMAIN:
        return person
    path = folder / row / f"{person.name}.nii.gz"
    if not path.is_file():
        preparation = preparation_of_all()
        (example,) = load_examples([person], preparation)
        shift: Shift = brain_only if row in ELDERS.values() else SHIFTS[row]
        write_image(Image(shift(example, preparation.classes), example.grid), path)
    return replace(person, image=path)


def delineated(person: Subject, table: str, folder: Path) -> Subject:
    """The person with labels of the structures of that table alone. What is made is written into `folder`, once."""
    assert person.labels is not None
    path = folder / Path(table).stem / person.labels.name
    if not path.is_file():
        labels = read_label_map(person.labels, person.table)
        known = [value for value, row in load_table(person.table).mapping_to(load_table(table)).items() if row]
        kept = torch.where(torch.isin(labels.data, torch.tensor(known, dtype=labels.data.dtype)), labels.data, 0)
        write_label_map(replace(labels, data=kept), path)
    return replace(person, labels=path)


@lru_cache(maxsize=1)
def scenes(target: str = "brain", spacing_mm: tuple[float, ...] = (2.0, 2.0, 2.0)) -> dict[str, list[Example]]:
    """The measured scans of every row, on a model's grid, with labels of its table."""
    preparation = preparation_of_all(target, spacing_mm)
    people, old = load_examples(malf("val"), preparation), load_examples(nichart(), preparation)
    shifted = {row: [replace(e, image=shift(e, preparation.classes)) for e in people] for row, shift in SHIFTS.items()}
    elsewhere = {row: [replace(e, image=brain_only(e, preparation.classes)) for e in old if contrast in e.name] for contrast, row in ELDERS.items()}
    return {IN_DOMAIN: people, **shifted, **elsewhere}


def preparation_of_all(target: str = "brain", spacing_mm: tuple[float, ...] = (2.0, 2.0, 2.0)) -> Preparation:
    """A model's grid and table, by default those of the trials, and the classes of both data sets that have scans."""
    return replace(preparation_for(build_config("quick-2d", target=target), ["neuromorphometrics", "muse"]), spacing_mm=spacing_mm)


def _contrast(row: str) -> str:
    return next(contrast for contrast, name in ELDERS.items() if name == row)


def _name(path: Path) -> str:
    return path.name.removesuffix(".nii.gz")

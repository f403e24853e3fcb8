"""Populations: the young and the old are told apart, two halves of one group are not."""

from __future__ import annotations

import pytest
import torch

from Learn2SynthLib.labels import load_table
from Learn2SynthLib.volume.files import read_label_map
from Learn2SynthLib.volume.image import LabelMap
from Learn2SynthLib.volume.population import brain_mm3, label_counts, population_findings, structure_volumes
from Learn2SynthLib.volume.reports import Finding, Report, format_reports

BRAIN = load_table("brain")


def people(role, millilitres, name="lateral ventricle"):
    return [Report(f"{i}", role, f"{i}", volumes_mm3={name: 1000.0 * ml}) for i, ml in enumerate(millilitres)]


@pytest.mark.parametrize("name, maps, real, count", [
    ("lateral ventricle", [12, 15, 18], [50, 60, 55], 1),
    ("lateral ventricle", [50, 60, 55], [12, 15, 18], 1),
    ("lateral ventricle", [12, 15, 18], [20, 25, 28], 0),
    ("lateral ventricle", [5, 15, 80, 90], [7, 7, 80, 85, 86], 0),
    ("cerebral cortex", [600, 610, 620], [430, 440, 450], 1),
    ("cerebral cortex", [600, 610, 620], [500, 510, 520], 0),
    ("amygdala", [1, 1, 1], [4, 4, 4], 0),
])  # fmt: skip
def test_clear_differences_of_large_structures_are_told(name, maps, real, count):
    findings = population_findings(people("label_map", maps, name) + people("real", real, name))
    assert len(findings) == count and all(f.level == "warning" and name in f.message for f in findings)


def test_one_group_alone_and_unusable_subjects_do_not_count():
    assert population_findings(people("label_map", [10, 12]) + people("validation", [60, 70])) == []
    broken = [Report("x", "real", "x", findings=(Finding("error", "e"),), volumes_mm3={"lateral ventricle": 9e4})]
    assert population_findings(people("label_map", [10, 12]) + broken) == []


def test_findings_of_the_cohort_end_the_table():
    reports = people("label_map", [10]) + people("real", [60])
    last = format_reports(reports, population_findings(reports)).splitlines()[-2:]
    assert last[0] == "the cohort" and "60 mL in the real scans (1), 10 mL in the label maps (1)" in last[1]


@pytest.mark.parametrize(("brain_ml", "thick_mm", "told"), [
    (37, 200, True),  # some structures of a whole head
    (500, 200, True),  # its cortex alone
    (1100, 200, False),  # a small brain
    (330, 30, False),  # a slab of a few slices
    (37, 30, True),
])  # fmt: skip
def test_scans_that_are_annotated_in_part_are_told(brain_ml, thick_mm, told):
    def report(role, brain_mm3, thick):
        return Report("x", role, "x", (240, 240, thick), (1.0, 1.0, 1.0), volumes_mm3={"thalamus": 1.0}, brain_mm3=brain_mm3)

    maps, whole, scan = report("label_map", 1.3e6, 200), report("real", 1.3e6, 200), report("real", 1e3 * brain_ml, thick_mm)
    messages = [f.message for f in population_findings([maps, whole, scan])]
    words = f"1 of 2 real scans are annotated in part: labels for {brain_ml} mL of the brain, where {{}} mL are usual"
    assert [words.format(1300) in message for message in messages] == [True] * told
    assert [words.format(1200) in finding.message for finding in population_findings([whole, scan])] == [True] * told


def test_skull_and_fluid_are_no_brain():
    ids = {0: 9, 2: 5, 4: 3, 24: 7, 502: 8, 9999: 1}  # background, white matter, ventricle, fluid, skull, unknown
    assert brain_mm3(ids, 2.0, load_table("freesurfer")) == 16.0


@pytest.mark.parametrize("values", [[0, 3, 3, 9], [-2, -2, 5, 0], [0, 2**30, -(2**30), 7], [5, 7, 7, 9], [0, 0, 0, 0], [4, 4, 4, 4]])
def test_counts_and_volumes(make_grid, values):
    data = torch.tensor(values, dtype=torch.int32).repeat(6).view(2, 3, 4)
    counts = label_counts(LabelMap(data, make_grid((2, 3, 4))))
    assert counts == {value: 6 * values.count(value) for value in set(values)}
    volumes = structure_volumes({3: 5, 42: 7, 0: 9, 9999: 4}, 2.0, load_table("freesurfer"), BRAIN)
    assert volumes == {"cerebral cortex": 24.0}


def test_real_populations(data_folder):
    def group(role, folder, pattern, table, keep=slice(None)):
        paths = sorted((data_folder / folder).glob(pattern))[keep]
        maps = [read_label_map(path, table) for path in paths]
        volumes = [structure_volumes(label_counts(m), m.grid.voxel_mm3, load_table(table), BRAIN) for m in maps]
        return [Report(path.name, role, str(path), volumes_mm3=v) for path, v in zip(paths, volumes, strict=True)]

    def findings(maps, real):
        return " ".join(f.message for f in population_findings(maps + real))

    young = ("malf_t1_manual", "*/*dseg.nii.gz", "neuromorphometrics")
    old = group("real", "nichart_t1_flair", "*space-T1w_dseg.nii.gz", "muse")
    assert "lateral ventricle: median 58 mL" in findings(group("label_map", *young), old)
    assert findings(group("label_map", *young, slice(0, None, 2)), group("real", *young, slice(1, None, 2))) == ""

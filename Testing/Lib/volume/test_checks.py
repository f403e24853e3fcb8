"""Reports: every fault has its finding, all of them at once, and good data has none."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import torch

from Learn2SynthLib.labels import load_table
from Learn2SynthLib.volume.checks import check_cohort, check_subject, format_reports
from Learn2SynthLib.volume.cohort import Cohort, Subject, build_cohort
from Learn2SynthLib.volume.files import read_image, read_label_map, write_image, write_label_map
from Learn2SynthLib.volume.image import Grid, LabelMap
from Learn2SynthLib.volume.relabel import relabel

TARGET = load_table("brain-coarse")


@pytest.fixture
def saved(tmp_path, head, make_grid):
    """saved(change_image, change_labels, table): a made-up head on disk, with either part changed first."""

    def make(image=lambda i: i, labels=lambda x: x, table="freesurfer", grid=None):
        scan, segmentation = head(grid or make_grid((72, 90, 80), (2.5, 2.5, 2.5), axes="LIA"))
        write_image(image(scan), tmp_path / "s_T1w.nii.gz")
        write_label_map(labels(segmentation), tmp_path / "s_dseg.nii.gz")
        return Subject("s", "real", tmp_path / "s_T1w.nii.gz", tmp_path / "s_dseg.nii.gz", table)

    return make


def found(report, level, words):
    return any(finding.level == level and re.search(words, finding.message) for finding in report.findings)


def with_data(change):
    return lambda volume: type(volume)(change(volume.data), volume.grid)


def with_affine(change):
    return lambda volume: type(volume)(volume.data, Grid(volume.grid.shape, change(volume.grid.affine.copy())))


def moved(*mm):
    def change(affine):
        affine[:3, 3] += mm
        return affine

    return change


def test_a_good_pair(saved):
    report = check_subject(saved(), TARGET)
    assert report.ok and [f.level for f in report.findings] in ([], ["warning"]), report.findings
    assert report.shape == (72, 90, 80) and report.orientation == "LIA" and report.spacing_mm == pytest.approx((2.5, 2.5, 2.5))
    assert report.volumes_mm3["ventricles"] == pytest.approx(4 / 3 * np.pi * 16 * 26 * 12, rel=0.05)
    assert json.loads(json.dumps(report.to_json()))["ok"] is True


@pytest.mark.parametrize("scale, level, words", [
    ((8, 1, 1), "warning", "small structures vanish"), ((1, 1, 12), "warning", "12 times"), ((0.05, 1, 1), "warning", "thinner than 20"),
    ((0.5, 1, 1), "note", "a part of the head"),
])  # fmt: skip
def test_geometry(tmp_path, make_grid, noise_image, scale, level, words):
    write_image(noise_image(make_grid((120, 120, 120), scale)), tmp_path / "x.nii.gz")
    assert found(check_subject(Subject("x", "unlabelled", tmp_path / "x.nii.gz", None), TARGET), level, words)


def test_oblique_is_a_note_and_an_ordinary_grid_is_nothing(tmp_path, make_grid, noise_image):
    for degrees, count in ((0, 0), (3, 0), (12, 1)):
        write_image(noise_image(make_grid((60, 60, 60), (2, 2, 2), degrees=degrees)), tmp_path / "x.nii.gz")
        findings = check_subject(Subject("x", "unlabelled", tmp_path / "x.nii.gz", None), TARGET).findings
        assert len(findings) == count and all("oblique, 12 degrees" in finding.message for finding in findings)


def test_labels_that_are_several_structures_of_the_target_are_refused(saved, tmp_path):
    subject = saved()
    coarse = relabel(read_label_map(subject.labels, subject.table).data, load_table(subject.table).mapping_to(load_table("brain-coarse")))
    grid = read_image(subject.image).grid
    write_label_map(LabelMap(coarse, grid, "brain-coarse"), tmp_path / "coarse.nii.gz")
    report = check_subject(replace(subject, labels=tmp_path / "coarse.nii.gz", table="brain-coarse"), load_table("brain"))
    assert not report.ok and found(report, "error", "is several structures of the target 'brain' .*choose a coarser --target")


def with_one(value):
    def changed(data):
        data[0, 0, 0] = value
        return data

    return with_data(changed)


@pytest.mark.parametrize("image, labels, level, words", [
    (with_one(torch.inf), None, "error", "1 of .* infinite"),
    (with_one(torch.nan), None, "warning", "1 of .* NaN, and count as its lowest"),
    (with_data(torch.zeros_like), None, "error", "every voxel is 0"),
    (None, with_data(torch.zeros_like), "error", "every voxel has label 0"),
    (None, with_data(lambda data: data.where(data != 2, 2999)), "error", "labels 2999 are not in the table 'freesurfer'; give the right"),
    (None, with_data(lambda data: data * 10000), "error", "labels 20000, 30000, 40000, 80000, 100000 are not in the table"),
    (None, with_data(lambda data: (data > 0).int() * 530), "error", "none of its labels is a structure of the target"),
    (None, with_data(lambda data: (data == 8).int() * 8), "warning", "only 1 of 7 structures .*cerebellum"),
    (None, with_affine(moved(0, 0, 5)), "error", r"different grids: image \(72 x 90 x 80 .*\), labels \(72 x 90 x 80"),
    (None, with_affine(moved(0, 0.4, 0)), "warning", "headers .* differ by less than 1 mm"),
    (None, lambda m: LabelMap(m.data[:-1].contiguous(), m.grid), "error", "different grids"),
    (None, with_data(lambda data: data.roll(12, 1)), "error", r"do not line up.*moved by (28|30|32) mm"),
    (None, with_data(lambda data: data.flip(1)), "error", "do not line up.*upside down"),
])  # fmt: skip
def test_faults(saved, image, labels, level, words):
    report = check_subject(saved(image or (lambda i: i), labels or (lambda x: x)), TARGET)
    assert found(report, level, words), report.findings
    assert report.ok == (level != "error")


def test_a_nifti_that_does_not_say_which_side_is_left_gets_a_warning(saved):
    subject = saved()
    assert not any("side is left" in finding.message for finding in check_subject(subject, TARGET).findings)
    for path in subject.files.values():
        nifti = nibabel.Nifti1Image(np.asarray(nibabel.load(path).dataobj), None)
        assert not nifti.header["qform_code"] and not nifti.header["sform_code"]
        nibabel.save(nifti, path)
    report = check_subject(subject, TARGET)
    for what in ("image", "labels"):
        assert found(report, "warning", f"the header of the {what} does not say which side is left")


@pytest.mark.parametrize("value, remedy", [
    (530, "the table 'freesurfer' knows them all"), (2999, "give the right label table, or one of your own"),
])  # fmt: skip
def test_unknown_labels_name_the_table_that_knows_them(saved, value, remedy):
    """One that knows every label of the map; where no table does, the user's own is asked for."""
    report = check_subject(saved(labels=with_data(lambda data: data.where(data != 2, value)), table="muse"), TARGET)
    assert [f.message for f in report.findings if "not in the table" in f.message] == [
        f"labels 3, 8, 10, {value} are not in the table 'muse'; {remedy}"
    ]
    assert not report.ok


@pytest.mark.parametrize("voxels, words", [
    (np.zeros((4, 4, 4, 7), np.float32), "series of volumes"), (np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "colour"),
])  # fmt: skip
def test_files_that_are_no_volume(tmp_path, voxels, words):
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "x.nii.gz")
    report = check_subject(Subject("x", "unlabelled", tmp_path / "x.nii.gz", None), TARGET)
    assert found(report, "error", words) and report.shape is None


def test_all_faults_are_told_at_once(saved):
    subject = saved(image=with_one(torch.inf))
    subject.labels.unlink()
    report = check_subject(Subject("s", "real", subject.image, subject.labels, "no-such-table"), TARGET)
    assert [f.level for f in report.findings] == ["error"] * 3
    assert all(found(report, "error", words) for words in ("no-such-table", "infinite", "no such file"))


def test_validation_scans_that_also_train_are_told(saved, tmp_path):
    subject = saved()
    copy = tmp_path / "copy.nii.gz"
    copy.write_bytes(subject.image.read_bytes())
    told = []
    subjects = (
        subject,
        Subject("copy", "validation", copy, None),
        Subject("map", "label_map", None, subject.labels),
        Subject("same", "validation", subject.image, subject.labels),
        Subject("none", "unlabelled", subject.image, None),
    )
    reports = check_cohort(Cohort(subjects), TARGET, lambda done, total: told.append((done, total)))
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert [sum("training data" in f.message for f in report.findings) for report in reports] == [0, 2, 0, 3, 0]
    assert found(reports[1], "warning", "also a real scan") and found(reports[3], "warning", "among the label maps")
    assert found(reports[1], "warning", "also an unlabelled scan")


def test_label_maps_of_validation_scans_are_told_to_be_left_out_where_others_remain(saved, tmp_path):
    subject = saved()
    labels = [subject.labels, *(tmp_path / f"other-{k}.nii.gz" for k in range(2))]
    for k, path in enumerate(labels[1:]):
        path.write_bytes(gzip.compress(gzip.decompress(subject.labels.read_bytes()), k + 1, mtime=k))
    maps = [Subject(str(k), "label_map", None, path) for k, path in enumerate(labels)]
    report = check_cohort(Cohort((Subject("same", "validation", subject.image, subject.labels), *maps)), TARGET)[0]
    assert found(report, "note", "training leaves it out") and not any("training data" in f.message for f in report.findings)


def test_real_data_passes(data_folder):
    """Manual labels of a skull-stripped T1, whole heads in two contrasts, and crops with partial labels."""
    pairs = ["malf_t1_manual/val/sub-1119", "nichart_t1_flair/sub-12"]
    malf = build_cohort(real=[[data_folder / f"{pairs[0]}_{kind}.nii.gz" for kind in ("T1w", "dseg")]], real_table="neuromorphometrics")
    heads = [[data_folder / f"{pairs[1]}_{kind}.nii.gz" for kind in (contrast, f"space-{contrast}_dseg")] for contrast in ("T1w", "FLAIR")]
    nichart = build_cohort(real=heads, real_table="muse")
    for report in check_cohort(malf, load_table("brain")) + check_cohort(nichart, load_table("brain")):
        assert report.findings == (), report
    crops = build_cohort(real=[data_folder / "msd_hippocampus"], real_table=str(data_folder / "labels" / "none.json"))
    assert not check_subject(crops.subjects[0], TARGET).ok


def test_crops_with_partial_labels_pass(data_folder, tmp_path):
    """Two labels inside a crop have no shape to align by: no alarm, and a word on what is missing."""
    record = {"name": "hippocampus", "labels": [{"value": 0, "name": "background"}]}
    record["labels"] += [{"value": v, "name": n, "freesurfer": [17]} for v, n in ((1, "anterior"), (2, "posterior"))]
    (tmp_path / "table.json").write_text(json.dumps(record))
    cohort = build_cohort(real=[data_folder / "msd_hippocampus"], real_table=str(tmp_path / "table.json"))
    for report in check_cohort(Cohort(cohort.subjects[::9]), load_table("brain")):
        assert report.ok and found(report, "warning", "only 1 of 12 structures .*hippocampus") and not found(report, ".*", "line up")


def test_the_table_for_the_terminal(saved, tmp_path):
    bad = Subject("a-long-name", "validation", tmp_path / "none.nii.gz", None)
    text = format_reports([check_subject(saved(), load_table("brain-coarse")), check_subject(bad, TARGET)])
    lines = text.splitlines()
    assert lines[1].split()[:5] == ["s", "real", "72x90x80", "2.5x2.5x2.5", "LIA"] and lines[1].endswith("ok")
    assert lines[-2].split()[:4] == ["a-long-name", "validation", "-", "-"] and lines[-2].endswith("NOT USABLE")
    assert lines[-1].startswith("    error: ") and "no such file" in lines[-1]
    assert lines[0].index("role") == lines[1].index("real") == lines[-2].index("validation")


def test_a_segmentation_that_is_read_by_another_table_is_told(tmp_path, make_grid):
    labels = LabelMap(torch.arange(27).reshape(3, 3, 3).int(), make_grid((3, 3, 3)), "brain-sided")
    write_label_map(labels, tmp_path / "s.nii.gz", load_table("brain-sided"))
    told = [check_subject(Subject("s", "label_map", None, tmp_path / "s.nii.gz", table), TARGET) for table in ("brain-sided", "freesurfer")]
    assert [bool(found(report, "warning", "numbers are those of the table 'brain-sided'")) for report in told] == [False, True]

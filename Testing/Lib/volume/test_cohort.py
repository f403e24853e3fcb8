"""Cohorts: roles, names, and the files they stand for, unchanged."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.volume.cohort import Cohort, Subject, build_cohort, file_digest, verify_files


@pytest.fixture
def folder(tmp_path):
    for name in (
        "maps/m1.nii.gz",
        "maps/m2.nii.gz",
        "a/s_T1w.nii.gz",
        "a/s_dseg.nii.gz",
        "b/s_T1w.nii.gz",
        "b/s_dseg.nii.gz",
        "c/u_T2w.nii.gz",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.fixture
def cohort(folder):
    pair = (folder / "b" / "s_T1w.nii.gz", folder / "b" / "s_dseg.nii.gz")
    return build_cohort(folder / "maps", [folder / "a", pair], [pair], [folder / "c"], "freesurfer", "muse")


def test_everybody_has_a_role_a_table_and_a_name_of_their_own(cohort):
    assert [(s.name, s.role, s.table) for s in cohort.subjects] == [
        ("m1", "label_map", "freesurfer"), ("m2", "label_map", "freesurfer"), ("a_s_T1w", "real", "muse"), ("b_s_T1w", "real", "muse"),
        ("s_T1w", "validation", "muse"), ("u_T2w", "unlabelled", "muse"),
    ]  # fmt: skip
    assert [s.name for s in cohort.of("real")] == ["a_s_T1w", "b_s_T1w"]
    assert all(path.is_absolute() for s in cohort.subjects for path in s.files.values())


def test_names_that_folders_do_not_tell_apart_are_numbered(folder):
    for place in ("x/anat", "y/anat"):
        (folder / place).mkdir(parents=True)
        (folder / place / "t.nii.gz").write_text(place)
    assert [s.name for s in build_cohort([folder / "x", folder / "y"]).subjects] == ["anat_t", "anat_t_2"]


def test_a_cohort_survives_json(cohort):
    record = json.loads(json.dumps(cohort.to_json()))
    assert Cohort.from_json(record, Path()) == cohort
    first = record["subjects"][0]["labels"]
    assert first["sha256"] == hashlib.sha256(b"maps/m1.nii.gz").hexdigest()
    verify_files(record, Path(), cohort)


def test_missing_and_changed_files_are_named(cohort, folder):
    record = cohort.to_json()
    (folder / "maps" / "m1.nii.gz").unlink()
    (folder / "c" / "u_T2w.nii.gz").write_text("other")
    with pytest.raises(InputError, match=r"1 missing \(.*m1.nii.gz\); 1 changed \(.*u_T2w.nii.gz\)"):
        verify_files(record, Path(), cohort)


@pytest.mark.parametrize("record", [{}, {"subjects": [{"name": "x"}]}, {"subjects": [{"name": "x", "role": "king", "table": "muse"}]}, []])
def test_records_that_are_no_cohort_are_refused(record):
    with pytest.raises(InputError, match="cohort"):
        Cohort.from_json(record, Path())


def test_a_pair_needs_both_files(folder):
    with pytest.raises(InputError, match="no such file"):
        build_cohort(real=[(folder / "a" / "s_T1w.nii.gz", folder / "a" / "none.nii.gz")])
    with pytest.raises(InputError, match="3 paths"):
        build_cohort(real=[(folder / "a", folder / "b", folder / "c")])


def test_digests_of_large_files_and_folders(tmp_path):
    content = bytes(range(256)) * 10000
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "2").write_bytes(content[10:])
    (tmp_path / "series" / "1").write_bytes(content[:10])
    for left_behind in (".DS_Store", "._1", "Thumbs.db"):
        (tmp_path / "series" / left_behind).write_text("of a file manager")
    assert file_digest(tmp_path / "series") == hashlib.sha256(content).hexdigest()
    with pytest.raises(InputError, match="cannot be read"):
        file_digest(tmp_path / "none")


@pytest.mark.parametrize("name, line", [("x.mhd", "ElementDataFile = x.raw"), ("x.nhdr", "data file: x.raw"), ("x.nhdr", "datafile: ./x.raw")])
def test_digests_tell_voxels_that_changed_beside_their_header(tmp_path, name, line):
    (tmp_path / name).write_text(f"a header\n{line}\n")
    (tmp_path / "x.raw").write_bytes(b"1")
    before = file_digest(tmp_path / name)
    (tmp_path / "x.raw").write_bytes(b"2")
    assert file_digest(tmp_path / name) != before


def test_a_subject_is_known_by_its_image_first(tmp_path):
    assert Subject("s", "real", tmp_path / "i", tmp_path / "l").path == tmp_path / "i"
    assert Subject("s", "label_map", None, tmp_path / "l").path == tmp_path / "l"

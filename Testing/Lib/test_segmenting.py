"""What `segment` refuses before any work, and what a bad image leaves untouched."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from Learn2SynthLib.__main__ import main
from Learn2SynthLib.console import Console
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.segmentation.segmenter import Measures, Segmentation
from Learn2SynthLib.segmenting import check_outputs, destinations, segment_images
from Learn2SynthLib.volume.image import Image, LabelMap

TABLE = load_table("brain")


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., str]:
    """Writes a small image of noise; returns its path."""

    def save(name: str, endless: bool = False) -> str:
        voxels = np.random.default_rng(0).random((6, 7, 5), np.float32)
        voxels[1, 2, 3] = np.inf if endless else 1
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)
        return str(path)

    return save


def segmenter(image: Image, *how: Any) -> Segmentation:
    labels = LabelMap(torch.zeros(image.grid.shape, dtype=torch.int32), image.grid, "brain")
    return Segmentation(labels, TABLE, Measures({"thalamus": 5.0}, {"thalamus": 5.0}, {"thalamus": 0.9}))


ALL_ALIKE: Any = SimpleNamespace(segment=segmenter)


# --- one bad image among several


def test_a_bad_image_costs_no_other_its_result(save: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = [save("good.nii.gz"), save("endless.nii.gz", endless=True), save("also.nii.gz")]
    places, volumes = destinations(images, str(tmp_path / "out"), False), tmp_path / "out" / "vol.csv"
    with pytest.raises(InputError, match=r"1 of 3 images not segmented: .*endless\.nii\.gz: 1 of 210 voxels are infinite"):
        segment_images(ALL_ALIKE, places, volumes, False, Console(as_json=True))
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in told if event["event"] != "segmenting"] == ["segmented", "refused", "segmented"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"good_dseg.nii.gz", "also_dseg.nii.gz", "vol.csv"}
    assert [line.split(",")[0] for line in volumes.read_text().splitlines()] == ["image", images[0], images[2]]


def test_the_volumes_of_what_is_done_are_on_the_disk_at_once(save: Callable[..., str], tmp_path: Path) -> None:
    def break_down(image: Image, *how: Any) -> Segmentation:
        if volumes.exists():
            raise KeyboardInterrupt
        return segmenter(image)

    images, volumes = [save("a.nii.gz"), save("b.nii.gz")], tmp_path / "vol.csv"
    with pytest.raises(KeyboardInterrupt):
        segment_images(SimpleNamespace(segment=break_down), destinations(images, str(tmp_path), False), volumes, False, Console(True))  # type: ignore[arg-type]
    assert images[0] in volumes.read_text()


def test_a_single_image_tells_its_own_error(save: Callable[..., str], tmp_path: Path) -> None:
    image = save("endless.nii.gz", endless=True)
    with pytest.raises(InputError) as caught:
        segment_images(ALL_ALIKE, destinations([image], str(tmp_path), False), None, False, Console(True))
    assert str(caught.value).startswith(f"{image}: 1 of 210 voxels")


# --- outputs


def test_an_input_is_never_written_over(save: Callable[..., str], tmp_path: Path) -> None:
    image, other = save("scan.nii.gz"), save("out/scan_dseg.nii.gz")
    os.link(image, tmp_path / "link.nii.gz")
    (tmp_path / "dicom").mkdir()
    slice_of = tmp_path / "dicom" / "IM1"
    slice_of.write_bytes(b"\0" * 128 + b"DICM")
    for output, volumes in (
        (image, None),
        (str(tmp_path / "out" / ".." / "scan.nii.gz"), None),
        (str(tmp_path / "link.nii.gz"), None),
        (str(tmp_path / "out"), None),
        (str(tmp_path / "o.nii.gz"), Path(image)),
        (str(tmp_path / "o.nii.gz"), slice_of),
    ):
        with pytest.raises(InputError, match="is an input and would be overwritten"):
            check_outputs(destinations([image], output, False), volumes, [image, other, tmp_path / "dicom"])
    check_outputs(destinations([image], str(tmp_path / "new" / "scan.nii.gz"), True), tmp_path / "new" / "v.csv", [image, other])
    assert not (tmp_path / "new").exists()


def test_names_that_some_systems_do_not_tell_apart_are_not_written_to_one_folder(save: Callable[..., str], tmp_path: Path) -> None:
    images = [save("one/Scan.nii.gz"), save("two/scan.nii.gz")]
    with pytest.raises(InputError, match=r"several results would be written to Scan_dseg\.nii\.gz, scan_dseg\.nii\.gz"):
        check_outputs(destinations(images, str(tmp_path / "out"), False), None, images)


def test_the_verb_looks_at_its_outputs(save: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = save("scan.nii.gz")
    before = Path(image).read_bytes()
    assert main(["segment", "brain-tiny", image, "--output", image]) == 2
    assert "would be overwritten" in capsys.readouterr().err and Path(image).read_bytes() == before


@pytest.mark.parametrize("name", ["o.mgh", "o.mhd", "o.nhdr"])
def test_a_format_that_is_only_read_is_told(name: str) -> None:
    with pytest.raises(InputError, match=r"--output: cannot write '\.m?n?.*end the name in \.nii\.gz"):
        destinations(["scan.nii.gz"], name, False)


def test_a_place_that_cannot_be_written_is_told(save: Callable[..., str], tmp_path: Path) -> None:
    image = save("scan.nii.gz")
    (tmp_path / "file").touch()
    (tmp_path / "folder.nii.gz").mkdir()
    good = str(tmp_path / "o.nii.gz")
    for output, volumes, words in (
        (str(tmp_path / "file" / "o.nii.gz"), None, "cannot be written"),
        (good, tmp_path / "file" / "more" / "v.csv", "cannot be written"),
        (str(tmp_path / "folder.nii.gz"), None, "is a folder"),
        (good, tmp_path, "is a folder"),
        (good, Path(good), "several results"),
    ):
        with pytest.raises(InputError, match=words):
            check_outputs(destinations([image], output, False), volumes, [image])


def test_a_misspelt_suffix_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'seg.nii.gx' is no folder yet.*if '.gx' belongs to its name"):
        destinations(["scan.nii.gz"], str(tmp_path / "seg.nii.gx"), False)
    (tmp_path / "seg.nii.gx").mkdir()
    for output in ("seg.nii.gx", "version 1.2", "plain"):
        assert destinations(["scan.nii.gz"], str(tmp_path / output), False)[0].labels == tmp_path / output / "scan_dseg.nii.gz"


def test_an_image_that_is_named_like_a_label_map_is_told(save: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    segment_images(ALL_ALIKE, destinations([save("sub-1_dseg.nii.gz")], str(tmp_path / "out"), False), None, False, Console(as_json=False))
    assert "By its name it is a label map" in capsys.readouterr().err


def test_a_single_image_is_refused_once(save: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="infinite"):
        segment_images(ALL_ALIKE, destinations([save("endless.nii.gz", endless=True)], str(tmp_path / "out"), False), None, False, Console(as_json=False))
    assert capsys.readouterr().err == ""

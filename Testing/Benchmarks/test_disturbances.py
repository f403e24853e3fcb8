"""Disturbed scans lie where the scan lay: image and labels stay one on the other, and in the patient where they were."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from Learn2SynthLib.volume.image import Grid, Image, LabelMap

Benchmark = Callable[[str], ModuleType]
PARTS = {4: (slice(6, 18), slice(6, 12), slice(6, 24)), 31: (slice(6, 18), slice(12, 18), slice(6, 24))}  # whole slices of 3 mm, and voxels of 0.5 mm
AXES_ONLY = [f"stored as {orientation}" for orientation in ("RSP", "SAL", "PRS", "LPI", "SRA")]


@pytest.fixture
def scan() -> Any:
    """Two boxes in a head of 1 mm voxels; each voxel has the intensity of its label."""
    affine = np.eye(4)
    affine[:3, 3] = -12, 5, 40
    data = torch.zeros(24, 24, 30, dtype=torch.int16)
    for label, box in PARTS.items():
        data[box] = label
    grid = Grid((24, 24, 30), affine)
    return SimpleNamespace(image=Image(data.float(), grid), reference=LabelMap(data, grid, "freesurfer"))


def centre_mm(labels: LabelMap, label: int) -> np.ndarray:
    """Where the middle of a structure is in the patient."""
    voxels = np.argwhere(labels.data.numpy() == label)
    return labels.grid.affine[:3, :3] @ voxels.mean(0) + labels.grid.affine[:3, 3]


@pytest.mark.parametrize(
    "name", ["as it is", "3 mm sagittal slices", "3 mm coronal slices", "3 mm axial slices", *AXES_ONLY, "0.5 mm voxels", "oblique header"]
)
def test_labels_go_where_the_image_goes(name: str, scan: Any, benchmark: Benchmark) -> None:
    disturbances = benchmark("reporting.disturbances")
    image, labels_of = disturbances.OF_BRAINS[name](scan)
    labels = labels_of(scan.reference)
    assert image.data.shape == labels.data.shape == torch.Size(image.grid.shape) and np.allclose(image.grid.affine, labels.grid.affine)
    assert float((image.data.round() == labels.data).float().mean()) > 0.9  # interpolation blurs borders
    turn = np.eye(3)
    if name == "oblique header":
        turn = image.grid.affine[:3, :3]
        assert not np.allclose(turn, np.eye(3)) and np.allclose(turn @ turn.T, np.eye(3))
    for label in PARTS:
        assert np.abs(centre_mm(labels, label) - turn @ centre_mm(scan.reference, label)).max() < 0.3


def test_thick_slices_are_fewer_voxels_not_blurred_ones(scan: Any, benchmark: Benchmark) -> None:
    image, _ = benchmark("reporting.disturbances").OF_BRAINS["7 mm axial slices"](scan)
    assert image.grid.shape == (24, 24, 4) and np.allclose(image.grid.spacing_mm, (1, 1, 7))
    assert float(image.data[12, 8, 1]) == pytest.approx(4)  # wholly inside
    assert float(image.data[12, 8, 0]) == pytest.approx(4 / 7)  # one voxel of seven


@pytest.mark.parametrize(("name", "axis", "left"), [("lower third missing", 2, 12), ("right half missing", 0, 6)])
def test_a_part_of_the_head_is_missing(name: str, axis: int, left: int, scan: Any, benchmark: Benchmark) -> None:
    """`left` of the voxels of the structures along the axis; those lie where they lay."""
    image, labels_of = benchmark("reporting.disturbances").OF_HEADS[name](scan)
    labels = labels_of(scan.reference)
    assert torch.equal(image.data, labels.data.float())
    kept = np.argwhere(labels.data.numpy() == 4)
    assert len(set(kept[:, axis])) == left
    there = set(map(tuple, (kept + labels.grid.affine[:3, 3]).round().tolist()))
    before = set(map(tuple, (np.argwhere(scan.reference.data.numpy() == 4) + scan.reference.grid.affine[:3, 3]).round().tolist()))
    assert there < before


def test_a_report_goes_on_where_it_was_and_forgets_another_model(tmp_path: Any, benchmark: Benchmark) -> None:
    record = benchmark("reporting.record")
    path, counts = tmp_path / "brain.json", []

    def task(scan: str) -> Any:
        return record.Task(("accuracy", "T1", scan), lambda: counts.append(scan) or {"dice": {"mean": 0.5}})

    def head(digest: str) -> dict[str, Any]:
        return {"model": {"sha256": digest}}

    record.measure([task("a")], record.Record(path, head("1")))
    record.measure([task("a"), task("b")], record.Record(path, head("1")))
    assert counts == ["a", "b"] and set(record.read(path)["accuracy"]["T1"]) == {"a", "b"}
    record.measure([task("a")], record.Record(path, head("2")))
    assert counts == ["a", "b", "a"] and set(record.read(path)["accuracy"]["T1"]) == {"a"}


def test_a_picture_that_is_gone_is_drawn_again(tmp_path: Any, benchmark: Benchmark) -> None:
    record = benchmark("reporting.record")
    picture, kept = tmp_path / "sheet.png", record.Record(tmp_path / "brain.json", {"model": {"sha256": "1"}})
    task = record.Task(("user_scans", "a"), lambda: {"seconds": 1}, (picture,))
    kept.keep(task, task.measure())
    assert not kept.holds(task)
    picture.touch()
    assert kept.holds(task)

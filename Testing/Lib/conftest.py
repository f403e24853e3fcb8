"""Fixtures of the library's tests: small made-up volumes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from Learn2SynthLib.volume.image import Grid, Image, LabelMap

torch.set_num_threads(1)  # small volumes, and nobody knows what else runs beside the tests


def affine_of(
    spacing: tuple[float, float, float] = (1, 1, 1), origin: tuple[float, float, float] = (0, 0, 0), axes: str = "RAS"
) -> np.ndarray:
    """Voxel-to-RAS affine with axes such as 'LIA'."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for column, (letter, size) in enumerate(zip(axes, spacing, strict=True)):
        row, sign = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}[letter]
        affine[row, column] = sign * size
    affine[:3, 3] = origin
    return affine


def rotation(degrees: float) -> np.ndarray:
    """4x4 turn about the superior axis."""
    turn = np.eye(4)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn[:2, :2] = [[c, -s], [s, c]]
    return turn


@pytest.fixture
def make_grid() -> Callable[..., Grid]:
    """make_grid(shape, spacing, origin, axes, degrees): a grid, turned by some degrees about the superior axis."""

    def make(shape=(12, 14, 16), spacing=(1, 1, 1), origin=(0, 0, 0), axes="RAS", degrees=0.0) -> Grid:  # type: ignore[no-untyped-def]
        return Grid(tuple(shape), rotation(degrees) @ affine_of(spacing, origin, axes))

    return make


@pytest.fixture
def noise_image() -> Callable[..., Image]:
    """noise_image(grid, seed): positive noise."""

    def make(grid: Grid, seed: int = 0) -> Image:
        return Image(torch.rand(grid.shape, generator=torch.Generator().manual_seed(seed)) + 0.5, grid)

    return make


@pytest.fixture
def head() -> Callable[..., tuple[Image, LabelMap]]:
    """head(grid, seed): a made-up head, image and labels (FreeSurfer ids), front and top unlike back and bottom.

    Nested ellipsoids: cortex 3, white matter 2, ventricle 4 (forward), thalamus 10, cerebellum 8 (low and behind).
    """

    def make(grid: Grid, seed: int = 0) -> tuple[Image, LabelMap]:
        index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
        centre = (np.array(grid.shape) - 1) / 2
        world = (index - centre) @ grid.affine[:3, :3].T
        labels = np.zeros(grid.shape, np.int32)
        for value, place, radii in _HEAD:
            labels[(((world - place) / radii) ** 2).sum(-1) < 1] = value
        intensity = np.zeros(300)
        intensity[[0, 2, 3, 4, 8, 10]] = [20, 110, 70, 30, 80, 90]
        noise = np.random.default_rng(seed).normal(0, 5, grid.shape)
        skull = 60 * ((((world - (0, -5, -5)) / (72, 90, 75)) ** 2).sum(-1) < 1) * (labels == 0)
        return Image(torch.from_numpy((intensity[labels] + skull + noise).astype(np.float32)), grid), LabelMap(
            torch.from_numpy(labels), grid
        )

    return make


_HEAD = [
    (3, (0, 0, 10), (62, 78, 55)),
    (2, (0, 0, 10), (50, 66, 43)),
    (4, (0, 22, 18), (16, 26, 12)),
    (10, (0, -8, 4), (20, 14, 10)),
    (8, (0, -48, -35), (45, 28, 22)),
]

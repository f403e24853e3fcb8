"""A segmented scan in a strip: three slices through the middle of what was found, each as it is and with the outlines of the structures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from torch import Tensor

from Learn2SynthLib.pictures import FAINT, SMALL, TEXT, Picture, blank, grey, legend, line_height, overlay, page, put_text, text_width, upright, write_png
from Learn2SynthLib.volume.geometry import model_grid, resample_image, resample_labels
from Learn2SynthLib.volume.image import Image, LabelMap
from Learn2SynthLib.volume.intensity import normalise
from Learn2SynthLib.volume.layout import labelled_box

from .scans import BRAIN

PIXEL_MM, SIDE, GAP = 0.75, 288, 4  # SIDE, GAP: pixels; a tile is 216 mm wide
VIEWS = {2: ("L", "R"), 1: ("L", "R"), 0: ("P", "A")}  # axis across the slice: what its left and right edges are


def draw_scan(name: str, image: Image, labels: LabelMap, path: Path) -> None:
    """Axial, coronal, sagittal; the scan's name, voxels, and the volume of all that was found. labels: in `brain`, on the image's voxels."""
    paper = blank(2 * len(VIEWS) * (SIDE + GAP), line_height(TEXT) + GAP + SIDE)
    put_text(paper, (0, 0), name, TEXT)
    put_text(paper, (text_width(name, TEXT) + 2 * GAP, 1), described(image, labels), SMALL, FAINT)
    for column, (tile, edges) in enumerate(tiles(image, labels)):
        put_tile(paper, tile, edges, (column * (SIDE + GAP), line_height(TEXT) + GAP))
    write_png(paper, path)


def described(image: Image, labels: LabelMap) -> str:
    shape, spacing = (" x ".join(f"{value:.3g}" for value in values) for values in (image.grid.shape, image.grid.spacing_mm))
    litres = int((labels.data > 0).sum()) * image.grid.voxel_mm3 / 1e6
    return f"{shape} voxels of {spacing} mm, {image.grid.orientation}; {litres:.2f} l labelled"


def tiles(image: Image, labels: LabelMap) -> Iterator[tuple[np.ndarray, tuple[str, str]]]:
    """uint8 RGB (SIDE, SIDE, 3) and the names of its edges: for each view the slice, and the slice with outlines."""
    grid = model_grid(image.grid, (PIXEL_MM,) * 3)
    intensities, found = normalise(resample_image(image, grid).data[None, None])[0, 0], resample_labels(labels, grid).data
    box = labelled_box(found) if found.any() else tuple(slice(0, size) for size in grid.shape)
    centre = [(ends.start + ends.stop) // 2 for ends in box]
    for axis, edges in VIEWS.items():
        about = [level for other, level in enumerate(centre) if other != axis]
        pixels, values = (upright(windowed(volume.select(axis, centre[axis]), about)) for volume in (intensities, found))
        yield grey(pixels), edges
        yield overlay(pixels, outlines(values), BRAIN, opacity=1), edges


def windowed(plane: Tensor, centre: Sequence[int]) -> np.ndarray:
    """SIDE x SIDE pixels about `centre`, 0 beyond the plane."""
    padded = np.pad(plane.numpy(), SIDE)
    return padded[tuple(slice(level + SIDE - SIDE // 2, level + 2 * SIDE - SIDE // 2) for level in centre)]


def outlines(labels: np.ndarray) -> np.ndarray:
    """The labels of those pixels that have a neighbour of another label."""
    around = np.pad(labels, 1)
    neighbours = (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:])
    return np.where(np.any([labels != neighbour for neighbour in neighbours], axis=0), labels, 0)


def put_tile(paper: Picture, tile: np.ndarray, edges: tuple[str, str], place: tuple[int, int]) -> None:
    picture = PillowImage.fromarray(np.ascontiguousarray(tile))
    put_text(picture, (4, 2), edges[0], SMALL, FAINT)
    put_text(picture, (SIDE - 4 - text_width(edges[1], SMALL), 2), edges[1], SMALL, FAINT)
    paper.paste(picture, place)


def draw_sheet(strips: Sequence[Path], remark: str, path: Path) -> None:
    pictures = [PillowImage.open(strip).convert("RGB") for strip in strips]
    key = legend(BRAIN, [label.value for label in BRAIN.foreground], pictures[0].width)
    write_png(page("Scans without labels", [*pictures, key, remark]), path)

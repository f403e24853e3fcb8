"""Pictures: slices, label maps, pages, drawn so that they can be read without the program.

Slices are drawn upright and in neurological convention: front up, the person's left on the left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from .files import written_aside
from .labels import LabelTable

Picture = PillowImage.Image
Colour = tuple[int, int, int]
Slice = torch.Tensor | np.ndarray

INK: Colour = (25, 28, 34)
FAINT: Colour = (110, 116, 126)
PAPER: Colour = (255, 255, 255)
TRACK: Colour = (232, 234, 238)
BEFORE: Colour = (176, 181, 190)
AFTER: Colour = (0, 112, 178)
MARGIN = 16
TEXT, SMALL, _TITLE = 15, 13, 24
_GAP = 4  # pixels between tiles


# --- slices


def axial(volume: Slice, level: int) -> np.ndarray:
    """Slice `level` of a volume (X, Y, Z) in RAS order, upright: (rows, columns)."""
    return upright(volume[:, :, level])


def upright(pixels: Slice) -> np.ndarray:
    """An axial slice (X, Y) in RAS order as rows and columns of a picture: front up, left on the left."""
    array = pixels.detach().cpu().numpy() if isinstance(pixels, torch.Tensor) else pixels
    return array.T[::-1]


def grey(pixels: np.ndarray, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Intensities (rows, columns), `low` black and `high` white, as uint8 RGB."""
    levels = np.clip((pixels.astype(np.float64) - low) / max(high - low, 1e-12), 0, 1)
    return np.repeat(np.rint(levels * 255).astype(np.uint8)[..., None], 3, axis=2)


def coloured(labels: np.ndarray, table: LabelTable) -> np.ndarray:
    """Label values (rows, columns) in the table's colours, as uint8 RGB; values that are not in the table are black."""
    picture = np.zeros((*labels.shape, 3), np.uint8)
    for label in table.foreground:
        picture[labels == label.value] = label.colour
    return picture


def overlay(pixels: np.ndarray, labels: np.ndarray, table: LabelTable, opacity: float = 0.5) -> np.ndarray:
    """Intensities in [0, 1] with labels laid over them, as uint8 RGB; `opacity` 0 shows the image alone, 1 the labels alone."""
    image, colours = grey(pixels).astype(np.float64), coloured(labels, table)
    shown = (labels != 0)[..., None] * opacity
    return np.rint(image * (1 - shown) + colours * shown).astype(np.uint8)


# --- sheets of slices


@dataclass(frozen=True)
class Sheet:
    """Tiles in rows and columns.

    columns: a caption each, wrapped. groups: headings over neighbouring columns, as (text, number of columns). magnify: pixels
    of the picture for one of a tile.
    """

    columns: Sequence[str]
    groups: Sequence[tuple[str, int]] = ()
    magnify: int = 2

    def draw(self, rows: Sequence[Sequence[np.ndarray]], captions: Sequence[str] = ()) -> Picture:
        """rows: tiles of uint8 RGB (rows, columns, 3), all of one size. captions: one a row, or none at all."""
        height, width = (self.magnify * size for size in rows[0][0].shape[:2])
        left = max((text_width(c, TEXT) for c in captions), default=-MARGIN) + MARGIN
        heads = [wrapped(caption, width - 2 * _GAP, TEXT) for caption in self.columns]
        top = self._groups_height() + max(map(len, heads)) * line_height(TEXT) + _GAP
        paper = blank(left + len(self.columns) * (width + _GAP) - _GAP, top + len(rows) * (height + _GAP) - _GAP)
        self._draw_heads(paper, heads, left, width, top)
        for r, tiles in enumerate(rows):
            y = top + r * (height + _GAP)
            for c, tile in enumerate(tiles):
                paper.paste(_tile(tile, self.magnify), (left + c * (width + _GAP), y))
            if captions:
                put_text(paper, (0, y + height // 2 - line_height(TEXT) // 2), captions[r], TEXT, FAINT)
        return paper

    def _groups_height(self) -> int:
        return line_height(TEXT) + 3 * _GAP if self.groups else 0

    def _draw_heads(self, paper: Picture, heads: Sequence[Sequence[str]], left: int, width: int, top: int) -> None:
        """Captions stand on the tiles; each group's heading has a line under it as wide as its columns."""
        for c, lines in enumerate(heads):
            y = top - _GAP - len(lines) * line_height(TEXT)
            for n, line in enumerate(lines):
                put_text(paper, (left + c * (width + _GAP), y + n * line_height(TEXT)), line, TEXT)
        start = left
        for text, count in self.groups:
            end = start + count * (width + _GAP) - _GAP
            put_text(paper, (start, 0), text, TEXT, AFTER)
            ImageDraw.Draw(paper).line([(start, line_height(TEXT) + _GAP), (end - MARGIN, line_height(TEXT) + _GAP)], AFTER, 1)
            start = end + _GAP


def _tile(pixels: np.ndarray, magnify: int) -> Picture:
    """A magnified tile with its sides marked."""
    tile = PillowImage.fromarray(np.ascontiguousarray(pixels)).resize((pixels.shape[1] * magnify, pixels.shape[0] * magnify), PillowImage.Resampling.NEAREST)
    put_text(tile, (4, 2), "L", SMALL, BEFORE)
    put_text(tile, (tile.width - 4 - text_width("R", SMALL), 2), "R", SMALL, BEFORE)
    return tile


# --- pages


def page(title: str, blocks: Sequence[Picture | str]) -> Picture:
    """Title, then pictures and paragraphs one below the other, as wide as the widest picture."""
    width = max(block.width for block in blocks if isinstance(block, PillowImage.Image))
    parts = [paragraph(title, width, _TITLE), *(paragraph(b, width) if isinstance(b, str) else b for b in blocks)]
    paper = blank(width + 2 * MARGIN, sum(part.height + MARGIN for part in parts) + MARGIN)
    y = MARGIN
    for part in parts:
        paper.paste(part, (MARGIN, y))
        y += part.height + MARGIN
    return paper


def paragraph(text: str, width: int, size: int = TEXT) -> Picture:
    lines = wrapped(text, width, size)
    paper = blank(width, len(lines) * line_height(size))
    for n, line in enumerate(lines):
        put_text(paper, (0, n * line_height(size)), line, size)
    return paper


def legend(table: LabelTable, values: Sequence[int], width: int) -> Picture:
    """Colour and name of the labels `values`, in lines of at most `width` pixels."""
    places, x, y = [], 0, 0
    for value in values:
        needed = line_height(SMALL) + _GAP + text_width(table[value].name, SMALL) + MARGIN
        if x and x + needed > width:
            x, y = 0, y + line_height(SMALL) + _GAP
        places.append((table[value], x, y))
        x += needed
    paper = blank(width, y + line_height(SMALL))
    for label, x, y in places:
        ImageDraw.Draw(paper).rectangle((x, y + 2, x + line_height(SMALL) - 4, y + line_height(SMALL) - 2), label.colour, FAINT)
        put_text(paper, (x + line_height(SMALL) + _GAP, y), label.name, SMALL)
    return paper


def write_png(picture: Picture, path: Path) -> None:
    """Writes the picture, whole or not at all. Raises InputError where the disk refuses."""
    with written_aside(path) as aside:
        picture.save(aside, format="PNG", optimize=True)


# --- type


def blank(width: int, height: int) -> Picture:
    return PillowImage.new("RGB", (max(1, width), max(1, height)), PAPER)


def wrapped(text: str, width: int, size: int) -> list[str]:
    """The text in lines of at most `width` pixels; a longer word stands alone on its line."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def fitted(text: str, width: int, size: int) -> str:
    """The text, its end cut off where it is wider than `width` pixels."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def put_text(paper: Picture, place: tuple[int, int], text: str, size: int, colour: Colour = INK) -> None:
    ImageDraw.Draw(paper).text(place, text, colour, _font(size))


def text_width(text: str, size: int) -> int:
    return round(_font(size).getlength(text))


def line_height(size: int) -> int:
    """Height of a line of text in pixels."""
    return round(size * 1.3)


@lru_cache(maxsize=None)
def _font(size: int) -> Any:
    """Pillow's own scalable font: no font of the system is needed."""
    return ImageFont.load_default(size)

"""Charts: what was learned of the synthesis, beside its prior."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import ImageDraw

from .learned import LearnedRange, interval
from .pictures import AFTER, BEFORE, FAINT, MARGIN, SMALL, TEXT, TRACK, Colour, Picture, blank, fitted, put_text, text_width

_GAP = 4  # pixels
@dataclass(frozen=True)
class RangeChart:
    """Each parameter as a track over its bounds: the prior as a grey bar, the learned range as a coloured one in front.

    columns: of rows, side by side. width: of all together, in pixels.
    """

    width: int
    columns: int = 3
    row: int = 21

    def draw(self, ranges: Sequence[LearnedRange]) -> Picture:
        """One row a range, in the order given, under the headings of their groups."""
        lines = list(_with_headings(ranges))
        columns = _balanced(lines, self.columns)
        width = (self.width - (self.columns - 1) * 2 * MARGIN) // self.columns
        paper = blank(self.width, self._key_height() + max(map(len, columns)) * self.row)
        self._draw_key(paper)
        for c, column in enumerate(columns):
            for n, line in enumerate(column):
                place = (c * (width + 2 * MARGIN), self._key_height() + n * self.row)
                put_text(paper, place, line, TEXT) if isinstance(line, str) else self._draw_row(paper, place, width, line)
        return paper

    def _key_height(self) -> int:
        return self.row + 2 * _GAP

    def _draw_key(self, paper: Picture) -> None:
        x = 0
        for colour, text in ((BEFORE, "before learning"), (AFTER, "after learning"), (TRACK, "all that is allowed")):
            ImageDraw.Draw(paper).rectangle((x, 5, x + 28, 13), colour)
            put_text(paper, (x + 36, 0), text, SMALL)
            x += 36 + text_width(text, SMALL) + 2 * MARGIN

    def _draw_row(self, paper: Picture, place: tuple[int, int], width: int, range_: LearnedRange) -> None:
        """Name, track, and the learned ends in figures."""
        (x, y), pen = place, ImageDraw.Draw(paper)
        start, end = x + int(0.40 * width), x + int(0.67 * width)
        put_text(paper, (x + _GAP, y), fitted(range_.name, start - x - 2 * _GAP, SMALL), SMALL)
        put_text(paper, (end + 2 * _GAP, y), interval(range_.learned, range_.unit), SMALL, FAINT)
        middle = y + self.row // 2 - 2

        def bar(ends: tuple[float, float], half: int, colour: Colour) -> None:
            low, high = (start + (value - range_.bounds[0]) / (range_.bounds[1] - range_.bounds[0]) * (end - start) for value in ends)
            pen.rectangle((low - 1, middle - half, high + 1, middle + half), colour)

        bar(range_.bounds, 1, TRACK)
        bar(range_.prior, 5, BEFORE)
        bar(range_.learned, 3, AFTER)


def _with_headings(ranges: Sequence[LearnedRange]) -> Iterator[LearnedRange | str]:
    """The ranges, and before each group its title."""
    group = ""
    for range_ in ranges:
        if range_.group != group:
            yield range_.group
        group = range_.group
        yield range_


def _balanced(lines: Sequence[Any], columns: int) -> list[list[Any]]:
    """Cut into columns of nearly one length; a heading never ends a column."""
    parts: list[list[Any]] = [[]]
    length = -(-len(lines) // columns)
    for line in lines:
        full = len(parts[-1]) >= length or (isinstance(line, str) and len(parts[-1]) >= length - 2)
        if full and len(parts) < columns:
            parts.append([])
        parts[-1].append(line)
    return parts

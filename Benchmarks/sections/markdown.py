"""What a page is made of: sections of blocks, tables, pictures, and how numbers are written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOT_RUN = "not run"
_A_GLANCE = 6  # names that are read at a glance


@dataclass(frozen=True)
class Section:
    """title: also its heading in the remarks. summary: one line. blocks: paragraphs, tables, pictures, headings."""

    title: str
    summary: str
    blocks: Sequence[str]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def details(summary: str, *blocks: str) -> str:
    """Blocks that are read on a click."""
    return "\n\n".join([f"<details><summary>{summary}</summary>", *blocks, "</details>"])


def picture(path: Path, caption: str) -> str:
    """A link from the page beside the folder of pictures, whose file is there."""
    return f"![{caption}]({path.parent.name}/{path.name})"


def small(main: str, more: str) -> str:
    """A cell of two lines, the second one small."""
    return f"{main}<br><sub>{more}</sub>"


def interval(low: float, high: float, form: str) -> str:
    return f"{low:{form}} to {high:{form}}"


def number(value: float, digits: int = 3) -> str:
    """Significant digits; nan: nothing was measured."""
    return "none" if math.isnan(value) else f"{value:.{digits}g}"


def points(difference: float) -> str:
    """A difference of Dice in points, hundredths; no minus before a 0."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"


def listed(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def left_out(names: Sequence[str]) -> list[str]:
    """A block that says what was not run, folded where that is much; none where all was."""
    told = listed(f"`{name}`" for name in names)
    if len(names) > _A_GLANCE:
        return [details(f"{NOT_RUN.capitalize()}: {len(names)} others", told)]
    return [f"{NOT_RUN.capitalize()}: {told}."] if names else []


def duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def versions(records: Iterable[Mapping[str, Any]], programs: Mapping[str, str]) -> str:
    """Every version that made any of the records; programs: key and name of each."""
    found = list(records)
    return listed(f"{name} {' / '.join(sorted({str(r[key]) for r in found if key in r})) or 'unknown'}" for key, name in programs.items())

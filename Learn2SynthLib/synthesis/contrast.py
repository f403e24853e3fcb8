"""Tables of contrast: what is known beforehand about the intensities of tissues in one kind of scan."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..config import ANY_CONTRAST
from ..errors import InputError, nearest
from ..resources import names, read_named

_PARTS = {"mean": "contrast_mean", "spread": "contrast_spread"}

Interval = tuple[float, float]


def read_contrast(name_or_path: str) -> dict[str, dict[str, Interval]]:
    """Learnable parameter -> tissue class -> (low, high) of its prior, image range being 1; empty for any contrast.

    A table is a JSON file {"mean": {"thalamus": [0.55, 0.75], ...}, "spread": {...}}, or that as text, as models tell it; what it leaves out keeps the prior
    for all contrasts. Raises InputError, naming what is wrong.
    """
    if name_or_path == ANY_CONTRAST:
        return {}
    table, path = _table(name_or_path)
    if not isinstance(table, Mapping) or not any(part in table for part in _PARTS) or not all(isinstance(table.get(part, {}), Mapping) for part in _PARTS):
        raise InputError(path, "is no table of contrast", 'an object with "mean", "spread" or both')
    return {_PARTS[part]: {tissue: _interval(ends, path, part, tissue) for tissue, ends in table[part].items()} for part in _PARTS if part in table}


def check_contrast(name_or_path: str, tissues: Iterable[str]) -> None:
    """Raises InputError, also when a table names a tissue that is none of `tissues`."""
    known = sorted(tissues)
    for rows in read_contrast(name_or_path).values():
        for tissue in rows:
            if tissue not in known:
                raise InputError(name_or_path, f"unknown tissue '{tissue}'", remedy=nearest(tissue, known))


def told(name_or_path: str) -> str:
    """What `read_contrast` understands on another computer too: a name as it is, a file's content as text; of a file that is gone only the name."""
    if name_or_path in (ANY_CONTRAST, *names("Contrasts", ".json")):
        return name_or_path
    try:
        return json.dumps(_table(name_or_path)[0])
    except InputError:
        return Path(name_or_path).name


def _table(name_or_path: str) -> tuple[Any, Path]:
    """Content, and where it is from."""
    if not name_or_path.startswith("{"):
        return read_named("Contrasts", name_or_path, "synthesis.contrast")
    try:
        return json.loads(name_or_path), Path("synthesis.contrast")
    except ValueError as error:
        raise InputError("synthesis.contrast", f"cannot be read as JSON ({error})") from error


def _interval(ends: Any, path: Path, part: str, tissue: str) -> Interval:
    numbers = isinstance(ends, list) and len(ends) == 2 and all(isinstance(end, (int, float)) for end in ends)
    if not numbers or not 0 <= ends[0] <= ends[1] <= 1:
        raise InputError(f"{path}, {part} of {tissue}", f"{ends}", "[low, high] with 0 <= low <= high <= 1")
    return float(ends[0]), float(ends[1])

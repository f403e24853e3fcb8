"""Where the files beside the code live: in a source checkout and in Slicer next to the package, in a wheel inside it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .errors import InputError, nearest
from .files import is_there

_PACKAGE = Path(__file__).resolve().parent
_FOLDERS = (_PACKAGE / "Resources", _PACKAGE.parent / "Resources")


def resource(*parts: str) -> Path:
    """Path of a file or folder under Resources/; it need not exist."""
    folder = next((f for f in _FOLDERS if f.is_dir()), _FOLDERS[-1])
    return folder.joinpath(*parts)


def names(folder: str, suffix: str) -> list[str]:
    """Names, without suffix, of the resources of one kind, sorted."""
    return sorted(path.stem for path in resource(folder).glob(f"*{suffix}"))


def settled(folder: str, suffix: str, name_or_path: str) -> str:
    """A resource's name, and what is no file or folder, as it is; a path as an absolute one, so that it means the same from anywhere."""
    known = name_or_path in names(folder, suffix) or not os.path.exists(name_or_path)
    return name_or_path if known else os.path.abspath(name_or_path)


def find_named(folder: str, name_or_path: str, what: str) -> Path:
    """Path of the JSON resource of that name, or of the user's own JSON file. Raises InputError, naming the nearest resource, when there is none."""
    known = names(folder, ".json")
    path = resource(folder, f"{name_or_path}.json") if name_or_path in known else Path(name_or_path)
    if not is_there(path):
        raise InputError(what, f"'{name_or_path}' is neither one of them nor a file", ", ".join(known), nearest(name_or_path, known))
    return path


def read_named(folder: str, name_or_path: str, what: str) -> tuple[Any, Path]:
    """(content, path) of what `find_named` finds. Raises InputError as it does, and when the file is no JSON."""
    path = find_named(folder, name_or_path, what)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig")), path
    except (OSError, ValueError) as error:
        raise InputError(path, f"cannot be read as JSON ({error})", remedy="mend it there; often a comma is one too many or missing") from error

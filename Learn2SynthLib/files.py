"""Files that are either whole or not there: written aside, then moved into place; and whether they can be."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import InputError

ODD_NAMES = "backslashreplace"  # how file names that are no UTF-8 are written as text; in JSON that is read back as it was
_PATIENCE_S = 2.0
_BY_THE_SYSTEM = (".ds_store", "desktop.ini", "thumbs.db")


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A path to write to, in the same folder and with the same suffixes; moved to `path` when the block ends without error.

    Raises InputError where the disk refuses (full, read-only, no permission); nothing is left behind then.
    """
    suffix = "".join(path.suffixes[-2:])
    aside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = new_file(path.parent, suffix)
        yield aside
        _flush(aside)
        replace(aside, path)
    except OSError as error:
        raise InputError(path, f"cannot be written ({error.strerror or error})", remedy="free some space or choose another folder") from error
    finally:
        if aside is not None:
            with suppress(OSError):  # what went wrong before is told; who failed to write may still hold the file, which Windows then does not remove
                aside.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """To the disk itself: a power failure must not leave the new name with nothing behind it."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def new_file(folder: Path, suffix: str = "") -> Path:
    """An empty file of a name that nobody has. Raises OSError.

    Not by `tempfile`: on Windows, up to Python 3.12, it never gives up on a folder that may not be written to.
    """
    path = folder / f".{os.urandom(6).hex()}{suffix}"
    path.touch(exist_ok=False)
    return path


def try_place(path: Path) -> None:
    """Raises InputError where a file cannot be written.

    Tried by one that is gone at once, in the folder or, where that is yet to be made, in the one that it will be made in.
    """
    if os.path.isdir(path):
        raise InputError(path, "is a folder", "a file", "choose another name")
    folder = next(above for above in path.absolute().parents if os.path.exists(above))
    try:
        remove(new_file(folder))
    except OSError as error:
        raise InputError(path, f"cannot be written ({error.strerror or error})", remedy="choose a folder that you may write to") from error


def replace(aside: Path, path: Path) -> None:
    """Moves `aside` to `path`."""
    _patiently(lambda: os.replace(aside, path))


def remove(path: Path) -> None:
    """Removes a file, if it is there."""
    _patiently(lambda: path.unlink(missing_ok=True))


def _patiently(action: Callable[[], None]) -> None:
    """Windows refuses while a reader or a virus scanner holds the file, mostly for a moment: tried again until that is over."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return action()
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() >= deadline:
                raise
        time.sleep(0.05)


def write_text(path: Path, text: str) -> None:
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", errors=ODD_NAMES)


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def is_there(path: str | Path) -> bool:
    """Whether there is a file. One in a folder that may not be read, or on a disk that is lost, counts as gone: `Path.is_file` would raise."""
    return os.path.isfile(path)


def is_the_systems(name: str) -> bool:
    """Whether a file of that name is one that file managers leave in folders that they show; `._`: what macOS keeps of a file on disks of other systems."""
    return name.lower() in _BY_THE_SYSTEM or name.startswith("._")

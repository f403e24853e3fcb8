"""Files that are either whole or not there: written aside, then moved into place."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import InputError

_PATIENCE_S = 2.0


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A path to write to, in the same folder and with the same suffixes; moved to `path` when the block ends without error.

    Raises InputError where the disk refuses (full, read-only, no permission); nothing is left behind then.
    """
    suffix = "".join(path.suffixes[-2:])
    aside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=suffix, dir=path.parent)
        os.close(handle)
        aside = Path(name)
        yield aside
        os.chmod(aside, 0o666 & ~_umask())
        replace(aside, path)
    except OSError as error:
        raise InputError(path, f"cannot be written ({error.strerror or error})", remedy="free some space or choose another folder") from error
    finally:
        if aside is not None:
            aside.unlink(missing_ok=True)


def replace(aside: Path, path: Path) -> None:
    """Moves `aside` to `path`. Windows refuses while a reader or a virus scanner holds the file, mostly for a moment: tried again until that is over."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return os.replace(aside, path)
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() >= deadline:
                raise
        time.sleep(0.05)


def write_text(path: Path, text: str) -> None:
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def _umask() -> int:
    """The permission bits that new files do not get (temporary files are made private)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask

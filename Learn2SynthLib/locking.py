"""Locks on files, which the system lets go of when their process ends, however it ends."""

from __future__ import annotations

import errno
import sys
import time
from pathlib import Path
from typing import IO

from .errors import InputError

_LOCKED_BYTE = 1 << 20  # behind all that the file holds: on Windows a locked byte cannot be read by others
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)  # EDEADLK: Windows
_A_LOOK_S = 0.5  # that a look at a lock may take on a slow disk


def open_for_locking(path: Path) -> IO[str]:
    """Opens, or makes, the file. Raises InputError where the disk refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "a+", encoding="utf-8")
    except OSError as error:
        raise InputError(path.parent, f"cannot be written ({error.strerror or error})", remedy="choose another folder") from error


def lock_patiently(file: IO[str]) -> bool | None:
    """As `lock`, tried again for a moment: who only looks whether it is held holds it for so long."""
    deadline = time.monotonic() + _A_LOOK_S
    while (locked := lock(file)) is False and time.monotonic() < deadline:
        time.sleep(0.02)
    return locked


# `lock` tells whether it got the lock: False where another process has it, None where the file system has no locks.
if sys.platform == "win32":
    import msvcrt

    def lock(file: IO[str]) -> bool | None:
        file.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            return False if error.errno in _HELD else None
        return True

    def unlock(file: IO[str]) -> None:
        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def lock(file: IO[str]) -> bool | None:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return False if error.errno in _HELD else None
        return True

    def unlock(file: IO[str]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_UN)

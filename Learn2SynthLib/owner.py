"""A worker ends with the program that started it, by its own watch.

Between the two may stand a launcher, which tells the worker nothing when it is killed; and the program may change its mind about
whether the worker is to outlive it. So the worker watches a file that holds the owner's process number.
"""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS = 1.0  # between two looks


@contextmanager
def owned(path: str | Path | None) -> Iterator[None]:
    """While the block runs, this process is interrupted, as by Ctrl-C, once the process whose number stands in file `path` is gone.

    Without the file nobody owns this process. It may be written, rewritten and removed at any time.
    """
    if path is None:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a program that was started in the background of a shell hands on that it is ignored
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=(Path(path), done), daemon=True)
    watch.start()
    try:
        yield
    finally:
        done.set()
        watch.join()


def _watch(path: Path, done: threading.Event) -> None:
    import psutil  # not for those who only ask for help

    owner = None
    while not done.wait(SECONDS):
        number = _number_in(path)
        if number is None:
            owner = None
            continue
        try:
            if owner is None or owner.pid != number:
                owner = psutil.Process(number)
            alive = owner.is_running()  # knows the process from a later one of the same number
        except psutil.NoSuchProcess:
            alive = False
        if not alive:
            _thread.interrupt_main()
            return


def _number_in(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None

"""A run: the folder in which a training writes down what it is, what happens and what it made.

Any number of readers may follow it while it is written, on this machine or over a shared folder.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .config import RunConfig
from .errors import InputError
from .files import ODD_NAMES, is_the_systems, is_there, remove, write_json
from .locking import lock, lock_patiently, open_for_locking, unlock

# config.json is written last: it makes a folder a run.
_BEFORE_A_RUN = ("lock", "stop", "owner", "log.txt", "inputs", "anatomy", "events.jsonl", "cohort.json", "environment.json")
_ENDED = ("finished", "stopped", "failed")


class Run:
    """The run in `folder`."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    config_path = property(lambda self: self.folder / "config.json")
    cohort_path = property(lambda self: self.folder / "cohort.json")
    events_path = property(lambda self: self.folder / "events.jsonl")
    checkpoint_path = property(lambda self: self.folder / "checkpoint.pt")
    model_path = property(lambda self: self.folder / "best.l2s")
    previews = property(lambda self: self.folder / "previews")
    stop_path = property(lambda self: self.folder / "stop")
    lock_path = property(lambda self: self.folder / "lock")
    anatomy = property(lambda self: self.folder / "anatomy")  # segmentations of scans that are annotated in part
    # Of the program that starts the training, where there is one:
    owner_path = property(lambda self: self.folder / "owner")  # its process number, for `train --owner`
    log_path = property(lambda self: self.folder / "log.txt")  # what the training printed
    inputs = property(lambda self: self.folder / "inputs")  # scans, label maps and tables that it wrote for the training

    def exists(self) -> bool:
        return is_there(self.config_path)

    def occupied(self) -> bool:
        """Whether the folder holds something that is no run."""
        if self.exists() or not self.folder.is_dir():
            return False
        return any(path.name not in _BEFORE_A_RUN and not is_the_systems(path.name) for path in self.folder.iterdir())

    def check(self, config: dict[str, Any], cohort: dict[str, Any]) -> None:
        """Raises InputError when the folder belongs to another configuration or other data, or holds something else."""
        if self.exists():
            self._check_same(self.config_path, _comparable(config, "configuration"), "configuration")
            if _without_paths(self.cohort()) != _without_paths(cohort):
                self._check_same(self.cohort_path, cohort, "data")
        elif self.occupied():
            raise InputError(self.folder, "is not empty and holds no run", remedy="choose a new folder")

    def prepare(self, config: dict[str, Any], cohort: dict[str, Any]) -> None:
        """Writes the run's description, unless it is there already, and where its data and its other files are now. Raises InputError as `check` does."""
        self.check(config, cohort)
        begun = self.exists()
        if not begun or self.cohort() != cohort:
            write_json(self.cohort_path, cohort)
        if not begun:
            write_json(self.folder / "environment.json", environment())
        config = {**config, "device": self.config()["device"]} if begun else config
        if not begun or self.config() != config:
            write_json(self.config_path, config)

    def _check_same(self, path: Path, wanted: dict[str, Any], what: str) -> None:
        stored = self._read_json(path)
        stored = _comparable(stored, path) if path == self.config_path else stored
        differing = _differences(stored, {key: value for key, value in wanted.items() if key in stored})  # an older record knows less
        if differing:
            shown = ", ".join(f"{key} {_short(old)} there, {_short(new)} here" for key, old, new in differing[:3])
            more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
            raise InputError(self.folder, f"belongs to a run with another {what} ({shown}{more})", remedy="choose a new folder, or the same settings to resume")

    def _read_json(self, path: Path) -> dict[str, Any]:
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(path, f"cannot be read ({error})", remedy="is this the folder of a run?") from error
        if not isinstance(record, dict):
            raise InputError(path, "is not an object", remedy="is this the folder of a run?")
        return record

    def config(self) -> dict[str, Any]:
        return self._read_json(self.config_path)

    def cohort(self) -> dict[str, Any]:
        return self._read_json(self.cohort_path)

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Holds the run for this process; the system lets go of it when the process ends, however it ends.

        Yields False on a file system without locks, where nothing keeps a second process from it. Raises InputError naming the process that holds it already.
        """
        with open_for_locking(self.lock_path) as file:
            locked = lock_patiently(file)
            if locked is False:
                raise InputError(self.folder, f"is in use by {self.holder()}", remedy="stop that run first, or choose a new folder")
            file.seek(0)
            file.truncate()
            file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
            file.flush()
            try:
                yield bool(locked)
            finally:
                if locked:
                    unlock(file)

    def in_use(self) -> bool:
        """Whether a living process trains this run; to who may only read it, one that was killed looks alive."""
        if not is_there(self.lock_path):
            return False
        try:
            with open(self.lock_path, "a+", encoding="utf-8") as file:
                locked = lock(file)
                if locked:
                    unlock(file)
                return locked is False
        except OSError:  # somebody else's run, or a folder that is shared for reading
            with suppress(OSError):  # or that nobody may read
                return self._last_word() == "started"
            return False

    def holder(self) -> str:
        """The process that holds, or last held, the run, in words."""
        try:
            record = json.loads(self.lock_path.read_text(encoding="utf-8"))
            return f"process {record['pid']} on {record['host']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"

    def append(self, event: str, **content: Any) -> dict[str, Any]:
        """Adds one event to the log and returns it. Raises InputError where the disk refuses."""
        record = {"event": event, "time": time.strftime("%Y-%m-%dT%H:%M:%S"), **content}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(self.events_path, "ab") as file:
                if file.tell() and not self._ends_with_newline():
                    file.write(b"\n")  # a process that was killed, or a full disk, left half a line
                file.write((json.dumps(record, ensure_ascii=False) + "\n").encode(errors=ODD_NAMES))
        except OSError as error:
            raise InputError(self.events_path, f"cannot be written ({error.strerror or error})", remedy="free some space, then resume the run") from error
        return record

    def _ends_with_newline(self) -> bool:
        with open(self.events_path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def events(self) -> list[dict[str, Any]]:
        """All whole events so far; half-written lines are left out."""
        return self.events_from(0)[0]

    def events_from(self, offset: int) -> tuple[list[dict[str, Any]], int]:
        """(whole events from byte `offset` on, offset to go on from). Raises OSError where they may not be read."""
        try:
            with open(self.events_path, "rb") as file:
                file.seek(offset)
                whole, _, _ = file.read().rpartition(b"\n")
        except (FileNotFoundError, NotADirectoryError):
            return [], 0
        return [event for line in whole.splitlines() if (event := _parse_event(line))], offset + (len(whole) + 1 if whole else 0)

    def status(self) -> str:
        """`new`, `training`, `interrupted` (its process is gone without a word), or how it ended."""
        last = self._last_word()
        if self.in_use():
            return "training"
        return "new" if last is None else last if last in _ENDED else "interrupted"

    def _last_word(self) -> str | None:
        """The last event that tells whether the run goes on."""
        return next((e["event"] for e in reversed(self.events()) if e["event"] in (*_ENDED, "started")), None)

    def request_stop(self) -> None:
        self.stop_path.touch()

    def stop_requested(self) -> bool:
        return self.stop_path.exists()

    def clear_stop(self) -> None:
        remove(self.stop_path)


def environment() -> dict[str, Any]:
    """Where a run was started: versions that its results may depend on."""
    from importlib import metadata

    packages = ("torch", "numpy", "scipy", "nibabel", "SimpleITK", "safetensors")
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "bundled or absent"
    from . import __version__

    return {
        "learn2synth": __version__,
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        **versions,
    }


def _comparable(config: dict[str, Any], where: object) -> dict[str, Any]:
    """A configuration with every setting, those that are younger than it at their defaults, but without the place that it runs on and the places of the files
    that it names: a run may be resumed on another device, and with files that were moved."""
    return {key: _by_name(value) for key, value in RunConfig.from_json(config, where).to_json().items() if key != "device"}


def _by_name(setting: Any) -> Any:
    """A setting, or a record of them, with the file's name in place of every path; paths in configurations are absolute."""
    if isinstance(setting, dict):
        return {key: _by_name(value) for key, value in setting.items()}
    return Path(setting).name if isinstance(setting, str) and os.path.isabs(setting) else setting


def _without_paths(cohort: Any) -> Any:
    """A cohort by its names and checksums: data that were moved are the same, with their tables."""
    if isinstance(cohort, dict):
        return {key: Path(value).name if key == "table" else _without_paths(value) for key, value in cohort.items() if key != "path"}
    return [_without_paths(value) for value in cohort] if isinstance(cohort, list) else cohort


def _differences(stored: Any, wanted: Any, key: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(stored, dict) and isinstance(wanted, dict):
        keys = sorted({*stored, *wanted})
        return [d for k in keys for d in _differences(stored.get(k), wanted.get(k), f"{key}.{k}".lstrip("."))]
    if isinstance(stored, list) and isinstance(wanted, list) and len(stored) == len(wanted):
        return [d for i, (a, b) in enumerate(zip(stored, wanted)) for d in _differences(a, b, f"{key}.{i}")]
    return [] if stored == wanted else [(key, stored, wanted)]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _parse_event(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None

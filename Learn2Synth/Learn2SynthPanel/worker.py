"""A `learn2synth` command in a process of its own: started, looked at without waiting, ended with all its children.

torch never enters Slicer's process. Output goes to files, not pipes: nothing can block on a full pipe, strange bytes harm nobody, and
what was said last can be read when Slicer itself was gone meanwhile.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from Learn2SynthLib.errors import InputError

from .translation import tr as _

LIBRARY = next(folder for folder in Path(__file__).resolve().parents if (folder / "Learn2SynthLib").is_dir())
_LAST_BYTES = 8192  # of a log, enough for the last lines
_SAID = "learn2synth: "  # begins the one line with which the command line refuses


@dataclass(frozen=True)
class Launcher:
    """How the library's command line is started. environment: of the new process; None: this one's."""

    python: str
    environment: Mapping[str, str] | None = None

    def start(self, arguments: Sequence[str], log: Path, output: Path | None = None) -> Worker:
        """Starts `learn2synth ARGUMENTS`. What it prints is appended to `log`, or its stdout written to `output`.

        Raises InputError when the interpreter cannot be started.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as errors, open(output or log, "ab") as printed:
            try:
                process = subprocess.Popen(
                    [self.python, "-m", "Learn2SynthLib", *map(str, arguments)],
                    stdin=subprocess.DEVNULL,
                    stdout=printed,
                    stderr=errors,
                    env=self._environment(),
                    cwd=log.parent,
                    **_own_group(),
                )
            except OSError as error:
                raise InputError(self.python, _("cannot be started ({reason})").format(reason=error), remedy=_("repair the installation of Slicer")) from error
        return Worker(process, log)

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ if self.environment is None else self.environment)
        environment.pop("ITK_AUTOLOAD_PATH", None)  # Slicer's own image readers do not fit SimpleITK's
        paths = [str(LIBRARY), *filter(None, [environment.get("PYTHONPATH")])]
        return environment | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


def slicer_launcher() -> Launcher:
    """The launcher that uses Slicer's own Python. Raises InputError when it is not found."""
    import slicer

    python = shutil.which("PythonSlicer")
    if python is None:
        raise InputError("PythonSlicer", _("is not on the path"), remedy=_("repair the installation of Slicer"))
    return Launcher(python, slicer.util.startupEnvironment())


class Worker:
    """A process that runs. It may be a launcher whose child does the work, so it is ended as a group."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log, self._log_start = log, log.stat().st_size

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """Asks the process and its children to end; on Windows they end at once."""
        self._signal("SIGTERM")

    def kill(self) -> None:
        """Ends the process and its children, whatever they do."""
        self._signal("SIGKILL")

    def _signal(self, name: str) -> None:
        if sys.platform == "win32":
            subprocess.run(["taskkill", "/T", "/F", "/PID", str(self._process.pid)], capture_output=True, check=False, **_own_group())
            return
        try:
            os.killpg(self._process.pid, getattr(signal, name))
        except ProcessLookupError:
            pass  # all of the group are gone already
        self._process.poll()

    def last_words(self) -> str:
        """What the command line refused with or, of a crash, the last line that it printed."""
        with open(self._log, "rb") as file:
            file.seek(max(self._log_start, self._log.stat().st_size - _LAST_BYTES))
            lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
        said = [line.removeprefix(_SAID) for line in lines if line.startswith(_SAID)]
        return said[-1] if said else lines[-1] if lines else _("it ended without a word (exit code {code})").format(code=self.exit_code)


def _own_group() -> dict[str, Any]:
    """Options of Popen: a group of its own to be ended as a whole; no console window."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}

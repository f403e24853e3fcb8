"""A `learn2synth` command in a process of its own: started, looked at without waiting, ended with all its children.

torch never enters Slicer's process. Output goes to files, not pipes: nothing can block on a full pipe, strange bytes harm nobody, and
what was said last can be read when Slicer itself was gone meanwhile.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from Learn2SynthLib.errors import InputError

from ..translation import tr as _

LIBRARY = next(folder for folder in Path(__file__).resolve().parents if (folder / "Learn2SynthLib").is_dir())
_LAST_BYTES = 8192  # of a log, enough for the last lines
_SAID = "learn2synth: "  # begins the one line with which the command line refuses
_CRASHED = "exit abnormally - Report the problem."  # ends what Slicer's launcher says of a child that a signal ended; its own exit code is then 1
_TOO_LONG = 206  # Windows' error for a command of more than 32767 characters
_running: list[subprocess.Popen[bytes]] = []  # looked at now and then: the system remembers a process until its exit code has been read


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
        with open(log, "ab") as errors, open(output or os.devnull, "ab") as printed:
            log_start = errors.tell()
            try:
                process = subprocess.Popen(
                    [self.python, "-m", "Learn2SynthLib", *map(str, arguments)],
                    stdin=subprocess.DEVNULL,
                    stdout=printed if output else errors,  # one handle for both: two would overwrite each other on Windows
                    stderr=errors,
                    env=self._environment(),
                    cwd=log.parent,
                    **_own_group(),
                )
            except OSError as error:
                if error.errno == errno.E2BIG or getattr(error, "winerror", None) == _TOO_LONG:
                    remedy = _("give a folder in place of its files, or fewer at a time")
                    raise InputError(_("files"), _("too many to be named in one command"), remedy=remedy) from error
                raise InputError(self.python, _("cannot be started ({reason})").format(reason=error), remedy=_("repair the installation of Slicer")) from error
        _running[:] = [other for other in (*_running, process) if other.poll() is None]
        return Worker(process, log, log_start)

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ if self.environment is None else self.environment)
        environment.pop("ITK_AUTOLOAD_PATH", None)  # Slicer's own image readers do not fit SimpleITK's
        paths = [str(LIBRARY), *filter(None, [environment.get("PYTHONPATH")])]
        return environment | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


def slicer_launcher() -> Launcher:
    """The launcher that uses Slicer's own Python, without what the user has set for another one. Raises InputError when it is not found."""
    import slicer

    python = shutil.which("PythonSlicer")
    if python is None:
        raise InputError("PythonSlicer", _("is not on the path"), remedy=_("repair the installation of Slicer"))
    environment = {name: value for name, value in slicer.util.startupEnvironment().items() if not name.upper().startswith("PYTHON")}
    return Launcher(python, environment)


class Worker:
    """A process that runs. It may be a launcher whose child does the work, so it is ended as a group."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, log_start: int) -> None:
        """log_start: what stands in the log before that is of earlier processes."""
        self._process, self._log, self._log_start = process, log, log_start

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

    def wait(self, seconds: float) -> None:
        """Until it has ended, but not longer than that."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def _signal(self, name: str) -> None:
        if sys.platform == "win32":
            if self.exit_code is None:  # Windows finds the children of living processes only
                command = ["taskkill", "/T", "/F", "/PID", str(self._process.pid)]
                subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, **_own_group())
            return
        with suppress(ProcessLookupError, PermissionError):  # all of the group are gone already; macOS says so in the second way
            os.killpg(self._process.pid, getattr(signal, name))

    def last_words(self) -> str:
        """Why it ended: what the command line refused with, else its violent end, else the last line that it printed."""
        lines, code = self._last_lines(), self.exit_code or 0
        said = [line.removeprefix(_SAID) for line in lines if line.startswith(_SAID)]
        if said:
            return said[-1]
        if 0 < -code < 32 or 128 < code < 160 or (lines and lines[-1].endswith(_CRASHED)):  # the second: as a shell tells of its child
            return _("it was ended from outside: somebody killed it, memory ran out, or it crashed")
        if any(line.startswith("Traceback") for line in lines):
            return lines[-1]
        last = _("it last said: {line}").format(line=lines[-1]) if lines else _("it said nothing")
        return _("it ended with exit code {code}; {last}").format(code=code, last=last)

    def _last_lines(self) -> list[str]:
        try:
            with open(self._log, "rb") as file:
                file.seek(max(self._log_start, file.seek(0, os.SEEK_END) - _LAST_BYTES))
                return [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
        except OSError:  # the folder was removed meanwhile
            return []


def _own_group() -> dict[str, Any]:
    """Options of Popen: a group of its own to be ended as a whole; no console window."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}

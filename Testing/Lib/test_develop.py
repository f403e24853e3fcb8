"""What `develop.py test` does where the host of the panel's tests cannot be set up; nothing is installed here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import develop


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """A Linux machine without OpenGL, with apt-get, run by root; `ran` are the commands, which end with `code`."""
    machine: dict[str, Any] = {"ran": [], "code": 0, "loaded": set(), "apt": "/usr/bin/apt-get", "user": 0}

    def run(command: list[object]) -> int:
        machine["ran"].append(" ".join(map(str, command)))
        return machine["code"]

    monkeypatch.setattr(develop, "run", run)
    monkeypatch.setattr(develop, "loads", lambda library: library in machine["loaded"])
    monkeypatch.setattr(develop, "ENVIRONMENT", tmp_path)
    monkeypatch.setattr(develop, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(develop.shutil, "which", lambda name: machine["apt"])
    monkeypatch.setattr(develop.os, "geteuid", lambda: machine["user"], raising=False)
    monkeypatch.setattr(develop.sys, "platform", "linux")
    return machine


def test_root_gets_the_libraries_and_the_wheels_once(machine: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    develop.set_up_host()
    machine["loaded"] = set(develop.OPENGL)
    develop.set_up_host()
    update, libraries, wheels = machine["ran"]
    assert update.startswith("apt-get update") and libraries.startswith("apt-get install") and libraries.endswith("libxkbcommon0")
    assert wheels.endswith(f"install --quiet -e {develop.ROOT}[host]")
    assert "skipped" not in capsys.readouterr().out


@pytest.mark.parametrize(("apt", "user"), [("/usr/bin/apt-get", 1000), (None, 0)])
def test_others_are_told_the_command_and_what_is_skipped(machine: dict[str, Any], capsys: pytest.CaptureFixture[str], apt: str | None, user: int) -> None:
    machine.update(apt=apt, user=user, loaded={"libGL.so.1"})
    develop.set_up_host()
    assert not any("apt-get" in command for command in machine["ran"])
    told = next(line for line in capsys.readouterr().out.splitlines() if "skipped" in line)
    assert "libEGL.so.1, libxkbcommon.so.0 missing" in told and "libGL" not in told and "Testing/Panel" in told
    assert f"sudo apt-get install -y --no-install-recommends {' '.join(develop.OPENGL_PACKAGES)}" in told


def test_without_wheels_the_tests_of_the_panel_are_skipped_and_tried_again_next_time(machine: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    machine.update(loaded=set(develop.OPENGL), code=1)
    develop.set_up_host()
    assert "skipped" in capsys.readouterr().out
    machine["code"] = 0
    develop.set_up_host()
    assert len(machine["ran"]) == 2 and develop.is_ready("host")


def test_elsewhere_than_on_linux_no_library_is_missed(machine: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(develop.sys, "platform", "darwin")
    assert develop.missing_libraries() == []


def test_the_environment_links_to_its_python_but_on_windows(machine: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bool] = []
    machine["code"] = 1  # there is none that could be used
    monkeypatch.setattr(develop.venv, "create", lambda folder, **options: made.append(options["symlinks"]))
    for platform in ("darwin", "linux", "win32"):
        monkeypatch.setattr(develop.sys, "platform", platform)
        assert develop.make_environment() == 0
    assert made == [True, True, False]

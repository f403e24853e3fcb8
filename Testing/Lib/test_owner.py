"""A worker ends with its owner, and carries on when it is set free."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from Learn2SynthLib import owner


def process(code: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", code])


def wait_until_interrupted(path: Path, seconds: float) -> bool:
    try:
        with owner.owned(path):
            end = time.monotonic() + seconds
            while time.monotonic() < end:  # a single long sleep would not notice before its end
                time.sleep(0.01)
    except KeyboardInterrupt:
        return True
    return False


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "SECONDS", 0.01)


def test_the_worker_is_interrupted_when_its_owner_is_gone(tmp_path: Path) -> None:
    with process("import time; time.sleep(60)") as other:
        (tmp_path / "owner").write_text(str(other.pid))
        assert not wait_until_interrupted(tmp_path / "owner", 0.2)
        other.kill()
    assert wait_until_interrupted(tmp_path / "owner", 30)


@pytest.mark.parametrize("content", [None, "", "no number"])
def test_nobody_owns_a_worker_without_a_process_number(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "owner").write_text(content)
    assert not wait_until_interrupted(tmp_path / "owner", 0.2)


def test_a_worker_that_is_set_free_outlives_its_owner(tmp_path: Path) -> None:
    with process("import time; time.sleep(60)") as other:
        (tmp_path / "owner").write_text(str(other.pid))
        with owner.owned(tmp_path / "owner"):
            time.sleep(0.1)
            (tmp_path / "owner").unlink()
            time.sleep(0.1)
            other.kill()
            other.wait()
            time.sleep(0.2)

import errno
import json
import os
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import pytest

from Learn2SynthLib.config import RunConfig
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.files import write_json, written_aside
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.model import Model
from Learn2SynthLib.run import Run

REPOSITORY = Path(__file__).resolve().parents[2]


def test_events_are_read_from_where_one_left_off(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.append("started", step=0)
    first, offset = run.events_from(0)
    run.append("step", step=1, note="größer")
    second, end = run.events_from(offset)
    assert [e["event"] for e in first] == ["started"] and [e["note"] for e in second] == ["größer"]
    assert run.events_from(end) == ([], end)


def test_half_a_line_is_waited_for_and_after_a_kill_left_out(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.append("started", step=0)
    with open(run.events_path, "ab") as file:
        file.write(b'{"event": "st')
    events, offset = run.events_from(0)
    assert len(events) == 1 and run.events_from(offset) == ([], offset)
    run.append("started", step=5)
    assert [e.get("step") for e in run.events()] == [0, 5]


def test_unknown_events_and_keys_are_no_trouble(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.append("invented", colour="blue")
    assert run.status() == "new" and run.events()[0]["colour"] == "blue"


def test_the_status_is_the_last_word_or_the_lack_of_one(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run.status() == "new"
    with run.locked():
        run.append("started", step=0)
        assert run.status() == "training"
    assert run.status() == "interrupted"
    run.append("stopped", step=1)
    assert run.status() == "stopped"


def test_a_lock_ends_with_its_process_however_it_ends(tmp_path: Path) -> None:
    code = "import sys, time\nfrom Learn2SynthLib.run import Run\nwith Run(sys.argv[1]).locked():\n    print('held', flush=True)\n    time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    run = Run(tmp_path)
    assert run.in_use() and run.holder().startswith(f"process {process.pid} on ")
    with pytest.raises(InputError, match=str(process.pid)), run.locked():
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    assert not run.in_use()
    with run.locked():
        assert json.loads(run.lock_path.read_text())["pid"] == os.getpid()


def test_a_run_may_be_resumed_on_another_device_only(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.prepare({"steps": 1, "device": "cpu"}, {"subjects": []})
    run.check({"steps": 1, "device": "cuda"}, {"subjects": []})
    with pytest.raises(InputError, match="steps 1 there, 2 here"):
        run.check({"steps": 2, "device": "cpu"}, {"subjects": []})


def test_files_that_a_configuration_names_may_be_moved(tmp_path: Path) -> None:
    run, here, there = Run(tmp_path / "run"), str(tmp_path / "a" / "mine.json"), str(tmp_path / "b" / "mine.json")
    run.prepare(RunConfig(target=here, device="cpu").to_json(), {"subjects": []})
    run.prepare(RunConfig(target=there, device="cuda").to_json(), {"subjects": []})
    assert run.config()["target"] == there and run.config()["device"] == "cpu"
    with pytest.raises(InputError, match="target .* there, .* here"):
        run.check(RunConfig(target=str(tmp_path / "b" / "other.json")).to_json(), {"subjects": []})


def test_a_setting_that_came_later_is_at_its_default_in_older_runs(tmp_path: Path) -> None:
    config, run = RunConfig().to_json(), Run(tmp_path / "run")
    older = {key: value for key, value in config.items() if key != "patience"}
    older["synthesis"] = {key: value for key, value in config["synthesis"].items() if key != "flip"}
    run.prepare(older, {"subjects": []})
    run.check(config, {"subjects": []})
    with pytest.raises(InputError, match="patience 10 there, 3 here"):
        run.check(config | {"patience": 3}, {"subjects": []})


@pytest.mark.skipif(sys.platform == "win32", reason="flock is POSIX's")
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EAGAIN, errno.EACCES])
def test_only_a_held_lock_is_in_use(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("Learn2SynthLib.locking.fcntl.flock", flock)
    run, held = Run(tmp_path), code in (errno.EAGAIN, errno.EACCES)
    run.lock_path.touch()
    assert run.in_use() == held
    if held:
        with pytest.raises(InputError, match="in use"), run.locked():
            pass
    else:
        with run.locked() as locked:
            assert not locked and json.loads(run.lock_path.read_text())["pid"] == os.getpid()


def test_a_run_that_may_only_be_read_is_followed_by_its_last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path)
    with run.locked():
        run.append("started", step=0)

    def refusing(path: object, mode: str = "r", **options: object) -> object:
        if "a" in mode or "+" in mode:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open(path, mode, **options)  # type: ignore[call-overload]

    with monkeypatch.context() as readonly:
        readonly.setattr("Learn2SynthLib.run.open", refusing, raising=False)
        assert run.in_use() and run.status() == "training"
    run.append("finished", step=1)
    monkeypatch.setattr("Learn2SynthLib.run.open", refusing, raising=False)
    assert not run.in_use() and run.status() == "finished"


def test_a_run_that_may_not_even_be_looked_at_counts_as_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path)
    run.prepare({}, {})
    run.append("started", step=0)
    run.lock_path.touch()
    with monkeypatch.context() as unreadable:
        unreadable.setattr("Learn2SynthLib.run.open", refusing, raising=False)
        assert run.exists() and not run.in_use()
        with pytest.raises(PermissionError):
            run.events()
    look = os.stat
    monkeypatch.setattr("os.stat", lambda path, **options: refusing(path) if str(path).startswith(str(tmp_path)) else look(path, **options))
    assert not run.exists() and not run.in_use()
    for read, name in ((Model.read, "best.l2s"), (load_table, "own.json")):
        with pytest.raises(InputError):
            read(str(tmp_path / name))


def refusing(path: object, *_mode: object, **_options: object) -> None:
    raise PermissionError(errno.EACCES, "Permission denied", str(path))


def test_what_a_file_manager_leaves_behind_is_nothing(tmp_path: Path) -> None:
    for name in (".DS_Store", "._.DS_Store", "desktop.ini", "Thumbs.db"):
        (tmp_path / name).touch()
    assert not Run(tmp_path).occupied()
    (tmp_path / "thesis.doc").touch()
    assert Run(tmp_path).occupied()


def test_on_windows_a_stop_that_is_held_for_a_moment_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried, unlink = [], Path.unlink

    def held(path: Path, missing_ok: bool = False) -> None:
        tried.append(path)
        if len(tried) < 3:
            raise PermissionError(errno.EACCES, "The process cannot access the file")
        unlink(path, missing_ok)

    run = Run(tmp_path)
    run.request_stop()
    monkeypatch.setattr(Path, "unlink", held)
    monkeypatch.setattr("Learn2SynthLib.files.sys.platform", "win32")
    run.clear_stop()
    assert len(tried) == 3 and not run.stop_requested()


def test_a_folder_that_refuses_new_files_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def refuse(path: object, *arguments: object, **options: object) -> int:
        opened.append(path)
        assert len(opened) < 5, "it goes on trying, as Windows' Python does 2**31 times"
        raise PermissionError(errno.EACCES, "Access is denied")

    monkeypatch.setattr(tempfile, "_os", types.SimpleNamespace(**vars(os) | {"name": "nt", "open": refuse}))
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InputError, match="Access is denied"):
        write_json(tmp_path / "x.json", {})
    assert len(opened) == 1


def test_the_first_error_is_told_where_what_is_left_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def held(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "The process cannot access the file")

    monkeypatch.setattr(Path, "unlink", held)
    with pytest.raises(InputError, match="No space left"), written_aside(tmp_path / "x.json"):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(("platform", "attempts"), [("win32", 3), ("linux", 1)])
def test_on_windows_a_file_that_is_held_for_a_moment_is_tried_again(platform: str, attempts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried, move = [], os.replace

    def held(aside: Path, path: Path) -> None:
        tried.append(path)
        if len(tried) < 3:
            raise PermissionError(errno.EACCES, "Access is denied")
        move(aside, path)

    monkeypatch.setattr("Learn2SynthLib.files.os.replace", held)
    monkeypatch.setattr("Learn2SynthLib.files.sys.platform", platform)
    if platform == "win32":
        write_json(tmp_path / "x.json", {})
    else:
        with pytest.raises(InputError, match="Access is denied"):
            write_json(tmp_path / "x.json", {})
    assert len(tried) == attempts and (tmp_path / "x.json").exists() == (platform == "win32")


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"a": object()})
    assert list(tmp_path.iterdir()) == []
    write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"a": object()})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1} and len(list(tmp_path.iterdir())) == 1


def test_who_only_looks_at_the_lock_keeps_nobody_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([False, False, True])
    monkeypatch.setattr("Learn2SynthLib.locking.lock", lambda file: next(looks))
    with Run(tmp_path).locked() as locked:
        assert locked

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.files import write_json
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


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"a": object()})
    assert list(tmp_path.iterdir()) == []
    write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"a": object()})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1} and len(list(tmp_path.iterdir())) == 1

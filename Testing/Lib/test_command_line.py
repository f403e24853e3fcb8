"""The command line: what works end to end, and every kind of bad input: one line, exit code 2, nothing half-written."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from Learn2SynthLib.__main__ import main
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.model import Model
from Learn2SynthLib.resources import resource
from Learn2SynthLib.run import Run

REPOSITORY = Path(__file__).resolve().parents[2]
IDS = (2, 41, 3, 42, 4, 43, 10, 49)
TINY = ["network.features=[3,4]", "grid.shape=[16,16]", "batch_size=2", "learn2synth.network_features=[2,3]", "learn2synth.start=0", "learn2synth.duration=1"]
Head = Callable[..., tuple[Path, Path]]


@pytest.fixture
def save_head(tmp_path: Path) -> Head:
    """Writes a made-up head, image and labels, into a folder with a blank and letters beyond ASCII; returns both paths."""

    def save(name: str = "sub-1", folder: str = "meine Köpfe", seed: int = 0) -> tuple[Path, Path]:
        rng = np.random.default_rng(seed)
        blocks = rng.choice(IDS, (7, 7, 7)).repeat(4, 0).repeat(4, 1).repeat(4, 2)
        radius = np.linalg.norm((np.indices((28,) * 3) - 13.5) / 12, axis=0)
        labels = np.where(radius < 1, blocks, 0).astype(np.int16)
        image = (np.where(labels > 0, 20 + 7 * (labels % 40), 0) + rng.normal(0, 2, labels.shape)).astype(np.float32)
        (tmp_path / folder).mkdir(exist_ok=True)
        paths = tmp_path / folder / f"{name}_T1w.nii.gz", tmp_path / folder / f"{name}_dseg.nii.gz"
        for path, voxels in zip(paths, (image, labels), strict=True):
            nibabel.save(nibabel.Nifti1Image(voxels, np.diag([2, 2, 2, 1.0])), path)
        return paths

    return save


def train_arguments(run: Path, head: tuple[Path, Path], *more: str) -> list[str]:
    image, labels = map(str, head)
    return ["train", str(run), "--labels", labels, "--real", image, labels, "--device", "cpu", "--steps", "2", "--set", *TINY, *more]


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Runs what must be refused: exit 2, one line on stderr after the report, the folder as it was. Returns that line."""
    before = listing(folder)
    assert main(arguments) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("learn2synth: ") and "Traceback" not in last
    assert listing(folder) == before
    return last


# --- what works


def test_train_segment_evaluate_inspect_and_preview_on_one_head(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, labels = head = save_head()
    run, output = tmp_path / "ein Lauf", tmp_path / "aus ß.nii.gz"
    assert main([*train_arguments(run, head), "--target", "brain-coarse", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events][:5] == ["checking", "checking", "checked", "loading", "started"] and events[-1]["event"] == "finished"
    assert "optimistic" in events[-1]["note"]

    assert main(["segment", str(run), str(image), "--output", str(output), "--volumes", str(tmp_path / "v.csv"), "--probabilities", "--json"]) == 0
    *progress, segmented = map(json.loads, capsys.readouterr().out.splitlines())
    assert segmented["event"] == "segmented" and progress[0]["done"] == 0 and progress[-1]["done"] == progress[-1]["count"]
    assert segmented["quality"].keys() == segmented["volumes_mm3"].keys() and all(0 <= value <= 1 for value in segmented["quality"].values())
    result, reference = nibabel.load(output), nibabel.load(image)
    assert result.shape == reference.shape and np.allclose(result.affine, reference.affine)
    probabilities = nibabel.load(tmp_path / "aus ß_probabilities.nii.gz").get_fdata()
    assert probabilities.shape == (28, 28, 28, 8) and np.allclose(probabilities.sum(-1), 1, atol=1e-4)
    heading, figures = (line.split(",") for line in (tmp_path / "v.csv").read_text(encoding="utf-8").splitlines())
    assert float(figures[heading.index("cerebral cortex quality")]) == round(segmented["quality"]["cerebral cortex"], 3)

    assert main(["segment", str(run), str(image), "--output", str(output)]) == 0
    told = capsys.readouterr().err
    assert f"{image.name}: Doubtful" in told and "brain stem (0.00)" in told and "This segmentation probably failed: look at it." in told
    assert "which side is left" not in told

    nibabel.save(nibabel.Nifti1Image(reference.get_fdata(), None), tmp_path / "guessed.nii.gz")
    assert main(["segment", str(run), str(tmp_path / "guessed.nii.gz"), "--output", str(tmp_path / "g.nii.gz")]) == 0
    assert "guessed.nii.gz: Its header does not say which side is left (no orientation)" in capsys.readouterr().err

    assert main(["evaluate", "--prediction", str(output), "--prediction-ids", "brain-coarse", "--reference", str(labels), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert set(record) == {"dice", "hd95_mm", "volume_difference_mm3", "cases"} and 0 <= record["dice"]["mean"] <= 1

    assert main(["inspect", str(run)]) == 0
    story = capsys.readouterr().out
    assert "finished, step 2 of 2" in story and "brain-coarse" in story and "mean intensity" in story

    assert main(["preview", "--labels", str(labels), "--run", str(run), "--output", str(tmp_path / "p"), "--count", "2"]) == 0
    again = ["preview", "--labels", str(labels), "--run", str(run), "--output", str(tmp_path / "q"), "--draw", str(tmp_path / "p" / "002_draw.json")]
    assert main(again) == 0
    assert (tmp_path / "q" / "001_image.nii.gz").read_bytes()[10:] == (tmp_path / "p" / "002_image.nii.gz").read_bytes()[10:]
    assert (tmp_path / "p" / "contact_sheet.png").stat().st_size > 1000


def test_the_events_of_a_training_are_those_that_are_documented(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("\n| event |")[2]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE)
    documented = {event: set(re.findall(r"`(\w+)`", keys)) for event, keys in rows}
    settings = ["steps=4", "validate_every=1", "preview_every=2", "checkpoint_every=2", "patience=1", "optimiser.lr=0", "--json"]
    assert main(train_arguments(tmp_path / "run", save_head(), *settings)) == 0
    told: dict[str, set[str]] = {}
    for event in map(json.loads, capsys.readouterr().out.splitlines()):
        told.setdefault(event.pop("event"), set()).update(key for key in event if key != "time" and not key.endswith("_loss"))
    assert {"checking", "checked", "loading", "started", "step", "validated", "preview", "checkpoint", "finished"} == told.keys()
    for name, keys in told.items():
        assert keys <= documented[name], name
    assert documented.keys() - told.keys() == {"completing", "unlocked", "stopped", "failed"}


def test_a_model_of_tables_that_are_gone_is_previewed_and_its_settings_used_again(save_head: Head, tmp_path: Path) -> None:
    head, run, mine, contrast = save_head(), tmp_path / "run", tmp_path / "mine.json", tmp_path / "contrast.json"
    mine.write_text(json.dumps(load_table("brain-coarse").to_json()))
    contrast.write_text('{"mean": {"thalamus": [0.5, 0.6]}}')
    searching = ["--strategy", "policy_search", "policy_search.images=synthetic", "policy_search.start=0", f"synthesis.contrast={contrast}"]
    assert main([*train_arguments(run, head), *searching[2:], *searching[:2], "--target", str(mine)]) == 0
    for path in (mine, contrast):
        path.unlink()
    assert main(["preview", "--labels", str(head[1]), "--model", str(run), "--output", str(tmp_path / "p"), "--count", "1"]) == 0
    again = ["preview", "--labels", str(head[1]), "--preset", str(run / "best.l2s"), "--set", "target=brain-coarse", "--output", str(tmp_path / "q")]
    assert main([*again, "--count", "1"]) == 0


def test_a_training_begins_with_the_weights_of_another(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, head = tmp_path / "first, of two", tmp_path / "second", save_head()
    assert main(train_arguments(first, head)) == 0
    capsys.readouterr()
    assert main([*train_arguments(second, head), "--strategy", "supervised", "--pretrained", str(first)]) == 0
    assert "weights: 20 of 20 tensors from first, of two; kept as initialised: none; not used of the file: none" in capsys.readouterr().err
    assert json.loads((second / "config.json").read_text())["network"]["pretrained"] == str(first)
    assert main(["inspect", str(second)]) == 0
    assert "begun     20 of 20 tensors from first, of two" in capsys.readouterr().out
    wider = [*train_arguments(tmp_path / "third", head), "network.features=[5,6]", "--pretrained", str(first)]
    assert "no kernel fits the network's encoder" in refused(wider, tmp_path, capsys)


def test_the_same_command_resumes_and_a_finished_run_stays_as_it_is(save_head: Head, tmp_path: Path) -> None:
    run, head = tmp_path / "run", save_head()
    assert main(train_arguments(run, head)) == 0
    weights = Model.read(run / "best.l2s").weights
    assert main(train_arguments(run, head)) == 0
    assert Model.read(run / "best.l2s").weights == weights


def test_a_run_is_resumed_without_naming_its_data(save_head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, head = Run(tmp_path / "run"), save_head()
    with monkeypatch.context() as patch:
        patch.setattr(Run, "stop_requested", lambda self: True)
        assert main(train_arguments(run.folder, head)) == 130
    assert main(["train", str(run.folder)]) == 0
    assert run.status() == "finished"


def test_a_run_whose_data_changed_is_not_resumed(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run, head = Run(tmp_path / "run"), save_head()
    with monkeypatch.context() as patch:
        patch.setattr(Run, "stop_requested", lambda self: True)
        assert main(train_arguments(run.folder, head)) == 130
    head[0].unlink()
    assert head[0].name in refused(["train", str(run.folder)], tmp_path, capsys)


def test_a_run_whose_data_were_moved_is_resumed_with_their_new_place(
    save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, (image, labels) = Run(tmp_path / "run"), save_head()
    with monkeypatch.context() as patch:
        patch.setattr(Run, "stop_requested", lambda self: True)
        assert main(train_arguments(run.folder, (image, labels))) == 130
    moved = image.parent.rename(tmp_path / "elsewhere")
    head = moved / image.name, moved / labels.name
    assert "give the folders that they are in now" in refused(["train", str(run.folder)], tmp_path, capsys)
    image.parent.mkdir()
    image.write_bytes(b"of somebody else")
    assert main(train_arguments(run.folder, head)) == 0 and main(["train", str(run.folder)]) == 0
    other = moved / "other_dseg.nii.gz"
    other.write_bytes(head[1].read_bytes() + b"\0")
    assert "another data" in refused(train_arguments(run.folder, (head[0], other)), tmp_path, capsys)


def test_a_run_is_resumed_from_another_folder(save_head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, labels = save_head()
    for name, table in (("mine", "brain-coarse"), ("numbers", "freesurfer")):
        (tmp_path / f"{name}.json").write_text(json.dumps(load_table(table).to_json()))
    (tmp_path / "contrast.json").write_text('{"mean": {"thalamus": [0.5, 0.6]}}')
    scan = [str(path.relative_to(tmp_path)) for path in (image, labels)]
    tables = ["--labels-ids", "numbers.json", "--real-ids", "numbers.json", "--target", "mine.json"]
    arguments = ["train", "run", "--labels", scan[1], "--real", *scan, *tables, "--device", "cpu", "--steps", "2", "--set", *TINY]
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "stop_requested", lambda self: True)
        assert main([*arguments, "synthesis.contrast=contrast.json"]) == 130
    monkeypatch.chdir(image.parent)
    assert main(["train", "../run"]) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text elsewhere")
def test_names_that_are_no_text_are_names_all_the_same(save_head: Head, tmp_path: Path) -> None:
    run, (image, labels) = Run(tmp_path / "run"), save_head()
    odd = tuple(path.rename(path.with_name("caf\udce9_" + path.name)) for path in (image, labels))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "stop_requested", lambda self: True)
        assert main(train_arguments(run.folder, odd)) == 130
    assert main(["train", str(run.folder)]) == 0
    volumes = tmp_path / "volumes.csv"
    assert main(["segment", str(run.folder), str(odd[0]), "--output", str(tmp_path / "out.nii.gz"), "--volumes", str(volumes), "--device", "cpu"]) == 0
    assert "caf\\udce9_" in volumes.read_text(encoding="utf-8")


def test_a_run_whose_tables_changed_is_not_resumed(
    save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, table = tmp_path / "run", tmp_path / "mine.json"
    record = load_table("brain-coarse").to_json()
    table.write_text(json.dumps(record))
    arguments = [*train_arguments(run, save_head()), "--target", str(table)]
    with monkeypatch.context() as patch:
        patch.setattr(Run, "stop_requested", lambda self: True)
        assert main(arguments) == 130
    capsys.readouterr()
    table.write_text(json.dumps(record | {"labels": record["labels"][:-1]}))
    for command in (["train", str(run)], arguments):
        assert f"1 changed ({table})" in refused(command, tmp_path, capsys)
    table.write_text(json.dumps(record))
    cohort = json.loads((run / "cohort.json").read_text(encoding="utf-8"))
    (run / "cohort.json").write_text(json.dumps({key: value for key, value in cohort.items() if key != "files"}))  # as runs told it before
    assert main(arguments) == 0


def test_a_training_that_diverges_ends_with_advice_and_no_traceback(
    save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverged(losses: dict, step: int) -> None:
        raise FloatingPointError("real_loss not finite at step 1")

    monkeypatch.setattr("Learn2SynthLib.learning.trainer._check_finite", diverged)
    assert main(train_arguments(tmp_path / "run", save_head())) == 1
    assert "failed: FloatingPointError: real_loss not finite at step 1; start a new run" in capsys.readouterr().err


def test_a_check_reports_everybody_and_writes_nothing(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = save_head()
    assert main([*train_arguments(tmp_path / "run", head), "--check", "--json"]) == 0
    *progress, checked = map(json.loads, capsys.readouterr().out.splitlines())
    assert [event["done"] for event in progress] == [1, 2]
    assert [subject["role"] for subject in checked["subjects"]] == ["label_map", "real"]
    assert checked["subjects"][0]["label_voxels"]["2"] > 0 and checked["subjects"][0]["ok"]
    assert not (tmp_path / "run").exists()


def test_a_finished_run_can_be_checked(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(train_arguments(tmp_path / "run", save_head())) == 0
    capsys.readouterr()
    assert main(["train", str(tmp_path / "run"), "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["event"] == "checked"


def test_the_computer_tells_its_devices(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["environment", "--json"]) == 0
    computer = json.loads(capsys.readouterr().out)
    assert "cpu" in computer["devices"] and "torch" in computer["summary"] and "numpy" in computer["environment"]


def test_a_stop_file_ends_with_130_and_a_model(save_head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    monkeypatch.setattr(Run, "clear_stop", lambda self: None)
    run.mkdir()
    (run / "stop").touch()
    assert main(train_arguments(run, save_head())) == 130
    assert (run / "best.l2s").is_file() and Run(run).status() == "stopped"


def test_help_comes_within_a_second_and_teaches() -> None:
    started = [
        subprocess.run([sys.executable, "-X", "importtime", "-m", "Learn2SynthLib", "--help"], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    ]
    imported = started[0].stderr
    assert " torch" not in imported and " numpy" not in imported
    assert "learn2synth train RUN" in started[0].stdout


def test_threads_that_wait_leave_the_cores_to_others() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    program = "import os, sys\nfrom Learn2SynthLib.__main__ import main\nprint('torch' in sys.modules, main(['environment']), os.environ.get('GOMP_SPINCOUNT'))"
    for own, expected in (({}, "False 0 1000"), ({"GOMP_SPINCOUNT": "7"}, "False 0 7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "False 0 None")):
        done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, env=environment | own, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == expected


def test_a_reader_that_goes_away_is_no_trouble() -> None:
    words = [sys.executable, "-m", "Learn2SynthLib", "inspect", "brain"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY) as program:
        program.stdout.close()
        assert program.stderr.read() == ""
    assert program.returncode == 1


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_names_that_the_console_cannot_show_are_no_trouble(more: list[str], save_head: Head, tmp_path: Path) -> None:
    image, _ = save_head("głowa, größer")
    words = [sys.executable, "-m", "Learn2SynthLib", "segment", "brain-tiny", str(image), "--output", str(tmp_path / "ł.nii.gz"), *more]
    told = subprocess.run(words, capture_output=True, cwd=REPOSITORY, env={**os.environ, "PYTHONIOENCODING": "cp1252"}, check=True).stdout
    if more:
        assert {json.loads(line)["image"] for line in told.decode("utf-8").splitlines()} == {str(image)}
    else:
        assert r"g\u0142owa, größer" in told.decode("cp1252")


def test_the_help_of_train_explains_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--help"])
    text = capsys.readouterr().out
    assert "learn2synth.hypergradient" in text and "standard deviation of the noise" in text


def test_the_main_job_on_real_scans(data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maps = [str(data_folder / "synthseg_label_maps" / f"training_seg_0{k}.nii.gz") for k in (1, 2)]
    scan = data_folder / "malf_t1_manual" / "val" / "sub-1008_T1w.nii.gz"
    labels = scan.with_name("sub-1008_dseg.nii.gz")
    pair = str(data_folder / "malf_t1_manual" / "train" / "sub-1000_T1w.nii.gz"), str(data_folder / "malf_t1_manual" / "train" / "sub-1000_dseg.nii.gz")
    settings = ["network.features=[4,8]", "learn2synth.start=0"]
    real = ["--real", *pair, "--validation", str(scan), str(labels), "--real-ids", "neuromorphometrics"]
    arguments = ["--labels", *maps, *real, "--steps", "3", "--set", *settings]
    assert main(["train", str(tmp_path / "run"), *arguments, "--strategy", "learn2synth", "--preset", "quick-2d", "--device", "cpu"]) == 0
    told = capsys.readouterr().err
    assert "too few to say" in told and "finished" in told
    assert main(["segment", str(tmp_path / "run"), str(scan), "--output", str(tmp_path / "seg.nii.gz")]) == 0
    capsys.readouterr()
    assert main(["evaluate", "--prediction", str(tmp_path / "seg.nii.gz"), "--reference", str(labels), "--reference-ids", "neuromorphometrics", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert 0 <= record["dice"]["mean"] < 0.5 and len(record["cases"]) == 1


# --- bad input


def test_a_missing_file(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, labels = save_head()
    line = refused(train_arguments(tmp_path / "run", (image, labels.with_name("sub-1_dsegg.nii.gz"))), tmp_path, capsys)
    assert "no such file" in line and "did you mean 'sub-1_dseg.nii.gz'" in line


@pytest.mark.parametrize(
    ("damage", "words"),
    [(lambda content: content[: len(content) // 2], "truncated|cannot be read|ends"), (lambda content: b"these are not the voxels", "not|cannot be read")],
)
@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_file(damage: Callable, words: str, which: int, save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = save_head()
    head[which].write_bytes(damage(head[which].read_bytes()))
    line = refused(train_arguments(tmp_path / "run", head), tmp_path, capsys)
    assert head[which].name in line and any(word in line for word in words.split("|"))


def change(path: Path, alter: Callable[[np.ndarray], np.ndarray], affine: np.ndarray | None = None) -> None:
    volume = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(alter(np.asarray(volume.dataobj)), volume.affine if affine is None else affine), path)


def endless(voxels: np.ndarray) -> np.ndarray:
    voxels = voxels.copy()
    voxels[3, 3, 3] = np.inf
    return voxels


@pytest.mark.parametrize(
    ("which", "alter", "words"),
    [
        (1, lambda v: v[:-2], "different grids"),
        (1, lambda v: np.where(v == 4, 9999, np.where(v == 10, 8888, v)), "8888, 9999"),
        (1, lambda v: np.full_like(v, 2), "every voxel has label 2"),
        (0, endless, "infinite"),
        (0, lambda v: np.full_like(v, np.nan), "NaN"),
        (0, lambda v: np.full_like(v, 5), "every voxel is 5"),
        (0, lambda v: np.stack([v, v], -1), "series"),
        (0, lambda v: np.zeros(v.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")]), "colour"),
    ],
)
def test_volumes_that_cannot_be_used(which: int, alter: Callable, words: str, save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = save_head()
    change(head[which], alter)
    assert words in refused(train_arguments(tmp_path / "run", head), tmp_path, capsys)


def test_a_singular_affine(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, labels = save_head()
    volume = nibabel.load(image)
    header = volume.header.copy()
    header.set_sform(np.diag([0, 2, 2, 1.0]), 1)
    header.set_qform(None, 0)
    nibabel.save(nibabel.Nifti1Image(np.asarray(volume.dataobj), None, header), image)
    assert "affine" in refused(train_arguments(tmp_path / "run", (image, labels)), tmp_path, capsys)


def test_no_real_scan(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, labels = save_head()
    assert "add --real" in refused(["train", str(tmp_path / "run"), "--labels", str(labels)], tmp_path, capsys)


def test_a_run_of_another_configuration(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, head = tmp_path / "run", save_head()
    assert main(train_arguments(run, head)) == 0
    line = refused([*train_arguments(run, head), "optimiser.lr=0.5"], tmp_path, capsys)
    assert "another configuration" in line and "optimiser.lr" in line


@pytest.mark.parametrize(("content", "words"), [("{}", "not a stored cohort"), ("[]", "is not an object"), ("{", "cannot be read")])
def test_a_record_of_the_data_that_was_tampered_with(content: str, words: str, save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, head = tmp_path / "run", save_head()
    assert main(train_arguments(run, head)) == 0
    (run / "cohort.json").write_text(content)
    assert words in refused(["train", str(run)], tmp_path, capsys)


def test_a_folder_that_holds_something_else(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = save_head()
    assert "is not empty" in refused(train_arguments(head[0].parent, head), tmp_path, capsys)


def test_a_run_in_use(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Run(tmp_path / "run").locked():
        assert f"in use by process {os.getpid()}" in refused(train_arguments(tmp_path / "run", save_head()), tmp_path, capsys)


def test_a_full_disk(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    head = save_head()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("Learn2SynthLib.files.os.replace", full)
    assert main(train_arguments(tmp_path / "run", head)) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert not list((tmp_path / "run").glob(".*")) and not (tmp_path / "run" / "config.json").exists()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="permissions do not bind here")
def test_a_read_only_folder(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head, locked = save_head(), tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert "cannot be written" in refused(train_arguments(locked / "run", head), tmp_path, capsys)


@pytest.mark.parametrize(
    ("setting", "suggestion"), [("synthesis.nois=[0,1]", "synthesis.noise"), ("optimizer.lr=1", "optimiser.lr"), ("optimiser.name=adm", "adam")]
)
def test_an_unknown_key_or_word(setting: str, suggestion: str, save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"did you mean '{suggestion}'" in refused([*train_arguments(tmp_path / "run", save_head()), setting], tmp_path, capsys)


@pytest.mark.parametrize(
    ("content", "words"),
    [('{"stepps": 3}', "did you mean 'steps'"), ("{", "cannot be read as JSON"), ("[1]", "not an object"), ('{"steps": "many"}', "a whole number")],
)
def test_a_bad_preset_file(content: str, words: str, save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    preset = tmp_path / "preset.json"
    preset.write_text(content)
    assert words in refused([*train_arguments(tmp_path / "run", save_head()), "--preset", str(preset)], tmp_path, capsys)


@pytest.mark.parametrize(("content", "words"), [(b"not a zip", "is not a model bundle"), (b"", "is not a model bundle")])
def test_a_file_that_is_no_model(content: bytes, words: str, save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "model.l2s"
    model.write_bytes(content)
    assert words in refused(["segment", str(model), str(save_head()[0]), "--output", str(tmp_path / "o.nii.gz")], tmp_path, capsys)


def test_a_corrupt_and_a_newer_model(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head, run = save_head(), tmp_path / "run"
    assert main(train_arguments(run, head)) == 0
    model = Model.read(run / "best.l2s")
    newer, broken = tmp_path / "newer.l2s", tmp_path / "broken.l2s"
    Model(model.card | {"schema": 99}, model.weights).write(newer)
    content = (run / "best.l2s").read_bytes()
    broken.write_bytes(content[: len(content) // 3])
    to_nowhere = [str(head[0]), "--output", str(tmp_path / "o.nii.gz")]
    assert "schema 99" in refused(["segment", str(newer), *to_nowhere], tmp_path, capsys)
    assert "broken.l2s" in refused(["segment", str(broken), *to_nowhere], tmp_path, capsys)
    assert "no such model" in refused(["segment", "brian", *to_nowhere], tmp_path, capsys)


def test_cuda_without_cuda(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    line = refused([*train_arguments(tmp_path / "run", save_head()), "--device", "cuda"], tmp_path, capsys)
    assert "--device" in line and "cpu" in line


def test_one_bad_image_among_several_is_told_before_any_is_segmented(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head, run = save_head(), tmp_path / "run"
    assert main(train_arguments(run, head)) == 0
    bad = tmp_path / "bad.nii.gz"
    bad.write_bytes(b"x")
    assert "bad.nii.gz" in refused(["segment", str(run), str(head[0]), str(bad), "--output", str(tmp_path / "out")], tmp_path, capsys)


@pytest.mark.parametrize("settings", [["ndim=3", "grid.shape=[16,16,16]"], ["grid.spacing_mm=[4,4,4]"], ["synthesis.bias_spacing_mm=[80]"]])
def test_a_draw_of_other_settings(settings: list[str], save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["preview", "--labels", str(save_head()[1]), "--seed", "1", "--output"]
    assert main([*words, str(tmp_path / "p"), "--count", "1"]) == 0
    again = [*words, str(tmp_path / "q"), "--draw", str(tmp_path / "p" / "001_draw.json"), "--set", *settings]
    assert "was drawn with other settings" in refused(again, tmp_path, capsys)


def test_a_draw_with_words_for_numbers(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["preview", "--labels", str(save_head()[1]), "--output"]
    assert main([*words, str(tmp_path / "p"), "--count", "1"]) == 0
    path = tmp_path / "p" / "001_draw.json"
    record = json.loads(path.read_text())
    for edited in (record | {"level": -500}, record | {"centre": ["a", "b"]}, record | {"draw": record["draw"] | {"seed": "x"}}):
        path.write_text(json.dumps(edited))
        assert "was drawn with other settings" in refused([*words, str(tmp_path / "q"), "--draw", str(path)], tmp_path, capsys)


def test_a_model_that_does_not_say_how_it_was_trained(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = Model.read(resource("Models", "brain-tiny.l2s"))
    Model({key: value for key, value in shipped.card.items() if key != "provenance"}, shipped.weights).write(tmp_path / "mute.l2s")
    words = ["preview", "--labels", str(save_head()[1]), "--model", str(tmp_path / "mute.l2s"), "--output", str(tmp_path / "p")]
    assert "does not say how it was trained" in refused(words, tmp_path, capsys)


def test_no_preview_is_no_picture(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, labels = save_head()
    line = refused(["preview", "--labels", str(labels), "--output", str(tmp_path / "p"), "--count", "0"], tmp_path, capsys)
    assert "--count: 0; allowed: at least 1" in line


def test_two_folders_are_no_pair(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = save_head()
    words = ["train", str(tmp_path / "run"), "--strategy", "supervised", "--check", "--real", str(head[0].parent), str(head[0].parent)]
    assert "a folder where one scan is meant" in refused(words, tmp_path, capsys)


def test_options_that_are_repeated_add_up(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heads = [save_head(f"sub-{number}", seed=number) for number in (1, 2)]
    options = [word for _, labels in heads for word in ("--labels", str(labels))]
    assert main(["train", str(tmp_path / "run"), *options, "--strategy", "randomised", "--check"]) == 0
    told = capsys.readouterr()
    assert all(f"sub-{number}_dseg" in told.out + told.err for number in (1, 2))


def test_a_run_that_is_not_there_is_not_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds no run that could be resumed" in refused(["train", str(tmp_path / "typo")], tmp_path, capsys)


def test_a_preview_writes_over_no_input(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = save_head()[1].rename(tmp_path / "001_labels.nii.gz")
    assert "is an input and would be overwritten" in refused(["preview", "--labels", str(labels), "--output", str(tmp_path), "--count", "1"], tmp_path, capsys)


def test_a_folder_that_only_looks_like_a_run_is_not_inspected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert "unknown key 'model_type'" in refused(["inspect", str(tmp_path)], tmp_path, capsys)


def test_a_place_that_cannot_be_written_is_told_before_the_data_are_read(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").write_text("a file")
    words = train_arguments(tmp_path / "run", save_head())
    assert "cannot be written" in refused(words, tmp_path, capsys)
    assert main(words) == 2 and "label_map" not in capsys.readouterr().out


def test_a_word_that_no_option_allows_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", str(tmp_path / "run"), "--steps", "many"])
    told = capsys.readouterr().err
    assert ended.value.code == 2 and told == "learn2synth: argument --steps: invalid int value: 'many'; see learn2synth train --help\n"


def test_a_scan_in_wrong_units(save_head: Head, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = nibabel.load(save_head()[0])
    path = tmp_path / "metres.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), np.diag([2e-3, 2e-3, 2e-3, 1])), path)
    assert "are its voxel sizes really millimetres" in refused(["segment", "brain-tiny", str(path), "--output", str(tmp_path / "s.nii.gz")], tmp_path, capsys)

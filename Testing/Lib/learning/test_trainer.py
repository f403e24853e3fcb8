"""Every strategy through the loop; stopping, killing and resuming lose nothing."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from math import nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from Learn2SynthLib.config import STRATEGIES, RunConfig
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.files import write_json
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.learning.learn2synth import Learn2Synth
from Learn2SynthLib.learning.randomised import Randomised
from Learn2SynthLib.learning.session import train_run
from Learn2SynthLib.learning.trainer import Trainer, _check_finite, check_needs, split_real, synthesis_pool
from Learn2SynthLib.model import Model
from Learn2SynthLib.run import Run
from Learn2SynthLib.segmentation.segmenter import Segmenter
from Learn2SynthLib.volume.cohort import Cohort, Subject
from Learn2SynthLib.volume.files import read_image, read_label_map, write_label_map

Tiny = Callable[..., RunConfig]
REPOSITORY = Path(__file__).resolve().parents[3]


def trained(config: RunConfig, cohort: Cohort, folder: Path) -> tuple[Run, list[dict]]:
    run, events = Run(folder), []
    train_run(config, cohort, run, events.append)
    return run, events


def final_state(run: Run) -> dict:
    return torch.load(run.checkpoint_path, weights_only=True)


def assert_equal(one: object, two: object, where: str = "") -> None:
    if isinstance(one, dict):
        assert isinstance(two, dict) and one.keys() == two.keys(), where
        for key in one:
            assert_equal(one[key], two[key], f"{where}.{key}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, two), where
    else:
        assert one == two, where


SEARCHED_ALONG = ["learn2synth.search=flip,scaling,thick_slices", "policy_search.every=1", "policy_search.start=0"]
VARIANTS = [(strategy, []) for strategy in STRATEGIES] + [
    ("learn2synth", ["learn2synth.enhancement=network"]),
    ("learn2synth", ["learn2synth.enhancement=both", "learn2synth.hypergradient=exact"]),
    ("policy_search", ["policy_search.images=synthetic", "policy_search.every=1", "policy_search.start=0"]),
    ("learn2synth", [*SEARCHED_ALONG, "learn2synth.start=0.5"]),
]


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(("strategy", "settings"), VARIANTS)
def test_every_strategy_runs_and_leaves_a_model_that_segments(
    strategy: str, settings: list[str], ndim: int, tiny: Tiny, cohort: Cohort, tmp_path: Path
) -> None:
    config = tiny(ndim, *settings, strategy=strategy, validate_every=1, preview_every=1, checkpoint_every=1)
    run, events = trained(config, cohort, tmp_path / "run")
    assert [event["event"] for event in events] == [event["event"] for event in run.events()]
    assert events[-1]["event"] == "finished" and run.status() == "finished"
    preview = next(event for event in events if event["event"] == "preview")
    needed = {"real", "prediction"} | ({"labels", "prior", "learned"} if strategy != "supervised" else set())
    assert needed <= preview["paths"].keys()
    assert all((run.previews / name).is_file() for name in preview["paths"].values())
    subject = cohort.of("validation")[0]
    segmentation = Segmenter.load(run.folder).segment(read_image(subject.image))
    assert segmentation.labels.data.shape == (28, 28, 28)
    card = Model.read(run.model_path).card
    assert set(card["learned"]) == set(next(e for e in events if e["event"] == "step")["learned"])
    taught_any_contrast = strategy == "randomised" or "policy_search.images=synthetic" in settings
    assert card["usual_mm3"] and bool(card["usual_intensity"]) == (not taught_any_contrast)


@pytest.mark.parametrize(
    ("strategy", "settings"),
    [
        ("randomised", []),
        ("learn2synth", ["learn2synth.enhancement=both", "learn2synth.every=2"]),
        ("cooperative", ["cooperative.start=0.2", "cooperative.share=0.5"]),
        ("policy_search", ["policy_search.images=synthetic", "policy_search.start=0"]),
        ("learn2synth", [*SEARCHED_ALONG, "learn2synth.every=2"]),
    ],
)
def test_a_resumed_run_is_the_uninterrupted_run_bit_for_bit(strategy: str, settings: list[str], tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    config = tiny(2, *settings, strategy=strategy, steps=7, validate_every=3, preview_every=5, checkpoint_every=2)
    whole, _ = trained(config, cohort, tmp_path / "whole")
    broken = Run(tmp_path / "broken")

    def stop_after_three(event: dict) -> None:
        if event["event"] == "step" and event["step"] == 3:
            broken.request_stop()

    last = train_run(config, cohort, broken, stop_after_three)
    assert last["event"] == "stopped" and last["step"] == 3 and broken.model_path.is_file() and not broken.stop_requested()
    train_run(config, cohort, broken, lambda event: None)
    assert_equal(final_state(whole), final_state(broken))
    assert whole.model_path.read_bytes() == broken.model_path.read_bytes()
    last_steps = [[e for e in run.events() if e["event"] == "step"][-1] for run in (whole, broken)]
    told = [{key: value for key, value in step.items() if key.endswith("loss") or key == "learned"} for step in last_steps]
    assert told[0] == told[1] and len(told[0]) > 1


def test_a_run_killed_without_warning_resumes_to_the_same_end(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    config = tiny(2, strategy="learn2synth", steps=20, validate_every=10, preview_every=1000, checkpoint_every=4)
    write_json(tmp_path / "config.json", config.to_json())
    write_json(tmp_path / "cohort.json", cohort.to_json())
    code = "\n".join(
        [
            "import json, sys, pathlib",
            "from Learn2SynthLib.config import RunConfig",
            "from Learn2SynthLib.learning.session import train_run",
            "from Learn2SynthLib.run import Run",
            "from Learn2SynthLib.volume.cohort import Cohort",
            "folder = pathlib.Path(sys.argv[1])",
            "config = RunConfig.from_json(json.loads((folder / 'config.json').read_text()), 'test')",
            "cohort = Cohort.from_json(json.loads((folder / 'cohort.json').read_text()), folder)",
            "train_run(config, cohort, Run(folder / 'killed'), lambda event: print(event['event'], event.get('step'), flush=True))",
        ]
    )
    # sums are rounded by the number of threads: bit for bit means on as many of them
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.split() == ["step", "13"]:
            process.kill()
            break
    process.wait()
    process.stdout.close()
    killed = Run(tmp_path / "killed")
    assert killed.status() == "interrupted" and final_state(killed)["step"] == 12
    train_run(config, cohort, killed, lambda event: None)
    whole, _ = trained(config, cohort, tmp_path / "whole")
    assert_equal(final_state(whole), final_state(killed))


def test_a_precision_that_the_device_lacks_is_refused_before_anything_is_read(
    tiny: Tiny, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("Learn2SynthLib.learning.trainer.choose_device", lambda name: torch.device("mps"))
    with pytest.raises(InputError, match="'bfloat16' with device mps"):
        Trainer(tiny(2, "optimiser.precision=bfloat16"), cohort, Run(tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind are POSIX's")
def test_ctrl_c_stops_after_the_step_with_a_checkpoint(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    def interrupt(event: dict) -> None:
        if event["event"] == "step" and event["step"] == 2:
            signal.raise_signal(signal.SIGINT)

    run = Run(tmp_path / "run")
    last = train_run(tiny(2, steps=50, checkpoint_every=100), cohort, run, interrupt)
    assert last["event"] == "stopped" and final_state(run)["step"] == 2 and run.model_path.is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind are POSIX's")
@pytest.mark.parametrize(("signals", "graceful"), [((signal.SIGINT,), True), ((signal.SIGINT,) * 2, False), ((signal.SIGTERM,), False)])
def test_whose_stop_was_asked_for_is_ended_at_once_by_a_kill_or_a_second_ctrl_c(
    tiny: Tiny, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signals: tuple[signal.Signals, ...], graceful: bool
) -> None:
    run, plain = Run(tmp_path / "run"), torch.optim.Adam.step

    def closing(self: torch.optim.Adam, *arguments: object) -> None:
        """In the middle of a step Slicer closes: it asks for a stop, and then its worker sees it gone."""
        if not run.stop_requested():
            run.request_stop()
            for number in signals:
                signal.raise_signal(number)
        plain(self, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", closing)
    try:
        train_run(tiny(2, strategy="randomised", steps=50), cohort, run, lambda event: None)
    except KeyboardInterrupt:
        assert not graceful
    assert run.checkpoint_path.is_file() == graceful and run.status() == ("stopped" if graceful else "interrupted")


def test_a_failure_on_apples_gpu_is_told_with_the_device_that_can(tiny: Tiny, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*arguments: object) -> None:
        raise NotImplementedError("The operator 'aten::grid_sampler_2d_backward' is not currently implemented for the MPS device.")

    monkeypatch.setattr(torch.optim.Adam, "step", lacking)
    run = Run(tmp_path / "run")
    with pytest.raises(NotImplementedError):
        train_run(tiny(2, strategy="randomised", steps=1), cohort, run, lambda event: None)
    assert run.events()[-1]["advice"].endswith("--device cpu")


def test_a_failure_is_told_with_advice_and_the_run_resumes(tiny: Tiny, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(2, strategy="randomised", steps=4, checkpoint_every=1)
    healthy = torch.optim.Adam.step

    def broken(self: torch.optim.Adam, *arguments: object) -> None:
        if self.state and next(iter(self.state.values()))["step"] == 2:
            raise RuntimeError("CUDA out of memory")
        healthy(self, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", broken)
    run = Run(tmp_path / "run")
    with pytest.raises(RuntimeError):
        train_run(config, cohort, run, lambda event: None)
    failed = run.events()[-1]
    assert failed["event"] == "failed" and "batch_size" in failed["advice"] and run.status() == "failed"
    monkeypatch.undo()
    assert train_run(config, cohort, run, lambda event: None)["event"] == "finished"


def test_a_run_of_another_configuration_or_other_data_is_left_alone(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    run, _ = trained(tiny(2, strategy="randomised"), cohort, tmp_path / "run")
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file() and path.name != "lock"}
    with pytest.raises(InputError, match=r"another configuration \(seed 0 there, 1 here\)"):
        train_run(tiny(2, strategy="randomised", seed=1), cohort, run, print)
    with pytest.raises(InputError, match="other data|another data"):
        train_run(tiny(2, strategy="randomised"), Cohort(cohort.subjects[1:]), run, print)
    assert before == {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file() and path.name != "lock"}


def test_a_run_in_use_is_refused(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    with run.locked(), pytest.raises(InputError, match=f"in use by process {os.getpid()}"):
        train_run(tiny(), cohort, Run(run.folder), print)


def test_a_file_system_without_locks_is_told_and_trained_on(tiny: Tiny, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("Learn2SynthLib.locking.lock", lambda file: None)
    run, events = trained(tiny(2, strategy="randomised", steps=1), cohort, tmp_path / "run")
    assert events[0]["event"] == "unlocked" and events[-1]["event"] == "finished" and run.status() == "finished"


def test_a_loss_that_is_not_finite_advises_what_can_be_done(tiny: Tiny, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, advice = tiny(2, strategy="randomised", steps=3, validate_every=1), []
    for broken in (0, 2):

        def check(losses: dict, step: int, at: int = broken) -> None:
            _check_finite({"loss": nan} if step == at else losses, step)

        monkeypatch.setattr("Learn2SynthLib.learning.trainer._check_finite", check)
        run = Run(tmp_path / f"run {broken}")
        with pytest.raises(FloatingPointError, match=f"loss not finite at step {broken + 1}$"):
            train_run(config, cohort, run, lambda event: None)
        advice.append(run.events()[-1]["advice"])
    assert all("start a new run" in told and "resume" not in told for told in advice)
    assert "--pretrained" not in advice[0] and f"--pretrained {tmp_path / 'run 2'}" in advice[1]
    check_needs(tiny(2, f"network.pretrained={tmp_path / 'run 2'}", "optimiser.lr=1e-5", strategy="randomised"), cohort)


def test_flips_of_a_target_with_half_a_pair_are_refused(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    table = tmp_path / "half.json"
    write_json(table, {"labels": [{"value": 0, "name": "background"}, {"value": 1, "name": "left thalamus", "freesurfer": [10]}]})
    with pytest.raises(InputError, match=r"left thalamus.*set synthesis\.flip=0"):
        check_needs(tiny(2, strategy="randomised", target=str(table)), cohort)
    with pytest.raises(InputError, match="does not search flips"):
        check_needs(tiny(2, "synthesis.flip=0", strategy="policy_search", target=str(table)), cohort)
    check_needs(tiny(2, "synthesis.flip=0", strategy="randomised", target=str(table)), cohort)


@pytest.mark.parametrize("strategy", [name for name, facts in STRATEGIES.items() if "real" in facts.needs])
def test_a_strategy_that_needs_real_scans_says_so(strategy: str, tiny: Tiny, cohort: Cohort) -> None:
    with pytest.raises(InputError, match="no annotated real scans given; add --real"):
        check_needs(tiny(2, strategy=strategy), Cohort(cohort.of("label_map")))


@pytest.mark.parametrize("setting", ["synthesis.contrast", "learn2synth.begin"])
def test_a_file_that_the_configuration_names_is_looked_at_first(setting: str, tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.l2s"):
        check_needs(tiny(2, f"{setting}={tmp_path / 'gone.l2s'}"), cohort)


def test_a_model_tells_the_names_of_files_and_not_where_they_were(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    contrast, table = tmp_path / "mine.json", tmp_path / "numbers.json"
    contrast.write_text('{"mean": {"thalamus": [0.5, 0.6]}}')
    write_json(table, load_table("freesurfer").to_json())
    numbered = Cohort(tuple(replace(subject, table=str(table)) for subject in cohort.subjects))
    train_run(tiny(2, f"synthesis.contrast={contrast}", steps=1), numbered, run := Run(tmp_path / "run"), lambda event: None)
    provenance = Model.read(run.model_path).card["provenance"]
    assert json.loads(provenance["config"]["synthesis"]["contrast"]) == json.loads(contrast.read_text())
    assert {subject["table"] for subject in provenance["data"]} == {"numbers.json"}
    assert str(tmp_path) not in json.dumps(provenance)


def test_without_validation_scans_a_quarter_is_held_out_or_the_figure_called_optimistic(tiny: Tiny, cohort: Cohort) -> None:
    one = cohort.of("real")[0]
    scans = [replace(one, name=f"scan {k}") for k in range(8)]
    real, held, independent = split_real(tiny(strategy="supervised"), Cohort(tuple(scans)))
    assert (len(real), len(held), independent) == (6, 2, True)
    real, held, independent = split_real(tiny(strategy="supervised"), Cohort(tuple(scans[:2])))
    assert (len(real), len(held), independent) == (2, 2, False)


def people(heads: Path, role: str, *seeds: int) -> list[Subject]:
    return [Subject(f"sub-{k}", role, None if role == "label_map" else heads / f"sub-{k}_T1w.nii.gz", heads / f"sub-{k}_dseg.nii.gz") for k in seeds]


@pytest.mark.parametrize(
    ("maps", "real", "validation", "pool", "told"),
    [
        ((0, 1, 2, 3), (0, 1, 2, 3), (), 3, "1 label map of theirs left out"),
        ((0, 1, 2), (3, 4), (2, 5), 2, "1 label map of theirs left out"),
        ((0, 3), (0, 1, 2, 3), (), 2, "an optimistic figure"),
        ((0, 1, 2), (3, 4), (4,), 3, "an optimistic figure"),
        ((0, 1, 2), (3, 4), (5,), 3, "measured on 1 scan: too few"),
    ],
)
def test_whoever_is_held_out_is_not_rendered_either(
    maps: tuple[int, ...], real: tuple[int, ...], validation: tuple[int, ...], pool: int, told: str, tiny: Tiny, heads: Path, tmp_path: Path
) -> None:
    cohort = Cohort((*people(heads, "label_map", *maps), *people(heads, "real", *real), *people(heads, "validation", *validation)))
    config, run = tiny(2, "synthesis.real_label_maps=false", strategy="mixed"), Run(tmp_path)
    run.prepare(config.to_json(), cohort.to_json())
    strategy, scans, note = Trainer(config, cohort, run)._set_up()
    assert told in note and len(strategy.task.label_maps) == pool
    if "optimistic" not in told:
        assert not {example.name for example in strategy.task.label_maps} & {scan.name for scan in scans}


@pytest.mark.parametrize(
    ("maps", "real", "share", "copies"), [(20, 6, 0.5, 3), (20, 1, 0.5, 20), (1, 1, 0.5, 1), (20, 6, 0.0, 1), (2, 8, 0.5, 1), (0, 3, 0.5, 1), (9, 1, 0.9, 81)]
)
def test_the_label_maps_of_few_real_scans_are_rendered_as_often_as_asked(
    tiny: Callable[..., RunConfig], maps: int, real: int, share: float, copies: int
) -> None:
    label_maps: list[Any] = [f"map {k}" for k in range(maps)]
    scans, in_part = ([SimpleNamespace(name=k, partial=partial) for k in range(count)] for count, partial in ((real, False), (3, True)))
    assert synthesis_pool(tiny(2, f"synthesis.real_share={share}"), label_maps, [*in_part, *scans]) == [*label_maps, *(scans * copies)]
    assert synthesis_pool(tiny(2, "synthesis.real_label_maps=false"), label_maps, scans) == label_maps
    assert synthesis_pool(tiny(2), label_maps, in_part) == (label_maps or in_part)  # where there is nothing else


def test_advice_to_stop_comes_when_nothing_is_gained(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    config = tiny(2, "optimiser.lr=0", strategy="randomised", steps=5, validate_every=1, patience=2)
    _, events = trained(config, cohort, tmp_path / "run")
    advised = [event for event in events if "advice" in event]
    assert advised and advised[0]["step"] == 3 and "no gain in the last 2 validations" in advised[0]["advice"]


def test_slow_steps_are_reported_more_often(tiny: Tiny, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("Learn2SynthLib.learning.trainer._SILENCE_S", 0.0, raising=False)
    run, steps = Run(tmp_path / "run"), []

    def stop(event: dict) -> None:
        if event["event"] == "step":
            steps.append((event["step"], event["eta_seconds"] > 0))
            run.request_stop()

    train_run(tiny(2, strategy="randomised", steps=5000), cohort, run, stop)
    assert steps == [(1, True)]


def test_structures_that_the_reference_cannot_name_are_not_scored(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    table = tmp_path / "thalami.json"
    labels = [{"value": k, "name": f"part {k}"} for k in (2, 41, 3, 42, 4, 43)]
    write_json(table, {"labels": [{"value": 0, "name": "background"}, *labels, {"value": 10, "name": "left thalamus", "freesurfer": [10]}]})
    named = tuple(replace(s, table=str(table)) if s.role == "validation" else s for s in cohort.subjects)
    scans = tuple(replace(s, labels=thalami(s, tmp_path)) if s.role == "validation" else s for s in named)
    _, events = trained(tiny(2, strategy="supervised", validate_every=1), Cohort(scans), tmp_path / "run")
    assert all(event["dice"].keys() == {"mean", "left thalamus"} for event in events if event["event"] == "validated")


def thalami(subject: Subject, folder: Path) -> Path:
    """A file of the subject's labels without that of the right thalamus."""
    labels = read_label_map(subject.labels)
    write_label_map(replace(labels, data=labels.data * (labels.data != 49)), folder / "thalami_dseg.nii.gz")
    return folder / "thalami_dseg.nii.gz"


def test_the_best_model_is_kept_not_the_last(tiny: Tiny, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.5, 0.9, 0.2])

    def validate(*arguments: object) -> dict:
        return {"dice": {"mean": next(scores)}, "scans": {}, "note": ""}

    monkeypatch.setattr("Learn2SynthLib.learning.trainer.validate", validate)
    run, events = trained(tiny(2, strategy="randomised", steps=3, validate_every=1), cohort, tmp_path / "run")
    card = Model.read(run.model_path).card
    assert card["provenance"]["step"] == 2 and card["validation"]["dice"]["mean"] == 0.9 and events[-1]["best"] == 0.9


def test_closing_the_iterator_early_leaves_a_usable_run(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    config = tiny(2, strategy="randomised", steps=9)
    run.prepare(config.to_json(), cohort.to_json())
    events = Trainer(config, cohort, run).events()
    while next(events)["event"] != "step":
        pass
    events.close()
    assert run.model_path.is_file() and final_state(run)["step"] == 1
    assert json.loads(run.events_path.read_text().splitlines()[-1])["event"] == "stopped"


def test_a_model_that_nothing_has_measured_is_the_newest(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    config, run = tiny(2, strategy="randomised", steps=9), Run(tmp_path / "run")
    for stop in (2, 5):
        asking = ("step", stop)
        train_run(config, Cohort(cohort.of("label_map")), run, lambda e, at=asking: run.request_stop() if (e["event"], e.get("step")) == at else None)
        assert Model.read(run.model_path).card["provenance"]["step"] == stop


@pytest.mark.skipif(sys.platform == "win32", reason="limits of this kind are POSIX's")
def test_a_disk_that_is_full_is_told_and_the_last_checkpoint_stays(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    import resource

    run, config = Run(tmp_path / "run"), tiny(2, strategy="randomised", steps=9, checkpoint_every=1)
    run.prepare(config.to_json(), cohort.to_json())
    trainer = Trainer(config, cohort, run)
    events = trainer.events()
    while next(events)["event"] != "checkpoint":
        pass
    before, limits = run.checkpoint_path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))  # bytes
    try:
        with pytest.raises(InputError, match=r"checkpoint\.pt: cannot be written \(File too large\)"):
            trainer._checkpoint()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert run.checkpoint_path.read_bytes() == before
    events.close()


def test_what_cannot_be_logged_is_told_nevertheless(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    run, told = Run(tmp_path / "run"), []

    def block(event: dict) -> None:
        told.append(event)
        if event["event"] == "step":
            run.events_path.unlink()
            run.events_path.mkdir()

    with pytest.raises(InputError, match=r"events\.jsonl: cannot be written"):
        train_run(tiny(2, strategy="randomised"), cohort, run, block)
    assert told[-1]["event"] == "failed" and "free some space" in told[-1]["advice"]


def test_a_checkpoint_of_something_else_is_refused_but_not_for_want_of_memory(
    tiny: Tiny, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run = tiny(2, strategy="randomised"), Run(tmp_path / "run")
    run.folder.mkdir()
    run.prepare(config.to_json(), cohort.to_json())
    torch.save({"epoch": 7}, run.checkpoint_path)
    with pytest.raises(InputError, match=r"cannot be used \(KeyError\); delete it"):
        train_run(config, cohort, run, lambda event: None)
    told = run.events()[-1]
    assert told["advice"] == "delete it to train this run from the start" and told["advice"] not in told["message"]

    for error in (torch.cuda.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: not enough memory"), MemoryError()):

        def full(*arguments: object, error: Exception = error, **options: object) -> None:
            raise error

        monkeypatch.setattr("torch.load", full)
        with pytest.raises(type(error)):
            train_run(config, cohort, run, lambda event: None)
        assert "smaller batch_size" in run.events()[-1]["advice"]


@pytest.mark.parametrize("validation", [True, False])
def test_broken_weights_are_never_written(validation: bool, tiny: Tiny, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(self: Randomised, index: int) -> dict[str, float]:
        with torch.no_grad():
            next(self.task.network.parameters()).fill_(nan if index else 0)
        return {"synthetic_loss": 1.0}

    monkeypatch.setattr(Randomised, "step", step)
    config, run = tiny(2, strategy="randomised", checkpoint_every=1, validate_every=1), Run(tmp_path / "run")
    with pytest.raises(FloatingPointError, match="weights not finite after step 2"):
        train_run(config, cohort if validation else Cohort(cohort.of("label_map")), run, lambda event: None)
    assert final_state(run)["step"] == 1 and run.status() == "failed"


def test_what_else_is_learned_is_never_written_broken(tiny: Tiny, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(self: Learn2Synth, index: int) -> dict[str, float]:
        with torch.no_grad():
            self.task.synthesizer.ranges.ends["noise"].fill_(nan if index else 0)
        return {"synthetic_loss": 1.0}

    monkeypatch.setattr(Learn2Synth, "step", step)
    run = Run(tmp_path / "run")
    with pytest.raises(FloatingPointError, match="what the strategy learns not finite after step 2"):
        train_run(tiny(2, checkpoint_every=1), cohort, run, lambda event: None)
    assert final_state(run)["step"] == 1

"""What a run tells, gathered: state, sentences, curves."""

from __future__ import annotations

from typing import Any

import pytest
from Learn2SynthPanel.watching.charts import chart_titles, make_chart, moving_mean
from Learn2SynthPanel.watching.headline import duration, headline, stalled
from Learn2SynthPanel.watching.progress import Progress

PRIOR = {
    "noise.low": 0.0,
    "noise.high": 0.08,
    "contrast_mean.thalamus.low": 0.0,
    "contrast_mean.thalamus.high": 1.0,
}


def started(step: int = 0, **more: Any) -> dict[str, Any]:
    return {"event": "started", "step": step, "steps": 1500, "device": "cpu", "prior": PRIOR, "note": "measured on 3 scans held out from training", **more}


def step(number: int, **more: Any) -> dict[str, Any]:
    moved = {name: value + number * 1e-4 for name, value in PRIOR.items()}
    record = {"event": "step", "step": number, "steps": 1500, "synthetic_loss": 3.0, "learned": moved, "seconds": float(number), "eta_seconds": 250.0}
    return record | more


def validated(number: int, mean: float, **more: Any) -> dict[str, Any]:
    return {"event": "validated", "step": number, "dice": {"mean": mean, "thalamus": mean / 2}, "scans": {"a": mean}, **more}


def progress_of(*events: dict[str, Any]) -> Progress:
    progress = Progress()
    progress.add(events)
    return progress


def test_a_new_run_is_being_checked() -> None:
    progress = Progress()
    assert (progress.phase, progress.fraction, progress.revision) == ("new", 0.0, 0)
    assert headline(progress) == "Starting: the data are being checked."
    assert headline(progress, alive=False) == "Nothing has been trained here yet."


def test_a_run_whose_scans_are_being_completed_has_not_begun() -> None:
    progress = progress_of({"event": "completing", "done": 1, "count": 3})
    assert headline(progress) == "The shipped model segments the rest of the brain of scan 2 of 3 that are annotated in part."
    assert headline(progress, alive=False) == "Nothing has been trained here yet."


def test_loading_names_the_number_of_subjects() -> None:
    assert headline(progress_of({"event": "checked", "subjects": []})) == "The data have been checked. The training begins."
    assert headline(progress_of({"event": "loading", "subjects": 9})) == "Reading 9 subjects onto the model's grid."


def test_training_tells_step_time_and_dice() -> None:
    progress = progress_of(started())
    assert headline(progress) == "Training begins on cpu."
    progress.add([step(250), validated(250, 0.63), step(340)])
    assert headline(progress) == "Step 340 of 1500, time left: 4 minutes. Mean Dice on real scans 0.63, the best so far."
    progress.add([validated(350, 0.61)])
    assert headline(progress).endswith("Mean Dice on real scans 0.61, best 0.63 at step 250.")
    assert progress.fraction == pytest.approx(350 / 1500)
    assert progress.note.startswith("measured on 3 scans")


def test_all_steps_done_is_no_longer_a_matter_of_time() -> None:
    assert headline(progress_of(started(), step(1500, eta_seconds=0.0))).startswith("All 1500 steps are done;")


def test_advice_to_stop_comes_first_and_goes_when_the_score_rises() -> None:
    scores = [0.6, *[0.5] * 10]
    progress = progress_of(started(), *(validated(100 * n, mean) for n, mean in enumerate(scores, 1)))
    assert "you can stop" not in headline(progress)
    progress.add([validated(1200, 0.5, advice="no gain in the last 11 validations: you can stop")])
    assert headline(progress).startswith("No gain in the last 11 validations: you can stop.")
    progress.add([validated(1300, 0.7)])
    assert "you can stop" not in headline(progress)


def test_says_when_the_synthesis_has_not_learned_yet() -> None:
    unlike = "The synthesis has not begun to learn: before and after look alike."
    progress = progress_of(started(), step(10, learned=PRIOR))
    assert headline(progress).endswith(unlike)
    progress.add([step(20)])
    assert unlike not in headline(progress)
    assert unlike not in headline(progress_of(started(prior={}), step(10, learned={})))


def test_ends_are_told_with_the_model_that_was_kept() -> None:
    run = [started(), validated(250, 0.63), validated(500, 0.6)]
    kept = "The best model is of step 250: mean Dice on real scans 0.63."
    assert headline(progress_of(*run, {"event": "stopped", "step": 510})) == f"Stopped at step 510 of 1500; Resume goes on from here. {kept}"
    finished = progress_of(*run, {"event": "finished", "step": 1500})
    assert headline(finished, alive=False, silent_seconds=1e6) == f"Finished after 1500 steps. {kept}"
    assert finished.fraction == 1.0
    assert headline(progress_of(started(), {"event": "finished", "step": 1500})).endswith("no real scan has measured it.")


def test_failure_tells_what_to_do() -> None:
    failed = {"event": "failed", "error": "InputError", "message": "scan.nii: no labels", "advice": "choose another file"}
    assert headline(progress_of(started(), failed)) == "Failed: scan.nii: no labels. What to do: choose another file."
    assert headline(progress_of({"event": "failed"})) == "Failed: no reason was given."
    resumed = progress_of(failed, {"event": "loading", "subjects": 2}, started())
    assert (resumed.phase, resumed.message) == ("training", "")


def test_a_process_that_is_gone_leaves_its_checkpoint() -> None:
    progress = progress_of(started(), step(340))
    assert headline(progress, alive=False).endswith("Resume begins again.")
    progress.add([{"event": "checkpoint", "step": 340}, step(360)])
    assert "at step 360 of 1500. Resume goes on from its last checkpoint, step 340." in headline(progress, alive=False)


def test_silence_is_told_once_it_is_longer_than_usual() -> None:
    progress = progress_of(started(), *(step(n) for n in range(1, 101)))  # one report a second
    assert not stalled(progress, 100)
    assert headline(progress, silent_seconds=600).startswith("Nothing heard for 10 minutes. Usually a report comes within a few seconds.")
    slow = progress_of(started(), step(1, seconds=60.0))
    assert not stalled(slow, 600)
    assert stalled(slow, 1300)
    assert stalled(progress_of({"event": "loading", "subjects": 2}), 1000)
    assert headline(progress_of({"event": "loading", "subjects": 2}), silent_seconds=1000).startswith("Nothing heard for 17 minutes.")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(2, "a few seconds"), (40, "40 seconds"), (59, "1 minute"), (61, "1 minute"), (240, "4 minutes"), (7500, "2 h 5 min"), (100 * 3600, "4 d 4 h")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_resumed_run_takes_back_what_came_after_its_checkpoint() -> None:
    preview = {"event": "preview", "paths": {"learned": "a.nii.gz"}}
    progress = progress_of(started(), step(100), validated(100, 0.5), preview | {"step": 100}, {"event": "checkpoint", "step": 100})
    progress.add([step(200), validated(200, 0.9), preview | {"step": 200}, started(100)])
    assert (progress.step, progress.best, progress.eta_seconds) == (100, (100, 0.5), None)
    assert [p.step for p in progress.previews] == [100]
    assert progress.losses["synthetic_loss"].steps == [100]
    progress.add([step(150)])
    assert progress.learned["noise.low"].steps == [100, 150]


def test_a_run_taken_back_to_its_start_has_no_curves() -> None:
    progress = progress_of(started(), step(100), validated(100, 0.5), started(0))
    assert (progress.losses, progress.dice, progress.best, progress.stale) == ({}, {}, None, 0)
    assert headline(progress) == "Training begins on cpu."


@pytest.mark.parametrize(
    "event",
    [
        {"event": "sparkle", "step": 3},
        {"event": None},
        {"event": ["step"]},
        {"event": "step"},
        {"event": "step", "step": "12"},
        {"event": "step", "step": True, "synthetic_loss": 1.0},
        {"event": "step", "step": -4},
        {"event": "step", "step": 5, "synthetic_loss": float("nan"), "real_loss": "low", "learned": [1, 2]},
        {"event": "validated", "step": 5, "dice": "good", "scans": None},
        {"event": "preview", "step": 5, "paths": 7},
        {"event": "started", "step": None, "steps": "many", "prior": 3, "note": 4, "device": None},
    ],
)
def test_garbage_is_ignored(event: dict[str, Any]) -> None:
    progress = progress_of(started(), event)
    assert (progress.losses, progress.dice, progress.learned, progress.previews) == ({}, {}, {}, [])
    assert progress.steps == 1500
    assert headline(progress)


def test_previews_stay_in_their_folder() -> None:
    paths = {"learned": "step_000010_learned.nii.gz", "prior": "../secret.nii.gz", "real": "/etc/passwd", "labels": 3}
    assert dict(progress_of({"event": "preview", "step": 10, "paths": paths}).previews[0].paths) == {"learned": "step_000010_learned.nii.gz"}


def test_charts_are_offered_once_there_are_data() -> None:
    progress = progress_of(started())
    assert chart_titles(progress) == {}
    assert make_chart(progress, "dice") is None
    assert make_chart(progress, "") is None
    assert make_chart(progress, "learned noise") is None
    progress.add([step(10), validated(10, 0.4)])
    assert list(chart_titles(progress).values()) == ["Dice on real scans", "Dice of each structure", "Losses", "Noise level", "Mean intensity: thalamus"]
    for key in chart_titles(progress):
        assert make_chart(progress, key).title == chart_titles(progress)[key]


def test_dice_charts() -> None:
    progress = progress_of(started(), validated(10, 0.4), validated(20, 0.6, dice={"mean": 0.6, "thalamus": 0.3, "caudate": 0.9}))
    (mean,) = make_chart(progress, "dice").series
    assert (mean.name, mean.xs, mean.ys) == ("mean", [10, 20], [0.4, 0.6])
    assert [one.name for one in make_chart(progress, "structures").series] == ["caudate", "thalamus"]
    progress.add([validated(30, 0.7, scans={"a": 0.6, "b": 0.8})])
    chart = make_chart(progress, "dice")
    assert [one.name for one in chart.series] == ["mean", "a", "b"]
    assert chart.x_range == pytest.approx((0.0, 50.0))


def test_losses_are_points_with_a_moving_mean() -> None:
    progress = progress_of(started(), *(step(n, synthetic_loss=float(n % 2)) for n in range(1, 101)))
    points, mean = make_chart(progress, "losses").series
    assert (points.name, points.line, len(points.xs)) == ("synthetic images", "none", 100)
    assert (mean.name, mean.line) == ("synthetic images, mean of 5", "solid")
    assert max(mean.ys) - min(mean.ys) < 0.5


@pytest.mark.parametrize("key", ["dice", "structures", "losses", "learned contrast_mean.thalamus"])
def test_the_axes_hold_all_curves_however_long_they_grow(key: str) -> None:
    progress = progress_of(started())
    for last in (10, 20, 300):
        progress.add([step(last, synthetic_loss=1.0 / last), validated(last, last / 300)])
        chart = make_chart(progress, key)
        (left, right), (bottom, top) = chart.x_range, chart.y_range
        assert all(left <= x <= right and bottom <= y <= top for one in chart.series for x, y in zip(one.xs, one.ys))
        assert right < 2 * last and top - bottom < 2


def test_moving_mean() -> None:
    assert moving_mean([1.0, 2.0, 3.0, 10.0], 1) == pytest.approx([1.5, 2.0, 5.0, 6.5])
    assert moving_mean([], 1) == []


def test_learned_charts_show_both_ends_and_the_prior() -> None:
    chart = make_chart(progress_of(started(), step(10), step(20)), "learned contrast_mean.thalamus")
    upper, upper_before, lower, lower_before = chart.series
    assert (upper.ys[-1], upper_before.ys) == (pytest.approx(1.002), [1.0, 1.0])
    assert (lower.ys[-1], lower_before.ys) == (pytest.approx(0.002), [0.0, 0.0])
    assert upper_before.line == lower_before.line == "dash"
    assert chart.y_range[0] < 0.0 < 1.002 < chart.y_range[1]
    assert chart.y_title == "value, 0 to 1 allowed"


def test_many_curves_and_mixed_names_can_be_drawn() -> None:
    losses = {f"{n}_loss": 1.0 for n in range(40)}
    learned = {"noise": 0.1, "noise.low": 0.1, "noise.high": 0.2}
    progress = progress_of(started(prior={"noise": 0.05}), step(10, learned=learned, **losses), validated(10, 0.1, dice={str(n): 0.1 for n in range(40)}))
    assert all(make_chart(progress, key).series for key in chart_titles(progress))


def test_a_parameter_learned_as_one_value_is_one_curve() -> None:
    progress = progress_of(started(prior={"blur_mm": 1.5}), step(10, learned={"blur_mm": 2.5, "network.norm": 3.0}))
    chart = make_chart(progress, "learned blur_mm")
    assert [(one.name, one.ys) for one in chart.series] == [("value", [2.5]), ("value, before", [1.5, 1.5])]
    assert chart.y_title.startswith("mm")
    assert "learned network.norm" not in chart_titles(progress)

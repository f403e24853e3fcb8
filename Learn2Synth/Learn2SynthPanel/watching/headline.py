"""One sentence or two that say how a run is doing, for somebody who does not read curves."""

from __future__ import annotations

from ..translation import tr as _
from .progress import Progress

_QUIET = {"new": 300.0, "checking": 300.0, "completing": 300.0, "loading": 900.0, "training": 120.0}  # seconds without a word that are nothing unusual
_REPORTS_MISSED = 20


def headline(progress: Progress, alive: bool = True, silent_seconds: float = 0.0) -> str:
    """What goes on. alive: whether the training's process runs. silent_seconds: since the last event, by the reader's own clock."""
    if progress.phase in _ENDED:
        return _ENDED[progress.phase](progress)
    if not alive:
        return _interrupted(progress)
    if stalled(progress, silent_seconds):
        return _silent(progress, silent_seconds)
    return _UNDER_WAY[progress.phase](progress)


def stalled(progress: Progress, silent_seconds: float) -> bool:
    """Whether a run that should be telling something has been silent for unusually long."""
    usual = progress.seconds_per_report if progress.phase == "training" else None
    return silent_seconds > max(_QUIET.get(progress.phase, float("inf")), _REPORTS_MISSED * (usual or 0.0))


def duration(seconds: float) -> str:
    """In the one or two largest units: '40 seconds', '2 h 5 min', '3 days 4 h'."""
    minutes = round(seconds / 60)
    if seconds < 5:
        return _("a few seconds")
    if seconds < 57.5:
        return _("{count} seconds").format(count=5 * round(seconds / 5))
    if minutes <= 1:
        return _("1 minute")
    if minutes < 60:
        return _("{count} minutes").format(count=minutes)
    if minutes < 24 * 60:
        return _("{hours} h {minutes} min").format(hours=minutes // 60, minutes=minutes % 60)
    hours = round(minutes / 60)
    return _("{days} d {hours} h").format(days=hours // 24, hours=hours % 24)


def _new(progress: Progress) -> str:
    return _("Starting: the data are being checked.")


def _checking(progress: Progress) -> str:
    return _("The data have been checked. The training begins.")


def _completing(progress: Progress) -> str:
    what = _("The shipped model segments the rest of the brain of scan {number} of {count} that are annotated in part.")
    return what.format(number=progress.completed + 1, count=progress.to_complete)


def _loading(progress: Progress) -> str:
    return _("Reading {count} subjects onto the model's grid.").format(count=progress.subjects)


def _training(progress: Progress) -> str:
    if progress.step == 0:
        return _("Training begins on {device}.").format(device=progress.device)
    advice = _("No gain in the last {count} validations: you can stop.").format(count=progress.stale) if progress.may_stop else ""
    unlike = _("The synthesis has not begun to learn: before and after look alike.") if progress.prior and not progress.has_learned else ""
    return _joined(advice, _place(progress), _score(progress), unlike)


def _place(progress: Progress) -> str:
    if progress.step >= progress.steps:
        return _("All {steps} steps are done; the model is being measured and written.").format(steps=progress.steps)
    if progress.eta_seconds is None:
        return _("Step {step} of {steps}.").format(step=progress.step, steps=progress.steps)
    return _("Step {step} of {steps}, time left: {time}.").format(step=progress.step, steps=progress.steps, time=duration(progress.eta_seconds))


def _score(progress: Progress) -> str:
    if progress.best is None:
        return ""
    (step, best), last = progress.best, progress.dice["mean"].last
    if progress.stale == 0:
        return _("Mean Dice on real scans {last:.2f}, the best so far.").format(last=last)
    return _("Mean Dice on real scans {last:.2f}, best {best:.2f} at step {step}.").format(last=last, best=best, step=step)


def _finished(progress: Progress) -> str:
    return _joined(_("Finished after {steps} steps.").format(steps=progress.step), _kept(progress))


def _stopped(progress: Progress) -> str:
    where = _("Stopped at step {step} of {steps}; Resume goes on from here.").format(step=progress.step, steps=progress.steps)
    return _joined(where, _kept(progress))


def _kept(progress: Progress) -> str:
    if progress.best is None:
        return _("The model can be used; no real scan has measured it.")
    step, best = progress.best
    return _("The best model is of step {step}: mean Dice on real scans {best:.2f}.").format(step=step, best=best)


def _failed(progress: Progress) -> str:
    what = _("Failed: {message}").format(message=progress.message or _("no reason was given"))
    return _joined(_ended(what), _ended(_("What to do: {advice}").format(advice=progress.advice)) if progress.advice else "")


def _interrupted(progress: Progress) -> str:
    if progress.phase in ("new", "completing"):
        return _("Nothing has been trained here yet.")
    if not progress.checkpoint:
        return _("The training ended without a word, before its first checkpoint. Resume begins again.")
    return _("The training ended without a word at step {step} of {steps}. Resume goes on from its last checkpoint, step {checkpoint}.").format(
        step=progress.step, steps=progress.steps, checkpoint=progress.checkpoint
    )


def _silent(progress: Progress, seconds: float) -> str:
    told = _("Nothing heard for {time}.").format(time=duration(seconds))
    if progress.phase != "training":
        return _joined(told, _("Reading large data from a slow disk can take so long; otherwise press Stop and look at the log."))
    usual = _("Usually a report comes within {time}.").format(time=duration(progress.seconds_per_report)) if progress.seconds_per_report else ""
    remedy = _("A validation on large scans can take so long; otherwise press Stop, then Resume: nothing is lost but what came after step {checkpoint}.")
    return _joined(told, usual, remedy.format(checkpoint=progress.checkpoint))


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _ended(sentence: str) -> str:
    """With a full stop; messages of others come with and without."""
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


_ENDED = {"finished": _finished, "stopped": _stopped, "failed": _failed}
_UNDER_WAY = {"new": _new, "checking": _checking, "completing": _completing, "loading": _loading, "training": _training}

"""The curves of a run as charts that a user can read: which series, what they are called, how they look. Data only; plots.py draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from Learn2SynthLib.learned import LearnedRange, learned_ranges

from ..translation import tr as _
from .progress import Curve, Progress

Colour = tuple[float, float, float]

# Told apart by most colour-blind people too (Okabe and Ito 2008), without the yellow that is lost on white.
_COLOURS: tuple[Colour, ...] = (
    (0.0, 0.45, 0.70),
    (0.84, 0.37, 0.0),
    (0.0, 0.62, 0.45),
    (0.80, 0.47, 0.65),
    (0.34, 0.71, 0.91),
    (0.90, 0.62, 0.0),
    (0.0, 0.0, 0.0),
)
_GREY: Colour = (0.4, 0.4, 0.4)
# Slicer writes the legend into the upper right corner: parts of the axes that are left to it.
_ROOM_ABOVE, _ROOM_BESIDE = 0.3, 0.4
_LINES = ("solid", "dash", "dot")
_PART_AVERAGED = 20  # one twentieth of the reports
_LEARNED = "learned "


@dataclass(frozen=True)
class Series:
    """One curve. line: solid, dash, dot or none. width: in pixels; of lines, or of markers where there is no line."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    colour: Colour
    line: str = "solid"
    width: float = 2.0
    markers: bool = False


@dataclass(frozen=True)
class Chart:
    """Series over training steps. x_range, y_range: (low, high) of the axes; Slicer measures them itself only when a series joins, not when one grows."""

    key: str
    title: str
    y_title: str
    series: Sequence[Series]
    x_range: tuple[float, float]
    y_range: tuple[float, float]


def chart_titles(progress: Progress) -> dict[str, str]:
    """key -> title of every chart that there are data for, in the order to offer them."""
    titles = {}
    if "mean" in progress.dice:
        titles["dice"] = _("Dice on real scans")
    if progress.dice.keys() - {"mean"}:
        titles["structures"] = _("Dice of each structure")
    if progress.losses:
        titles["losses"] = _("Losses")
    return titles | {_LEARNED + stem: range_title(range_) for stem, range_ in _ranges(progress).items()}


def make_chart(progress: Progress, key: str) -> Chart | None:
    """The chart of that key; None while there are no data for it."""
    if key.startswith(_LEARNED):
        stem = key.removeprefix(_LEARNED)
        range_ = _ranges(progress).get(stem)
        return _learned(progress, stem, range_, key) if range_ else None
    return _MAKERS[key](progress, key) if key in chart_titles(progress) else None


def _dice(progress: Progress, key: str) -> Chart:
    """The mean, and each scan where there are several."""
    scans = progress.scans if len(progress.scans) > 1 else {}
    series = [_curve(name, curve, k + 1, width=1.0) for k, (name, curve) in enumerate(scans.items())]
    mean = _curve(_("mean"), progress.dice["mean"], 0, width=4.0)
    return _scores(key, _("Dice on real scans"), _("mean Dice"), [mean, *series])


def _structures(progress: Progress, key: str) -> Chart:
    """Best structure first, as the curves end."""
    series = [_curve(name, curve, k) for k, (name, curve) in enumerate((n, c) for n, c in progress.dice.items() if n != "mean")]
    return _scores(key, _("Dice of each structure"), _("Dice"), sorted(series, key=lambda s: -s.ys[-1]))


def _scores(key: str, title: str, y_title: str, series: Sequence[Series]) -> Chart:
    """All of what Dice may be; a legend beside the curves, whose newest values are what matters."""
    room = _ROOM_BESIDE if len(series) > 1 else 0.02
    return Chart(key, title, y_title, series, _so_far(series, room), (0.0, 1.0))


def _so_far(series: Sequence[Series], room: float = 0.0) -> tuple[float, float]:
    """From the first step to the last, and a part of the axis for the legend."""
    return 0.0, max(1.0, *(one.xs[-1] for one in series)) / (1 - room)


def _heights(series: Sequence[Series]) -> tuple[float, float]:
    """Those of the series, and above them a part of the axis for the legend."""
    values = [value for one in series for value in one.ys]
    low, high = min(values), max(values)
    height = max(high - low, 0.01) / (1 - _ROOM_ABOVE)
    return low - 0.05 * height, low + height


def _curve(name: str, curve: Curve, index: int, width: float = 2.0) -> Series:
    """Colours first, then kinds of line, tell the index-th curve from the others; with markers, because one value makes no line."""
    line = _LINES[index // len(_COLOURS) % len(_LINES)]
    return Series(name, curve.steps, curve.values, _colour(index), line, width, markers=True)


def _colour(index: int) -> Colour:
    return _COLOURS[index % len(_COLOURS)]


def _losses(progress: Progress, key: str) -> Chart:
    """Every report as a point, and a moving mean: the loss of one batch says little."""
    names = {"synthetic_loss": _("synthetic images"), "real_loss": _("real scans"), "loss": _("all images"), "hard_loss": _("hard examples")}
    names |= {"scored_loss": _("scans held apart"), "registration_loss": _("registration"), "appearance_loss": _("change of intensities")}
    series = []
    for k, (name, curve) in enumerate(progress.losses.items()):
        half = len(curve.steps) // (2 * _PART_AVERAGED)
        title, mean = names.get(name, name), _("{name}, mean of {count}")
        series.append(Series(title, curve.steps, curve.values, _colour(k), "none", 3.0, markers=True))
        if half:
            series.append(Series(mean.format(name=title, count=2 * half + 1), curve.steps, moving_mean(curve.values, half), _colour(k), width=3.0))
    return Chart(key, _("Losses"), _("loss"), series, _so_far(series), _heights(series))


def moving_mean(values: Sequence[float], half: int) -> list[float]:
    """Means of up to 2 * half + 1 values about each one; fewer near the ends."""
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    spans = ((max(0, k - half), min(len(values), k + half + 1)) for k in range(len(values)))
    return [(sums[stop] - sums[start]) / (stop - start) for start, stop in spans]


def _ranges(progress: Progress) -> dict[str, LearnedRange]:
    """'contrast_mean.thalamus' -> what was learned of it; what concerns the whole image first, because the others are one for each tissue."""
    ranges: dict[str, LearnedRange] = {}
    for stem in dict.fromkeys(name.removesuffix(".low").removesuffix(".high") for name in progress.learned):
        ends = {name: curve.last for name, curve in _ends(progress, stem).items()}
        ranges.update((stem, range_) for range_ in learned_ranges(ends, progress.prior))
    return dict(sorted(ranges.items(), key=lambda item: not _whole(item[1])))


def _ends(progress: Progress, stem: str) -> dict[str, Curve]:
    """The curves of a range, upper end first; one curve where one value is learned."""
    names = [f"{stem}.high", f"{stem}.low"] if f"{stem}.high" in progress.learned else [stem]
    return {name: progress.learned[name] for name in names if name in progress.learned}


def _whole(range_: LearnedRange) -> bool:
    return range_.title == range_.name


def range_title(range_: LearnedRange) -> str:
    """Of the chart that shows a learned parameter."""
    title = range_.name if _whole(range_) else f"{range_.group}: {range_.name}"
    return title[:1].upper() + title[1:]


def _learned(progress: Progress, stem: str, range_: LearnedRange, key: str) -> Chart:
    """The ends of what is learned, and where they were before."""
    words = {f"{stem}.high": _("upper end"), f"{stem}.low": _("lower end"), stem: _("value")}
    series = []
    for k, (name, curve) in enumerate(_ends(progress, stem).items()):
        before = range_.prior[0] if name.endswith(".low") else range_.prior[1]
        series.append(Series(words[name], curve.steps, curve.values, _colour(k), width=3.0))
        series.append(Series(_("{name}, before").format(name=words[name]), [curve.steps[0], curve.steps[-1]], [before, before], _GREY, "dash"))
    y_title = _("{unit}, {low:g} to {high:g} allowed").format(unit=range_.unit or _("value"), low=range_.bounds[0], high=range_.bounds[1])
    return Chart(key, range_title(range_), y_title, series, _so_far(series), _heights(series))


_MAKERS = {"dice": _dice, "structures": _structures, "losses": _losses}

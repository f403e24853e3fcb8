"""The figures of the page, in one style: quiet, and told apart without colour vision (Okabe and Ito's colours, markers, dashes)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from Learn2SynthLib.pictures import write_png

pyplot.switch_backend("Agg")
INK, FAINT, TRACK = "#191c22", "#6e747e", "#e8eaee"
BLUE, SKY, GREEN, ORANGE, VERMILION, PURPLE = "#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7"
BROWN = "#6b4423"  # one family more than they have colours for
pyplot.rcParams.update({
    "font.size": 9, "axes.titlesize": 10, "axes.titlelocation": "left", "lines.linewidth": 1.4, "lines.markersize": 5, "legend.frameon": False,
    "text.color": INK, "axes.labelcolor": INK, "xtick.labelcolor": INK, "ytick.labelcolor": INK, "xtick.color": FAINT, "ytick.color": FAINT,
    "axes.edgecolor": FAINT, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": TRACK, "axes.axisbelow": True,
    "figure.dpi": 120, "figure.constrained_layout.use": True,
})  # fmt: skip

Curve = Sequence[tuple[int, float, float, float, bool]]
# Colour, marker and line of each method: a colour a family, grey for those that never see a scan.
LOOKS: dict[str, tuple[str, str, Any]] = {
    "supervised": (GREEN, "s", ":"),
    "supervised, augmented": (GREEN, "s", "-"),
    "policy search": (VERMILION, "X", "-"),
    "policy search, synthetic": (VERMILION, "X", ":"),
    "mixed, side by side": (ORANGE, "D", "--"),
    "mixed": (ORANGE, "o", "-"),
    "fine-tuned": (ORANGE, "v", ":"),
    "cooperative": (PURPLE, "P", "-"),
    "cooperative, half synthetic": (PURPLE, "P", ":"),
    "learned transforms": (BROWN, "d", "-"),
    "randomised": (FAINT, "_", "--"),
    "randomised, T1 prior": (INK, "_", ":"),
    "learn2synth": (BLUE, "o", "-"),
    "learn2synth, nothing wide": (BLUE, "s", ":"),
    "learn2synth, network": (SKY, "^", ":"),
    "learn2synth, both": (SKY, "P", "-"),
}
FORMS = {"exact": (INK, "s"), "one_sided": (BLUE, "o"), "central": (VERMILION, "^")}
COSINES = {10.0**-k: f"{1 - 10.0**-k:.8g}" for k in range(9)}  # by their distances from 1


def write(figure: Figure, path: Path) -> None:
    """In few colours: such drawings need no more, and the file is a quarter as large."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    write_png(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(128), path)
    pyplot.close(figure)


def curves(panels: Mapping[str, Mapping[str, Curve]], path: Path) -> None:
    """Number of scans, mean, interval, and whether by an earlier protocol, of each method; neighbours stand beside each other to show all intervals."""
    figure, axes = pyplot.subplots(1, len(panels), figsize=(2.4 + 4.2 * len(panels), 3.8), sharey=True, squeeze=False)
    for ax, (title, methods) in zip(axes[0], panels.items()):
        for k, (method, points) in enumerate(methods.items()):
            if points:
                draw_curve(ax, method, points, 0.03 * (k - len(methods) / 2))
        scans = sorted({scans for points in methods.values() for scans, *_ in points})
        ax.set(title=title, xlabel="annotated scans", xticks=scans, xlim=(scans[0] - 0.5, scans[-1] + 0.5))
    axes[0][0].set_ylabel("mean Dice in domain")
    drawn = {method for methods in panels.values() for method, points in methods.items() if points}
    shown = [method for method in LOOKS if method in drawn]
    figure.legend([sample_of(method) for method in shown], shown, loc="outside right center")
    write(figure, path)


def draw_curve(ax: Axes, method: str, points: Curve, aside: float) -> None:
    """Figures by an earlier protocol are hollow, and no line joins them to the others."""
    colour, marker, line = LOOKS[method]
    for earlier, inside in ((True, "white"), (False, colour)):
        if alike := [point[:4] for point in points if point[4] == earlier]:
            scans, means, lows, highs = np.array(alike).T
            ax.vlines(scans + aside, lows, highs, colour, alpha=0.5, linewidth=1)
            ax.plot(scans + aside, means, color=colour, marker=marker, markerfacecolor=inside, markeredgewidth=0.9, linestyle=line)


def sample_of(method: str) -> Line2D:
    """How a method looks, for the legend: there no marker is hollow, for that says nothing of the method."""
    colour, marker, line = LOOKS[method]
    return Line2D([], [], color=colour, marker=marker, linestyle=line)


def heat_map(values: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str], title: str, path: Path) -> None:
    """Values from 0 to 1, each written into its field."""
    numbers = np.array(values)
    figure, ax = pyplot.subplots(figsize=(1.6 + 0.85 * len(columns), 0.9 + 0.3 * len(rows)))
    ax.imshow(numbers, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (r, c), value in np.ndenumerate(numbers):
        ax.text(c, r, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.6 else INK, fontsize=8)
    ax.set_xticks(range(len(columns)), [fill(name, 13) for name in columns], fontsize=8)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_title(title)
    ax.grid(False)
    ax.tick_params(length=0, top=False)
    ax.spines[:].set_visible(False)
    write(figure, path)


def recovery(experiments: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """A panel an experiment, a colour a parameter, a line a seed; dashed: what is planted."""
    columns = min(4, len(experiments))
    lines = math.ceil(len(experiments) / columns)
    figure, axes = pyplot.subplots(lines, columns, figsize=(0.6 + 2.3 * columns, 0.4 + 1.7 * lines), sharex=True, squeeze=False)
    for ax in axes.flat[len(experiments) :]:
        ax.set_visible(False)
    for k, (ax, (name, runs)) in enumerate(zip(axes.flat, experiments.items())):
        draw_recovery(ax, runs)
        ax.tick_params(labelbottom=k >= len(experiments) - columns)
        ax.set_title(name, fontsize=9)
    figure.supxlabel("step", fontsize=9)
    write(figure, path)


def draw_recovery(ax: Axes, runs: Sequence[Mapping[str, Any]]) -> None:
    planted = runs[0]["planted"]
    for colour, (key, value) in zip((BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, FAINT), planted.items()):
        for number, run in enumerate(runs):
            steps = run["curve_every"] * np.arange(len(run["curve"][key]))
            ax.plot(steps, run["curve"][key], color=colour, linewidth=0.9, label=None if number else key)
        ax.axhline(value, color=colour, linestyle="--", linewidth=1)
    if 1 < len(planted) < 4:  # more names would hide the curves
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.4 * (high - low))
        ax.legend(loc="upper right", fontsize=7, labelspacing=0.1, borderaxespad=0)


def transfer(panels: Mapping[str, Mapping[str, Sequence[Sequence[tuple[int, float]]]]], path: Path) -> None:
    """A panel a title, a colour a number of scans: mean Dice over the steps, begun at random (dashed) and pretrained."""
    figure, axes = pyplot.subplots(1, len(panels), figsize=(1.2 + 3.8 * len(panels), 3.2), sharey=True, squeeze=False)
    for ax, (title, pairs) in zip(axes[0], panels.items()):
        for colour, (name, pair) in zip((VERMILION, GREEN, BLUE, PURPLE), pairs.items()):
            for line, curve, label in zip(("--", "-"), pair, ("", name)):
                ax.plot(*np.array(curve).T, color=colour, linestyle=line, label=label)
        ax.set(title=title, xlabel="step")
        ax.legend(loc="lower right")
    axes[0][0].set(ylabel="mean Dice", ylim=(0.4, None))
    write(figure, path)


def slopes(panels: Sequence[tuple[str, float, Sequence[Mapping[str, Any]]]], path: Path) -> None:
    """A panel a title and what is planted: how strongly, and how surely, a parameter is pulled where it stands; bars: two standard errors."""
    columns = min(4, len(panels))
    lines = math.ceil(len(panels) / columns)
    figure, axes = pyplot.subplots(lines, columns, figsize=(0.6 + 2.6 * columns, 0.3 + 2.2 * lines), squeeze=False)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for ax, (title, planted, levels) in zip(axes.flat, panels):
        at, means, errors = ([level[key] for level in levels] for key in ("level", "mean", "error"))
        ax.errorbar(at, means, [2 * error for error in errors], color=BLUE, marker="o", markersize=4, linewidth=1)
        ax.axhline(0, color=FAINT, linewidth=1)
        ax.axvline(planted, color=BLUE, linewidth=1, linestyle="--")
        ax.set_title(title, fontsize=9)
    figure.supxlabel("level", fontsize=9)
    figure.supylabel("hypergradient", fontsize=9)
    write(figure, path)


def cosines(grids: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Cosine similarities over the steps, spread out where they are close to 1."""
    figure, axes = pyplot.subplots(1, len(grids), figsize=(2 + 3.8 * len(grids), 3.6), sharey=True, squeeze=False)
    for ax, (grid, steps) in zip(axes[0], grids.items()):
        places = [step["step"] for step in steps]
        for form, precision in dict.fromkeys((f["form"], f["precision"]) for step in steps for f in step["found"]):
            found = [next(f["cosine"] for f in step["found"] if (f["form"], f["precision"]) == (form, precision)) for step in steps]
            draw_cosines(ax, places, found, form, precision)
        ax.plot(places, distances([step["reference"]["cosine"] for step in steps]), color=FAINT, linewidth=1, linestyle=":", label="reference with itself")
        ax.set(title=grid, xlabel="step", yscale="log")
        ax.set_yticks(list(COSINES), list(COSINES.values()))
        ax.minorticks_off()
    axes[0][0].invert_yaxis()
    axes[0][0].set_ylabel("cosine similarity")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside right center")
    write(figure, path)


def draw_cosines(ax: Axes, steps: Sequence[int], found: Sequence[float], form: str, precision: str) -> None:
    colour, marker = FORMS[form]
    line, fill_colour = ("-", colour) if precision == "float64" else ("--", "white")
    ax.plot(steps, distances(found), color=colour, marker=marker, linestyle=line, markerfacecolor=fill_colour, label=f"{form}, {precision}")


def distances(found: Sequence[float]) -> np.ndarray:
    """Distances from 1, as far as they are written down."""
    return np.maximum(1 - np.array(found), 1e-9)

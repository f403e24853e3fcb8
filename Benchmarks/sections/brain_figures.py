"""The figures of a model's page, in the style of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes

from .figures import BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION, write

LOOKS = ((BLUE, "o"), (SKY, "s"), (VERMILION, "D"), (ORANGE, "^"), (PURPLE, "v"), (GREEN, "P"), (INK, "X"), (FAINT, "d"))


def accuracy(columns: Mapping[str, Mapping[str, Sequence[float]]], path: Path) -> None:
    """A line a structure, a colour a data set: mean Dice over the scans, and from the lowest to the highest of them."""
    names = list(next(iter(columns.values())))
    figure, ax = pyplot.subplots(figsize=(9, 0.9 + 0.42 * len(names)))
    for k, (column, scores) in enumerate(columns.items()):
        colour, marker = LOOKS[k % len(LOOKS)]
        shown = [(r + 0.11 * (k - (len(columns) - 1) / 2), scores[name]) for r, name in enumerate(names) if scores[name]]
        places, means = [place for place, _ in shown], [sum(values) / len(values) for _, values in shown]
        ax.hlines(places, [min(values) for _, values in shown], [max(values) for _, values in shown], colour, alpha=0.5, linewidth=1)
        ax.plot(means, places, color=colour, marker=marker, linestyle="", markersize=4, label=column)
    name_rows(ax, names)
    ax.set(xlim=(-0.01, 1), xlabel="Dice")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    write(figure, path)


def robustness(rows: Mapping[str, Mapping[str, tuple[float, float]]], path: Path) -> None:
    """A panel a data set, a line a disturbance: from the mean Dice of the undisturbed scan (grey) to that of the disturbed one."""
    heights = [1 + len(found) for found in rows.values()]
    figure, axes = pyplot.subplots(len(rows), 1, figsize=(7, 0.8 + 0.21 * sum(heights)), height_ratios=heights, sharex=True, squeeze=False)
    for ax, (row, found) in zip(axes[:, 0], rows.items()):
        places = list(range(len(found)))
        before, after = zip(*found.values())
        ax.hlines(places, before, after, VERMILION, linewidth=1.2)
        ax.plot(before, places, color=FAINT, marker="|", linestyle="", markersize=9, label="undisturbed, same voxels")
        ax.plot(after, places, color=VERMILION, marker="o", linestyle="", markersize=4, label="disturbed")
        name_rows(ax, list(found))
        ax.set(title=row, xlim=(0, 1))
    axes[-1, 0].set_xlabel("mean Dice")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=8)
    write(figure, path)


def quality(cases: np.ndarray, path: Path) -> None:
    """cases: (n, 2), quality and Dice."""
    estimates, dice = cases.T
    figure, ax = pyplot.subplots(figsize=(5, 4.4))
    ax.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
    ax.plot(estimates, dice, color=SKY, marker="o", linestyle="", markersize=2, alpha=0.4, label="a structure of a scan")
    tenths = np.minimum((10 * estimates).astype(int), 9)
    places = [(estimates[tenths == k].mean(), dice[tenths == k].mean()) for k in range(10) if (tenths == k).any()]
    ax.plot(*zip(*places), color=VERMILION, marker="D", markersize=4, linewidth=1, label="mean of a tenth")
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="quality", ylabel="Dice")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=8)
    write(figure, path)


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """From the top down."""
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)

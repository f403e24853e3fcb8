"""What a training looks like in Slicer: previews in the slice views and their history, curves in a plot. Driven by one timer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from Learn2SynthLib.labels import LabelTable

from ..translation import tr as _
from .charts import make_chart
from .history import MOST_PREVIEWS, PreviewHistory
from .loading import PreviewLoader
from .plots import Plot
from .progress import Preview, Progress
from .views import SliceViews

_BUDGET = 0.02  # seconds of one tick after which the rest waits for the next


class Watch:
    """Shows the run in `folder`, whose target table is `table`, in `scene`.

    problem: what keeps previews from being shown, in words, else empty.
    """

    def __init__(self, scene: Any, folder: Path, table: LabelTable) -> None:
        self.problem = ""
        self._scene = scene
        self._views = SliceViews(scene)
        self._plot = Plot(scene)
        self._history: PreviewHistory | None = PreviewHistory(scene, folder.name, table)
        self._loader = PreviewLoader(folder / "previews")
        self._asked: set[int] = set()
        self._in_views: set[str] = set()
        self._laid_out = False
        self._chart, self._drawn = "", ("", -1)

    @property
    def history(self) -> PreviewHistory | None:
        """What there is to scrub through; None once its nodes were deleted."""
        return self._history

    @property
    def busy(self) -> bool:
        """Whether there are previews that are not shown yet."""
        return self._history is not None and self._loader.busy

    def lay_out(self, layout_manager: Any) -> None:
        """Shows previews in three slice views beside a plot; `leave` brings back what the user had. None: the layout stays."""
        self._laid_out = True
        self._views.lay_out(layout_manager)
        self._plot.bring_to_front()
        self._fill_views()

    def choose_chart(self, key: str) -> None:
        """The chart to show from the next tick on: a key of `chart_titles`."""
        self._chart = key

    def tick(self, progress: Progress) -> None:
        """Catches up with the run, as far as a few milliseconds allow."""
        deadline = time.monotonic() + _BUDGET
        self._draw(progress)
        if self._check():
            self._ask(progress.previews)
            while time.monotonic() < deadline and self._take():
                pass

    def leave(self) -> None:
        """Ends watching: the views show what they did before, and the nodes are gone."""
        self._loader.close()
        self._views.restore()
        self._plot.remove()
        if self._history is not None:
            self._history.remove()
        self._history = None

    def forget(self) -> None:
        """Ends watching because the scene closes: there is nothing to bring back or to remove."""
        self._loader.close()
        self._views.forget()
        self._history = None

    def _draw(self, progress: Progress) -> None:
        """The chosen chart, when it is another one or there is something new."""
        wanted = self._chart, progress.revision
        chart = make_chart(progress, self._chart) if wanted != self._drawn else None
        if chart is not None:
            self._plot.show(chart)
            if self._chart != self._drawn[0]:
                self._plot.bring_to_front()
            self._drawn = wanted

    def _take(self) -> bool:
        """Takes in one preview; False when there is none."""
        loaded = self._loader.take()
        if loaded is None or self._history is None:
            return False
        self.problem = loaded.problem
        if loaded.step in self._asked:
            self._history.add(loaded)
            self._fill_views()
        return True

    def _fill_views(self) -> None:
        """Once for each kind of volume: what the user makes of the views later is his."""
        if self._laid_out and self._history is not None and set(self._history.nodes) - self._in_views:
            self._in_views = set(self._history.nodes)
            self._views.show(self._history.nodes, self._history.voxels)

    def _ask(self, previews: Sequence[Preview]) -> None:
        """For previews that are new; drops those that a resumed run has taken back."""
        assert self._history is not None
        steps = {preview.step for preview in previews}
        new = [preview for preview in previews if preview.step not in self._asked]
        if self._asked - steps:
            self._asked &= steps
            self._history.keep(steps)
        self._asked |= steps
        self._loader.want(_evenly(new, MOST_PREVIEWS))

    def _check(self) -> bool:
        """Whether previews can be shown."""
        if self._history is not None and not self._history.complete:
            self._history.remove()
            self._history = None
            self.problem = _("Previews are no longer shown, because one of their nodes was deleted. Take the tick away and set it again to show them.")
        return self._history is not None


def _evenly(previews: Sequence[Preview], most: int) -> list[Preview]:
    """At most that many of them, the first and the last among them."""
    if len(previews) <= most:
        return list(previews)
    return [previews[round(k * (len(previews) - 1) / (most - 1))] for k in range(most)]

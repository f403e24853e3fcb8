"""Watch: what the training does, in Slicer's own views, and what it has learned, in figures."""

from __future__ import annotations

import slicer

from Learn2SynthLib.labels import LabelTable, load_table
from Learn2SynthLib.learned import LearnedRange, interval, learned_ranges
from Learn2SynthLib.run import Run

from ..translation import tr as _
from ..watching.charts import chart_titles, range_title
from ..watching.progress import Progress
from ..watching.watch import Watch
from .context import Context, Section, fill, selected_rows, silenced, text_item, tidy


class WatchSection(Section):
    def __init__(self, context: Context) -> None:
        self.context, self.ui = context, context.ui
        self.run: Run | None = None
        self.watch: Watch | None = None
        self.progress = Progress()
        self._ranges: list[LearnedRange] = []
        ui = self.ui
        ui.showPreviewsCheckBox.connect("toggled(bool)", self.onShow)
        ui.historySlider.connect("valueChanged(int)", self.onHistory)
        ui.newestButton.connect("clicked()", self.onNewest)
        ui.chartComboBox.connect("currentIndexChanged(int)", self.onChart)
        ui.learnedTable.connect("itemSelectionChanged()", self.onRange)
        tidy(ui.learnedTable, 0)
        self._update()

    def open(self, run: Run | None, progress: Progress, show: bool) -> None:
        """Another run, which `progress` gathers. show: put its previews into the views at once."""
        self.hide()
        self.run, self.progress, self._ranges = run, progress, []
        self.ui.learnedTable.rowCount = 0
        self.ui.showPreviewsCheckBox.enabled = run is not None
        if run is None:
            self.context.say(self.ui.headlineLabel, _("No training is open: start one, or open one."))
        self.told()
        if show and run is not None:
            self.ui.watchCollapsibleButton.collapsed = False
            self.ui.showPreviewsCheckBox.checked = True

    def told(self) -> None:
        """There are new events."""
        titles = chart_titles(self.progress)
        combo = self.ui.chartComboBox
        if [combo.itemData(n) for n in range(combo.count)] != list(titles):
            fill(combo, titles, self.context.settings.chart)
            self._draw()
        self._show_ranges()

    def hide(self) -> None:
        """Brings the user's own views back."""
        self.ui.showPreviewsCheckBox.checked = False

    # --- the views

    def onShow(self, on: bool) -> None:
        self._leave()
        if not on or self.run is None:
            return
        with self.context.attempt(self.ui.watchMessageLabel):
            self.watch = Watch(slicer.mrmlScene, self.run.folder, self._table(self.run))
            self._draw()
            self.watch.lay_out(slicer.app.layoutManager())
            self.context.wake()

    def _table(self, run: Run) -> LabelTable:
        """What the run's network predicts; a training that has only begun has not written it down yet."""
        return load_table(run.config()["target"] if run.exists() else self.context.settings.target)

    def _leave(self) -> None:
        if self.watch is not None:
            self.watch.leave()
            self.watch = None
        self._update()

    @property
    def active(self) -> bool:
        return self.watch is not None and self.watch.busy

    def tick(self) -> None:
        if self.watch is not None:
            self.watch.tick(self.progress)
            self.context.say(self.ui.watchMessageLabel, self.watch.problem, wrong=True)
            self._update()

    def stop(self) -> None:
        """The scene closes, or Slicer does: what is shown goes with it."""
        if self.watch is not None:
            self.watch.forget()
            self.watch = None
        with silenced(self.ui.showPreviewsCheckBox):
            self.ui.showPreviewsCheckBox.checked = False
        self._update()

    def _update(self) -> None:
        """Slider and step, as the history stands."""
        history = self.watch.history if self.watch is not None else None
        steps = history.steps if history is not None else []
        slider = self.ui.historySlider
        with silenced(slider):
            slider.maximum = max(0, len(steps) - 1)
            slider.value = steps.index(history.step) if history is not None and history.step in steps else 0
        slider.enabled = len(steps) > 1
        self.ui.newestButton.enabled = bool(history is not None and steps and not history.at_newest)
        self.ui.historyLabel.text = _("step {step}").format(step=history.step) if history is not None and steps else ""

    def onHistory(self, index: int) -> None:
        history = self.watch.history if self.watch is not None else None
        if history is not None and index < len(history.steps):
            history.show(history.steps[index])
            self._update()

    def onNewest(self) -> None:
        if self.watch is not None and self.watch.history is not None:
            self.watch.history.show(self.watch.history.steps[-1])
            self._update()

    # --- curves and figures

    def onChart(self, _index: int) -> None:
        self.context.settings.chart = self.ui.chartComboBox.currentData
        self.context.save()
        self._draw()

    def _draw(self) -> None:
        """The chart that is chosen; until the user chooses, the first there is."""
        if self.watch is not None:
            self.watch.choose_chart(self.ui.chartComboBox.currentData or "")
            self.watch.tick(self.progress)

    def _show_ranges(self) -> None:
        """Every learned parameter beside what it was before."""
        table = self.ui.learnedTable
        now = {name: curve.last for name, curve in self.progress.learned.items()}
        self._ranges = learned_ranges(now, self.progress.prior)
        table.visible = bool(self._ranges)
        while table.rowCount < len(self._ranges):
            row = table.rowCount
            table.insertRow(row)
            for column in range(table.columnCount):
                table.setItem(row, column, text_item(""))
        for row, one in enumerate(self._ranges):
            for column, text in enumerate((one.title, interval(one.prior, one.unit), interval(one.learned, one.unit))):
                item = table.item(row, column)
                if item.text() != text:
                    item.setText(text)

    def onRange(self) -> None:
        rows = selected_rows(self.ui.learnedTable)
        if rows:
            index = self.ui.chartComboBox.findText(range_title(self._ranges[rows[0]]))
            if index >= 0:
                self.ui.chartComboBox.currentIndex = index

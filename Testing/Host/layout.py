"""`slicer.app.layoutManager()`: three slice views, and in the fourth place a 3D view or a plot, whichever the layout asks for."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6.QtCore import Signal

from Testing.Host import qt_names
from Testing.Host.plot_view import PlotView
from Testing.Host.views import SLICE_VIEWS, SliceView, ThreeDView, View

qt = qt_names.qt_module()
NODE = slicer.vtkMRMLLayoutNode
WITH_PLOT = {getattr(NODE, name) for name in dir(NODE) if name.startswith("SlicerLayout") and "Plot" in name}
REFRESH_MS = 40


class LayoutManager(qt.QWidget):
    """qSlicerLayoutManager, and the widget that holds its views. Views on a visible window are drawn again when something has changed."""

    IS_DOUBLE = True
    SIGNALS = ("layoutChanged(int)",)
    layoutChanged = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        self._logic.SetMRMLScene(slicer.mrmlScene)
        self._slices = {name: SliceView(name) for name in SLICE_VIEWS}
        self._three_d, self._plot = ThreeDView(), PlotView()
        self._paused = 0
        grid = qt.QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(2)
        places = ((self._slices["Red"], 0, 0), (self._three_d, 0, 1), (self._plot, 0, 1), (self._slices["Green"], 1, 0), (self._slices["Yellow"], 1, 1))
        for view, row, column in places:
            grid.addWidget(view, row, column)
        for line in (0, 1):
            grid.setRowStretch(line, 1)
            grid.setColumnStretch(line, 1)
        self._logic.GetLayoutNode().AddObserver(vtk.vtkCommand.ModifiedEvent, self._arrange)
        self._timer = qt.QTimer(self)
        self._timer.setInterval(REFRESH_MS)
        self._timer.timeout.connect(self.refresh)
        self.setLayout(NODE.SlicerLayoutFourUpView)

    def views(self) -> list[View]:
        """Those that the layout shows."""
        return [*self._slices.values(), self._plot if self.layout in WITH_PLOT else self._three_d]

    def refresh(self) -> None:
        """Draw what has changed, of what is on a visible window."""
        for view in self.views():
            if not self._paused and view.isVisible() and view.is_dirty():
                view.render()

    def render(self) -> None:
        """Draw everything now."""
        for view in self.views():
            view.render()

    def showEvent(self, _event: qt.QShowEvent) -> None:
        self._timer.start()

    def hideEvent(self, _event: qt.QHideEvent) -> None:
        self._timer.stop()

    def reset(self) -> None:
        """As in a new scene, with the views of a new Slicer."""
        self.setLayout(NODE.SlicerLayoutFourUpView)
        self._paused = 0
        for view in self._slices.values():
            view.reset()

    def pause(self) -> None:
        self._paused += 1

    def resume(self) -> None:
        self._paused = max(0, self._paused - 1)

    # --- what Slicer's has

    @property
    def layout(self) -> int:
        return self._logic.GetLayoutNode().GetViewArrangement()

    @layout.setter
    def layout(self, value: int) -> None:
        self.setLayout(value)

    def setLayout(self, layout: int) -> None:
        self._logic.GetLayoutNode().SetViewArrangement(layout)
        self._arrange()

    def layoutLogic(self) -> slicer.vtkMRMLLayoutLogic:
        return self._logic

    def sliceViewNames(self) -> list[str]:
        return list(self._slices)

    def sliceWidget(self, name: str) -> SliceView | None:
        return self._slices.get(name)

    def mrmlSliceLogics(self) -> vtk.vtkCollection:
        return slicer.app.applicationLogic().GetSliceLogics()

    @property
    def threeDViewCount(self) -> int:
        return 1

    def threeDWidget(self, index: int) -> ThreeDView | None:
        return self._three_d if index == 0 else None

    @property
    def plotViewCount(self) -> int:
        return int(self.layout in WITH_PLOT)

    def plotWidget(self, index: int) -> PlotView | None:
        return self._plot if index == 0 else None

    def resetSliceViews(self) -> None:
        for view in self._slices.values():
            view.fitSliceToBackground()

    def resetThreeDViews(self) -> None:
        self._three_d.resetFocalPoint()

    def _arrange(self, *_: Any) -> None:
        with_plot = self.layout in WITH_PLOT
        if self._plot.isHidden() == with_plot:
            self._plot.visible, self._three_d.visible = with_plot, not with_plot
            self.layoutChanged.emit(self.layout)

"""`slicer.app.layoutManager()`: three slice views, and in the fourth place a 3D view or a plot, whichever the layout asks for."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from Testing.Host.plot_view import PlotView
from Testing.Host.qt_names import qt
from Testing.Host.views import SLICE_VIEWS, SliceView, ThreeDView, View

FOUR_UP, WITH_PLOT = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView, slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView
REFRESH_MS = 40


class LayoutManager(qt.QWidget):
    """qSlicerLayoutManager, and the widget that holds its views. Views on a visible window are drawn again when something has changed."""

    layout = property(lambda self: self._node.GetViewArrangement(), lambda self, value: self.setLayout(value))

    def __init__(self) -> None:
        super().__init__()
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        self._logic.SetMRMLScene(slicer.mrmlScene)
        self._node = self._logic.GetLayoutNode()
        slices = {name: SliceView(name) for name in SLICE_VIEWS}
        self._views = {**slices, "3D": ThreeDView(), "plot": PlotView()}
        grid = qt.QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(2)
        for name, row, column in (("Red", 0, 0), ("3D", 0, 1), ("plot", 0, 1), ("Green", 1, 0), ("Yellow", 1, 1)):
            grid.addWidget(self._views[name], row, column)
            grid.setRowStretch(row, 1)
            grid.setColumnStretch(column, 1)
        self._node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._arrange)
        self._timer = qt.QTimer(self)
        self._timer.setInterval(REFRESH_MS)
        self._timer.timeout.connect(self._refresh)
        self._timer.start()
        self.setLayout(FOUR_UP)

    def view(self, name: str) -> View:
        """The slice view Red, Yellow or Green, "3D" or "plot"."""
        return self._views[name]

    def shown(self) -> list[View]:
        return [view for view in self._views.values() if not view.isHidden()]

    def _refresh(self) -> None:
        for view in self.shown():
            if view.isVisible() and view.is_dirty():
                view.render()

    def _arrange(self, *_: Any) -> None:
        with_plot = self.layout == WITH_PLOT
        self._views["plot"].visible, self._views["3D"].visible = with_plot, not with_plot

    # --- what Slicer's has

    def setLayout(self, layout: int) -> None:
        self._node.SetViewArrangement(layout)
        self._arrange()

    def sliceWidget(self, name: str) -> SliceView:
        return self._views[name]

    def mrmlSliceLogics(self) -> vtk.vtkCollection:
        return slicer.app.applicationLogic().GetSliceLogics()

    def resetSliceViews(self) -> None:
        for name in SLICE_VIEWS:
            self._views[name].sliceLogic().FitSliceToBackground()

    def resetThreeDViews(self) -> None:
        self._views["3D"].reset()

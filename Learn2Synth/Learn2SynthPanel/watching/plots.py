"""A chart as Slicer's own plot nodes, renewed in place while a training runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from ..nodes import add_node, is_there, remove_nodes
from ..translation import tr as _
from .charts import Chart, Series
from .views import view_node

_SHOWS = "plots"
_VIEW = "PlotView1"  # of Slicer's layouts that have a plot
_PLOT = slicer.vtkMRMLPlotSeriesNode
_LINES = {"solid": _PLOT.LineStyleSolid, "dash": _PLOT.LineStyleDash, "dot": _PLOT.LineStyleDot, "none": _PLOT.LineStyleNone}


class Plot:
    """One table, one chart, and as many series nodes as any chart shown so far had. A node that was deleted is made again."""

    def __init__(self, scene: Any) -> None:
        remove_nodes(scene, _SHOWS)  # of a panel that was reloaded
        self._scene = scene
        self._table: Any = None
        self._chart: Any = None
        self._former: Any = None  # the user's own chart in the same view
        self._series: list[Any] = []

    @property
    def chart_node(self) -> Any:
        """The vtkMRMLPlotChartNode; None before the first chart."""
        return self._chart

    def show(self, chart: Chart) -> None:
        """Draws the chart, in place of the one before."""
        self._make_nodes(len(chart.series))
        self._table.SetAndObserveTable(_table_of(chart.series))
        for index, (node, series) in enumerate(zip(self._series, chart.series)):
            _describe(node, self._table, series, index)
        _title(self._chart, chart)
        shown = [node.GetID() for node in self._series[: len(chart.series)]]
        if _shown(self._chart) != shown:
            self._chart.RemoveAllPlotSeriesNodeIDs()
            for each in shown:
                self._chart.AddAndObservePlotSeriesNodeID(each)
        if (view := self._view()) is not None and view.GetPlotChartNode() is None:
            self.bring_to_front()

    def bring_to_front(self) -> None:
        """Puts the chart into the plot view beside the slice views, if there is one."""
        view = self._view()
        if view is not None and is_there(self._scene, self._chart) and view.GetPlotChartNode() is not self._chart:
            self._former = view.GetPlotChartNode() or self._former
            view.SetPlotChartNodeID(self._chart.GetID())

    def _view(self) -> Any:
        return view_node(self._scene, "vtkMRMLPlotViewNode", _VIEW)

    def remove(self) -> None:
        """Takes all of its nodes out of the scene; the plot view shows what it did before."""
        view = self._view()
        if view is not None and view.GetPlotChartNode() is self._chart and is_there(self._scene, self._former):
            view.SetPlotChartNodeID(self._former.GetID())
        remove_nodes(self._scene, _SHOWS)

    def _make_nodes(self, count: int) -> None:
        """Those that are missing."""
        scene = self._scene
        if not is_there(scene, self._table):
            self._table = add_node(scene, "vtkMRMLTableNode", _("Learn2Synth curves"), _SHOWS)
        if not is_there(scene, self._chart):
            self._chart = add_node(scene, "vtkMRMLPlotChartNode", _("Learn2Synth chart"), _SHOWS)
            _prepare(self._chart)
        self._series = [node for node in self._series if is_there(scene, node)]
        for _missing in range(count - len(self._series)):
            self._series.append(add_node(scene, "vtkMRMLPlotSeriesNode", _("Learn2Synth curve"), _SHOWS))


def _table_of(series: Sequence[Series]) -> Any:
    """Two columns for each series. The columns of a table are equally long, so shorter ones repeat their last point, which shows nothing."""
    table, rows = vtk.vtkTable(), max((2, *(len(one.xs) for one in series)))  # VTK complains of lines of one point
    for index, one in enumerate(series):
        for name, values in zip(_columns(index), (one.xs, one.ys)):
            column = numpy_to_vtk(np.pad(np.asarray(values, dtype=np.float64), (0, rows - len(values)), mode="edge"), deep=True)
            column.SetName(name)
            table.AddColumn(column)
    return table


def _columns(index: int) -> tuple[str, str]:
    return f"step {index + 1}", f"value {index + 1}"


def _describe(node: Any, table: Any, series: Series, index: int) -> None:
    """Says how a series looks, all at once."""
    before = node.StartModify()
    node.SetName(series.name)
    node.SetAndObserveTableNodeID(table.GetID())
    node.SetPlotType(_PLOT.PlotTypeScatter)
    for put, column in zip((node.SetXColumnName, node.SetYColumnName), _columns(index)):
        put(column)
    node.SetColor(*series.colour)
    node.SetLineStyle(_LINES[series.line])
    node.SetLineWidth(series.width)
    node.SetMarkerStyle(_PLOT.MarkerStyleCircle if series.markers else _PLOT.MarkerStyleNone)
    node.SetMarkerSize(series.width if series.line == "none" else 2 + 2 * series.width)
    node.EndModify(before)


def _prepare(chart: Any) -> None:
    """Letters for a quarter of the window, where Slicer's own sizes leave no room for curves; axes as they are told."""
    chart.SetXAxisTitle(_("training step"))
    chart.SetXAxisRangeAuto(False)
    chart.SetYAxisRangeAuto(False)
    chart.SetTitleFontSize(14)
    chart.SetAxisTitleFontSize(12)
    chart.SetAxisLabelFontSize(11)
    chart.SetLegendFontSize(11)


def _title(node: Any, chart: Chart) -> None:
    before = node.StartModify()
    node.SetTitle(chart.title)
    node.SetYAxisTitle(chart.y_title)
    node.SetLegendVisibility(len(chart.series) > 1)
    node.SetXAxisRange(*chart.x_range)
    node.SetYAxisRange(*chart.y_range)
    node.EndModify(before)


def _shown(chart: Any) -> list[str]:
    return [chart.GetNthPlotSeriesNodeID(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]

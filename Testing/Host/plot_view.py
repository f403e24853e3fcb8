"""The plot view: draws the chart that a vtkMRMLPlotViewNode names, as Slicer's plot widget does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import slicer
import vtk

from Testing.Host.views import View, interactor_for

SERIES = slicer.vtkMRMLPlotSeriesNode
PENS = {
    SERIES.LineStyleNone: vtk.vtkPen.NO_PEN,
    SERIES.LineStyleSolid: vtk.vtkPen.SOLID_LINE,
    SERIES.LineStyleDash: vtk.vtkPen.DASH_LINE,
    SERIES.LineStyleDot: vtk.vtkPen.DOT_LINE,
    SERIES.LineStyleDashDot: vtk.vtkPen.DASH_DOT_LINE,
    SERIES.LineStyleDashDotDot: vtk.vtkPen.DASH_DOT_DOT_LINE,
}
MARKERS = {
    SERIES.MarkerStyleNone: vtk.vtkPlotPoints.NONE,
    SERIES.MarkerStyleCross: vtk.vtkPlotPoints.CROSS,
    SERIES.MarkerStylePlus: vtk.vtkPlotPoints.PLUS,
    SERIES.MarkerStyleSquare: vtk.vtkPlotPoints.SQUARE,
    SERIES.MarkerStyleCircle: vtk.vtkPlotPoints.CIRCLE,
    SERIES.MarkerStyleDiamond: vtk.vtkPlotPoints.DIAMOND,
}


class PlotView(View):
    """qMRMLPlotWidget and its view in one."""

    def __init__(self) -> None:
        super().__init__("P1", "#d0d0d0")
        self._node = slicer.vtkMRMLPlotViewNode()
        self._node.SetLayoutName("PlotView1")
        self._node.SetSingletonTag("PlotView1")
        self._node = slicer.mrmlScene.AddNode(self._node)
        self._drawn: tuple[Any, ...] = ()

    def plotView(self) -> PlotView:
        return self

    def mrmlPlotViewNode(self) -> slicer.vtkMRMLPlotViewNode:
        return self._node

    def fitToContent(self) -> None:
        self._dirty = True

    def chart_node(self) -> slicer.vtkMRMLPlotChartNode | None:
        return self._node.GetPlotChartNode()

    def is_dirty(self) -> bool:
        """Nodes are asked for their times: a table may change without telling its chart."""
        return super().is_dirty() or self._state() != self._drawn

    def start_drawing(self, window: vtk.vtkRenderWindow) -> None:
        self._view, self._chart = vtk.vtkContextView(), vtk.vtkChartXY()
        self._view.SetRenderWindow(window)
        self._view.SetInteractor(interactor_for(window))
        self._view.GetRenderer().SetBackground(1, 1, 1)
        self._view.GetScene().AddItem(self._chart)

    def before_drawing(self, width: int, height: int) -> None:
        node = self.chart_node()
        self._drawn = self._state()
        self._chart.ClearPlots()
        self._chart.SetVisible(node is not None)
        if node is None:
            return
        for series in _series(node):
            if series.GetTableNode() is not None:
                self._add(series)
        _describe(self._chart, node)
        self._chart.RecalculateBounds()

    def _state(self) -> tuple[Any, ...]:
        node = self.chart_node()
        series = list(_series(node)) if node else []
        tables = [one.GetTableNode() for one in series if one.GetTableNode()]
        watched = [*([node] if node else []), *series, *tables, *(table.GetTable() for table in tables)]
        columns = [column.GetMTime() for table in tables for column in (table.GetTable().GetColumn(n) for n in range(table.GetTable().GetNumberOfColumns()))]
        return (node and node.GetID(), *(each.GetMTime() for each in watched), *columns)

    def _add(self, series: slicer.vtkMRMLPlotSeriesNode) -> None:
        """Lines and bars count their rows along X unless they are of the scatter kinds."""
        table, kind = series.GetTableNode().GetTable(), series.GetPlotType()
        if table.GetColumnByName(series.GetYColumnName()) is None or table.GetNumberOfRows() == 0:
            return
        scattered = kind in (SERIES.PlotTypeScatter, SERIES.PlotTypeScatterBar) and table.GetColumnByName(series.GetXColumnName() or "") is not None
        plot = self._chart.AddPlot(vtk.vtkChart.BAR if kind in (SERIES.PlotTypeBar, SERIES.PlotTypeScatterBar) else vtk.vtkChart.LINE)
        plot.SetUseIndexForXSeries(not scattered)
        plot.SetInputData(table, series.GetXColumnName() if scattered else series.GetYColumnName(), series.GetYColumnName())
        plot.SetColorF(*series.GetColor(), series.GetOpacity())
        plot.SetLabel(series.GetName())
        plot.SetWidth(series.GetLineWidth())
        plot.GetPen().SetLineType(PENS[series.GetLineStyle()])
        if isinstance(plot, vtk.vtkPlotPoints):
            plot.SetMarkerStyle(MARKERS[series.GetMarkerStyle()])
            plot.SetMarkerSize(series.GetMarkerSize())


def _series(node: slicer.vtkMRMLPlotChartNode) -> Iterator[slicer.vtkMRMLPlotSeriesNode]:
    for index in range(node.GetNumberOfPlotSeriesNodes()):
        series = node.GetNthPlotSeriesNode(index)
        if series is not None:
            yield series


def _describe(chart: vtk.vtkChartXY, node: slicer.vtkMRMLPlotChartNode) -> None:
    """Title, legend and axes."""
    chart.SetTitle(node.GetTitle() or "" if node.GetTitleVisibility() else "")
    chart.GetTitleProperties().SetFontSize(node.GetTitleFontSize())
    chart.SetShowLegend(node.GetLegendVisibility())
    chart.GetLegend().GetLabelProperties().SetFontSize(node.GetLegendFontSize())
    axes = ((vtk.vtkAxis.BOTTOM, "X"), (vtk.vtkAxis.LEFT, "Y"))
    for side, letter in axes:
        axis = chart.GetAxis(side)
        axis.SetTitle(getattr(node, f"Get{letter}AxisTitle")() or "" if getattr(node, f"Get{letter}AxisTitleVisibility")() else "")
        axis.GetTitleProperties().SetFontSize(node.GetAxisTitleFontSize())
        axis.GetTitleProperties().SetBold(False)
        axis.GetLabelProperties().SetFontSize(node.GetAxisLabelFontSize())
        axis.SetGridVisible(node.GetGridVisibility())
        axis.SetLogScale(getattr(node, f"Get{letter}AxisLogScale")())
        automatic = getattr(node, f"Get{letter}AxisRangeAuto")()
        axis.SetBehavior(vtk.vtkAxis.AUTO if automatic else vtk.vtkAxis.FIXED)
        if not automatic:
            axis.SetRange(*getattr(node, f"Get{letter}AxisRange")())

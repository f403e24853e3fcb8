"""The plot view: draws the chart that a vtkMRMLPlotViewNode names, as Slicer's plot widget does."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from Testing.Host.views import View

SERIES = slicer.vtkMRMLPlotSeriesNode
PENS = {
    SERIES.LineStyleNone: vtk.vtkPen.NO_PEN,
    SERIES.LineStyleSolid: vtk.vtkPen.SOLID_LINE,
    SERIES.LineStyleDash: vtk.vtkPen.DASH_LINE,
    SERIES.LineStyleDot: vtk.vtkPen.DOT_LINE,
}
MARKERS = {SERIES.MarkerStyleNone: vtk.vtkPlotPoints.NONE, SERIES.MarkerStyleCircle: vtk.vtkPlotPoints.CIRCLE}


class PlotView(View):
    """qMRMLPlotWidget and its view in one; scatter plots with the styles that our charts have."""

    def __init__(self) -> None:
        node = slicer.vtkMRMLPlotViewNode()
        node.SetLayoutName("PlotView1")
        node.SetSingletonTag("PlotView1")
        super().__init__("P1", "#d0d0d0", slicer.mrmlScene.AddNode(node))
        self._drawn: list[Any] = []
        self._plots: dict[slicer.vtkMRMLPlotSeriesNode, Any] = {}

    def is_dirty(self) -> bool:
        """Nodes are asked for their times: a table may change without telling its chart."""
        return self._dirty or self._state() != self._drawn

    def axis(self, letter: str) -> vtk.vtkAxis:
        return self._chart.GetAxis({"X": vtk.vtkAxis.BOTTOM, "Y": vtk.vtkAxis.LEFT}[letter])

    def _state(self) -> list[Any]:
        chart, series = self._node.GetPlotChartNode(), self._series()
        watched = [chart, *series, *(one.GetTableNode() for one in series)] if chart else []
        return [(node.GetID(), node.GetMTime()) for node in watched]

    def _series(self) -> list[slicer.vtkMRMLPlotSeriesNode]:
        chart = self._node.GetPlotChartNode()
        series = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())] if chart else []
        return [one for one in series if one is not None and one.GetTableNode() is not None]

    def _start_drawing(self, window: vtk.vtkRenderWindow) -> None:
        self._view, self._chart = vtk.vtkContextView(), vtk.vtkChartXY()
        self._view.SetRenderWindow(window)
        self._view.GetRenderer().SetBackground(1, 1, 1)
        self._view.GetScene().AddItem(self._chart)

    def _before_drawing(self) -> None:
        node, self._drawn = self._node.GetPlotChartNode(), self._state()
        self._chart.SetVisible(node is not None)
        series = self._series()
        joined, left = set(series) - self._plots.keys(), self._plots.keys() - set(series)
        for one in left:
            self._chart.RemovePlotInstance(self._plots.pop(one))
        for one in series:
            if one in joined:
                self._plots[one] = self._chart.AddPlot(vtk.vtkChart.LINE)
            self._draw(self._plots[one], one)
        if node is not None:
            self._describe(node)
        if joined or left:  # as in Slicer: automatic axes stay as they are when a series grows
            self._chart.RecalculateBounds()

    def _draw(self, plot: Any, series: slicer.vtkMRMLPlotSeriesNode) -> None:
        plot.SetInputData(series.GetTableNode().GetTable(), series.GetXColumnName(), series.GetYColumnName())
        plot.SetColorF(*series.GetColor(), series.GetOpacity())
        plot.SetLabel(series.GetName())
        plot.SetWidth(series.GetLineWidth())
        plot.GetPen().SetLineType(PENS[series.GetLineStyle()])
        plot.SetMarkerStyle(MARKERS[series.GetMarkerStyle()])
        plot.SetMarkerSize(series.GetMarkerSize())

    def _describe(self, node: slicer.vtkMRMLPlotChartNode) -> None:
        """Title, legend and axes."""
        chart = self._chart
        chart.SetTitle(node.GetTitle() or "")
        chart.GetTitleProperties().SetFontSize(node.GetTitleFontSize())
        chart.SetShowLegend(node.GetLegendVisibility())
        chart.GetLegend().GetLabelProperties().SetFontSize(node.GetLegendFontSize())
        for letter in "XY":
            axis = self.axis(letter)
            axis.SetTitle(getattr(node, f"Get{letter}AxisTitle")() or "")
            axis.GetTitleProperties().SetFontSize(node.GetAxisTitleFontSize())
            axis.GetTitleProperties().SetBold(False)
            axis.GetLabelProperties().SetFontSize(node.GetAxisLabelFontSize())
            axis.SetGridVisible(node.GetGridVisibility())
            automatic = getattr(node, f"Get{letter}AxisRangeAuto")()
            axis.SetBehavior(vtk.vtkAxis.AUTO if automatic else vtk.vtkAxis.FIXED)
            if not automatic:
                axis.SetRange(*getattr(node, f"Get{letter}AxisRange")())

"""Doubles of the widgets of Slicer's Segmentations module."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6.QtCore import Signal

from Testing.Host import qt_names
from Testing.Host.ctk_widgets import ctkMenuButton, plain_property
from Testing.Host.mrml_widgets import Observer, qMRMLWidget
from Testing.Host.scene import quiet

qt = qt_names.qt_module()


class qMRMLSegmentsTableView(qMRMLWidget):
    """One row a segment: shown or not, colour, name."""

    SIGNALS = (*qMRMLWidget.SIGNALS, "selectionChanged(QItemSelection,QItemSelection)")
    selectionChanged = Signal(object, object)
    COLUMNS = {"visibilityColumnVisible": 0, "colorColumnVisible": 1, "opacityColumnVisible": 2, "statusColumnVisible": 3}  # noqa: RUF012
    EVENTS = ("SegmentAdded", "SegmentRemoved", "SegmentModified", "SegmentsOrderModified")

    def __init__(self, parent: qt.QWidget | None = None) -> None:
        super().__init__(parent)
        self._values: dict[str, Any] = {"readOnly": False, "jumpToSelectedSegmentEnabled": False, "filterBarVisible": False, "textFilter": ""}
        self._node: slicer.vtkMRMLSegmentationNode | None = None
        self._observer = Observer(tuple(getattr(slicer.vtkSegmentation, event) for event in self.EVENTS), self._update)
        self._table = qt.QTableWidget(0, 5, self)
        self._table.setHorizontalHeaderLabels(["", "", "Opacity", "", "Name"])
        for column, width in enumerate((28, 28, 60, 28)):
            self._table.setColumnWidth(column, width)
        self._table.setColumnHidden(3, True)
        self._table.horizontalHeader().setStretchLastSection(True)
        self._table.verticalHeader().hide()
        self._table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        self._table.itemChanged.connect(self._on_changed)
        self._table.itemSelectionChanged.connect(lambda: self.selectionChanged.emit(None, None))
        layout = qt.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._table)
        self.destroyed.connect(lambda: self._observer.of(None))

    def segmentationNode(self) -> slicer.vtkMRMLSegmentationNode | None:
        return self._node

    def setSegmentationNode(self, node: slicer.vtkMRMLSegmentationNode | None) -> None:
        self._node = node
        self._observer.of(node.GetSegmentation() if node else None)
        self._update()

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        super().setMRMLScene(scene)
        self._update()

    def tableWidget(self) -> qt.QTableWidget:
        return self._table

    @property
    def segmentCount(self) -> int:
        return self._table.rowCount

    def selectedSegmentIDs(self) -> list[str]:
        rows = sorted({index.row() for index in self._table.selectionModel().selectedRows()})
        return [self._table.item(row, 4).data(qt.Qt.UserRole) for row in rows]

    def setSelectionMode(self, mode: qt.QAbstractItemView.SelectionMode) -> None:
        self._table.setSelectionMode(mode)

    @property
    def headerVisible(self) -> bool:
        return not self._table.horizontalHeader().isHidden()

    @headerVisible.setter
    def headerVisible(self, value: bool) -> None:
        self._table.horizontalHeader().setVisible(value)

    def setHeaderVisible(self, value: bool) -> None:
        self.headerVisible = value

    def _update(self) -> None:
        """Empty without a scene, as a real one is whose .ui lacks the connection."""
        segmentation = self._node.GetSegmentation() if self._node and self._scene else None
        self._table.blockSignals(True)
        self._table.setRowCount(segmentation.GetNumberOfSegments() if segmentation else 0)
        with quiet():  # a segment may be told of before the display node knows it
            for row in range(self._table.rowCount):
                self._fill(row, segmentation.GetNthSegmentID(row))
        self._table.blockSignals(False)

    def _fill(self, row: int, identifier: str) -> None:
        segment, display = self._node.GetSegmentation().GetSegment(identifier), self._node.GetDisplayNode()
        shown, colour, opacity, name = qt.QTableWidgetItem(), qt.QTableWidgetItem(), qt.QTableWidgetItem(), qt.QTableWidgetItem(segment.GetName())
        shown.setCheckState(qt.Qt.Checked if display is None or display.GetSegmentVisibility(identifier) else qt.Qt.Unchecked)
        colour.setBackground(qt.QColor.fromRgbF(*segment.GetColor()))
        opacity.setText(f"{display.GetSegmentOpacity3D(identifier):.2f}" if display else "")
        name.setData(qt.Qt.UserRole, identifier)
        for column, item in ((0, shown), (1, colour), (2, opacity), (4, name)):
            if column != 0:
                item.setFlags(item.flags() & ~qt.Qt.ItemIsEditable)
            self._table.setItem(row, column, item)

    def _on_changed(self, item: qt.QTableWidgetItem) -> None:
        identifier = self._table.item(item.row(), 4).data(qt.Qt.UserRole)
        if item.column() == 0 and self._node.GetDisplayNode():
            self._node.GetDisplayNode().SetSegmentVisibility(identifier, item.checkState() == qt.Qt.Checked)


def _column_property(column: int) -> property:
    return property(lambda self: not self._table.isColumnHidden(column), lambda self, value: self._table.setColumnHidden(column, not value))


for _name, _column in qMRMLSegmentsTableView.COLUMNS.items():
    setattr(qMRMLSegmentsTableView, _name, _column_property(_column))
for _name in ("readOnly", "jumpToSelectedSegmentEnabled", "filterBarVisible", "textFilter"):
    setattr(qMRMLSegmentsTableView, _name, plain_property(_name))


class qMRMLSegmentationShow3DButton(ctkMenuButton):
    """Makes the surfaces of a segmentation and shows them, or takes them away."""

    def __init__(self, parent: qt.QWidget | None = None) -> None:
        super().__init__("Show 3D", parent)
        self._node: slicer.vtkMRMLSegmentationNode | None = None
        self._values = {"locked": False}
        self.checkable, self.enabled = True, False
        self.toggled.connect(self._on_toggled)

    locked = plain_property("locked")

    def segmentationNode(self) -> slicer.vtkMRMLSegmentationNode | None:
        return self._node

    def setSegmentationNode(self, node: slicer.vtkMRMLSegmentationNode | None) -> None:
        self._node = node
        self.enabled = node is not None
        self.checked = node is not None and node.GetSegmentation().ContainsRepresentation("Closed surface")

    def _on_toggled(self, shown: bool) -> None:
        if self._node is None:
            return
        if not shown:
            self._node.RemoveClosedSurfaceRepresentation()
        elif self._node.CreateClosedSurfaceRepresentation():
            self._node.GetDisplayNode().SetVisibility3D(True)
            self._node.GetDisplayNode().SetPreferredDisplayRepresentationName3D("Closed surface")


CLASSES = (qMRMLSegmentsTableView, qMRMLSegmentationShow3DButton)

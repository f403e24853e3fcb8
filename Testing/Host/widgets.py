"""Doubles of the widgets of CTK and Slicer in our .ui file: the same names, properties and signals, and about the same looks.

Those that know the MRML scene are empty and disabled without one, as they are in Slicer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import slicer
from PySide6.QtCore import Signal, Slot
from slicer.util import VTKObservationMixin

from Testing.Host.qt_names import qt

SCENE_EVENTS = ("NodeAddedEvent", "NodeRemovedEvent", "EndBatchProcessEvent", "EndCloseEvent", "EndImportEvent")


class Setting:
    """A property that a double keeps."""

    def __init__(self, default: Any) -> None:
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = f"_{name}"

    def __get__(self, owner: Any, kind: type) -> Any:
        return getattr(owner, self.name, self.default)

    def __set__(self, owner: Any, value: Any) -> None:
        setattr(owner, self.name, value)


class ctkCollapsibleButton(qt.QAbstractButton):
    """A header that shows and hides what lies below it. Closed, it is as low as its header: its children count as visible, unlike Slicer's."""

    collapsed = property(lambda self: not self.checked, lambda self, value: setattr(self, "checked", not value))

    def __init__(self, parent: qt.QWidget | None = None) -> None:
        super().__init__(parent)
        self.checkable = self.checked = True
        self.setContentsMargins(0, self._header(), 0, 0)
        self.setSizePolicy(qt.QSizePolicy.Preferred, qt.QSizePolicy.Preferred)
        self.toggled.connect(lambda shown: self.setMaximumHeight(16777215 if shown else self._header()))

    def _header(self) -> int:
        return self.fontMetrics().height() + 10

    def sizeHint(self) -> qt.QSize:
        return self.minimumSizeHint()

    def minimumSizeHint(self) -> qt.QSize:
        inside = self.layout().totalMinimumSize() if self.layout() else qt.QSize()
        return qt.QSize(inside.width(), self._header()) if self.collapsed else inside

    def hitButton(self, position: qt.QPoint) -> bool:
        return position.y() < self._header()

    def paintEvent(self, _event: qt.QPaintEvent) -> None:
        painter, option, arrow = qt.QStylePainter(self), qt.QStyleOptionButton(), qt.QStyleOption()
        option.initFrom(self)
        option.rect = qt.QRect(0, 0, self.width, self._header())
        painter.drawControl(qt.QStyle.CE_PushButtonBevel, option)
        arrow.initFrom(self)
        arrow.rect = qt.QRect(7, (self._header() - 10) // 2, 10, 10)
        painter.drawPrimitive(qt.QStyle.PE_IndicatorArrowRight if self.collapsed else qt.QStyle.PE_IndicatorArrowDown, arrow)
        painter.drawText(option.rect.adjusted(24, 0, 0, 0), qt.Qt.AlignVCenter | qt.Qt.AlignLeft, self.text)


class ctkPathLineEdit(qt.QWidget):
    """A path with a button that browses for folders, for files where `filters` has them. An empty path is not valid, and told as that alone."""

    Dirs, Files, Writable = 1, 2, 32
    currentPathChanged, validInputChanged = Signal(str), Signal(bool)
    currentPath = property(lambda self: self._edit.text, lambda self, path: self._edit.setText(path))
    filters, settingKey = Setting(Dirs | Files), Setting("")

    def __init__(self, parent: qt.QWidget | None = None) -> None:
        super().__init__(parent)
        row, button = qt.QHBoxLayout(self), qt.QToolButton()
        row.setContentsMargins(0, 0, 0, 0)
        self._edit, button.text = qt.QLineEdit(), "..."
        row.addWidget(self._edit)
        row.addWidget(button)
        self._edit.textChanged.connect(self._tell)
        self._valid = False
        button.clicked.connect(lambda: self.browse())

    def _tell(self, path: str) -> None:
        if bool(path) != self._valid:
            self._valid = bool(path)
            self.validInputChanged.emit(self._valid)
        if path:
            self.currentPathChanged.emit(path)

    def addCurrentPathToHistory(self) -> None:
        """Kept under `settingKey`, and offered by the real one."""

    def browse(self) -> None:
        ask = qt.QFileDialog.getOpenFileName if self.filters & self.Files else qt.QFileDialog.getExistingDirectory
        self.currentPath = ask(self, "", self.currentPath) or self.currentPath


class qMRMLWidget(qt.QWidget):
    """A widget that hands its scene on to those connected to it."""

    mrmlSceneChanged = Signal(object)

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        self.mrmlSceneChanged.emit(scene)


class qMRMLSortFilterProxyModel(qt.QObject):
    """What a selector of nodes leaves out."""

    hiddenNodeIDs = property(lambda self: self._hidden, lambda self, ids: self._hide(ids))

    def __init__(self, selector: qMRMLNodeComboBox) -> None:
        super().__init__(selector)
        self._hidden: list[str] = []

    def _hide(self, ids: list[str]) -> None:
        self._hidden = list(ids)
        self.parent()._update(slicer.mrmlScene)


class qMRMLNodeComboBox(qt.QWidget, VTKObservationMixin):
    """The nodes of some classes in the scene. Where None is no choice, the first node is chosen by itself. Making and renaming nodes is left out."""

    currentNodeChanged, nodeActivated = Signal(object), Signal(object)
    nodeTypes, noneEnabled, showChildNodeTypes = Setting(()), Setting(False), Setting(True)
    addEnabled, removeEnabled, editEnabled, renameEnabled = Setting(True), Setting(True), Setting(False), Setting(False)

    def __init__(self, parent: qt.QWidget | None = None) -> None:
        super().__init__(parent)
        VTKObservationMixin.__init__(self)
        self._current: slicer.vtkMRMLNode | None = None
        self._nodes: list[slicer.vtkMRMLNode] = []
        self._filter = qMRMLSortFilterProxyModel(self)
        self._combo, row = qt.QComboBox(), qt.QHBoxLayout(self)
        self._combo.enabled = False
        self._combo.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
        self._combo.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        self._combo.activated.connect(self._on_activated)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._combo)
        self.destroyed.connect(lambda: self.removeObservers())

    @Slot(object)
    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        self.removeObservers()
        for event in SCENE_EVENTS if scene else ():
            self.addObserver(scene, getattr(scene, event), lambda *_: self._update(scene))
        self._combo.enabled = scene is not None
        self._update(scene)

    def sortFilterProxyModel(self) -> qMRMLSortFilterProxyModel:
        return self._filter

    def currentNode(self) -> slicer.vtkMRMLNode | None:
        return self._current

    def setCurrentNode(self, node: slicer.vtkMRMLNode | None) -> None:
        """A node that is not in the list counts as none."""
        node = node if node in self._nodes else None
        if node is None and not self.noneEnabled and self._nodes:
            node = self._current if self._current in self._nodes else self._nodes[0]
        former, self._current = self._current, node
        self._show()
        if node is not former and not (node and former and node.GetName() == former.GetName()):  # it is the name's change that Slicer's tells
            self.currentNodeChanged.emit(node)

    def _update(self, scene: slicer.vtkMRMLScene | None) -> None:
        if scene is None or not scene.IsBatchProcessing():
            self._nodes = list(self._wanted(scene)) if scene else []
            self._combo.clear()
            self._combo.addItems([*(["None"] if self.noneEnabled else []), *(node.GetName() or "" for node in self._nodes)])
            self.setCurrentNode(self._current)

    def _wanted(self, scene: slicer.vtkMRMLScene) -> Iterator[slicer.vtkMRMLNode]:
        for node in (scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())):
            fits = node.IsA if self.showChildNodeTypes else node.GetClassName().__eq__
            hidden = node.GetHideFromEditors() or node.GetID() in self._filter.hiddenNodeIDs
            if not hidden and any(fits(kind) for kind in self.nodeTypes):
                yield node

    def _show(self) -> None:
        row = self._nodes.index(self._current) + bool(self.noneEnabled) if self._current else 0
        self._combo.setCurrentIndex(min(row, self._combo.count - 1))

    def _on_activated(self, row: int) -> None:
        self.setCurrentNode(([None, *self._nodes] if self.noneEnabled else self._nodes)[row])
        self.nodeActivated.emit(self._current)


class qMRMLCheckableNodeComboBox(qMRMLNodeComboBox):
    """Any number of nodes, each checked or not; the checks are kept here and not in the scene."""

    checkedNodesChanged = Signal()

    def __init__(self, parent: qt.QWidget | None = None) -> None:
        super().__init__(parent)
        self._checked: list[slicer.vtkMRMLNode] = []
        palette = self._combo.palette
        palette.setColor(qt.QPalette.PlaceholderText, palette.color(qt.QPalette.Active, qt.QPalette.ButtonText))
        self._combo.setPalette(palette)

    def checkedNodes(self) -> list[slicer.vtkMRMLNode]:
        return [node for node in self._nodes if node in self._checked]

    def checkState(self, node: slicer.vtkMRMLNode) -> qt.Qt.CheckState:
        return qt.Qt.Checked if node in self._checked else qt.Qt.Unchecked

    def setCheckState(self, node: slicer.vtkMRMLNode, state: qt.Qt.CheckState) -> None:
        if node in self._nodes and self.checkState(node) != state:
            (self._checked.append if state == qt.Qt.Checked else self._checked.remove)(node)
            self._show()
            self.checkedNodesChanged.emit()

    def _update(self, scene: slicer.vtkMRMLScene | None) -> None:
        """As Slicer's, it does not tell when a checked node is gone."""
        super()._update(scene)
        self._checked = self.checkedNodes()
        self._show()

    def _show(self) -> None:
        """The names of the checked nodes, in place of a current one."""
        for row, node in enumerate(self._nodes):
            self._combo.setItemData(row, self.checkState(node), qt.Qt.CheckStateRole)
        self._combo.setPlaceholderText(", ".join(node.GetName() for node in self.checkedNodes()) or "None")
        self._combo.setCurrentIndex(-1)

    def _on_activated(self, row: int) -> None:
        node = self._nodes[row]
        self.setCheckState(node, qt.Qt.Unchecked if node in self._checked else qt.Qt.Checked)


class qMRMLSegmentationShow3DButton(qt.QPushButton):
    """Makes the surfaces of a segmentation and shows them, or takes them away."""

    def __init__(self, parent: qt.QWidget | None = None) -> None:
        super().__init__("Show 3D", parent)
        self._node: slicer.vtkMRMLSegmentationNode | None = None
        self.checkable, self.enabled = True, False
        self.toggled.connect(self._on_toggled)

    def setSegmentationNode(self, node: slicer.vtkMRMLSegmentationNode | None) -> None:
        self._node = node
        self.enabled = node is not None
        self.checked = node is not None and node.GetSegmentation().ContainsRepresentation("Closed surface")

    def _on_toggled(self, shown: bool) -> None:
        if not shown and self._node:
            self._node.RemoveClosedSurfaceRepresentation()
        elif shown and self._node.CreateClosedSurfaceRepresentation():
            self._node.GetDisplayNode().SetPreferredDisplayRepresentationName3D("Closed surface")


CLASSES = (ctkCollapsibleButton, ctkPathLineEdit, qMRMLWidget, qMRMLNodeComboBox, qMRMLCheckableNodeComboBox, qMRMLSegmentationShow3DButton)

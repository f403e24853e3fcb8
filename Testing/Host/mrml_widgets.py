"""Doubles of the widgets of Slicer that know the MRML scene. Without a scene they are empty and disabled, as they are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import slicer
import vtk
from PySide6.QtCore import Signal

from Testing.Host import qt_names
from Testing.Host.ctk_widgets import plain_property

qt = qt_names.qt_module()
SCENE_EVENTS = ("NodeAddedEvent", "NodeRemovedEvent", "EndBatchProcessEvent", "EndCloseEvent", "EndImportEvent")


class Observer:
    """Calls `changed` after the events of one VTK object at a time, and of none after `of(None)`."""

    def __init__(self, events: tuple[str | int, ...], changed: Any) -> None:
        self.events, self.changed = events, changed
        self.observed: Any = None
        self.tags: list[int] = []

    def of(self, observed: Any) -> None:
        for tag in self.tags:
            self.observed.RemoveObserver(tag)
        self.observed = observed
        self.tags = [observed.AddObserver(event, lambda *_: self.changed()) for event in self.events] if observed else []


class qMRMLWidget(qt.QWidget):
    """A widget that hands its scene on to those connected to it."""

    IS_DOUBLE = True
    SIGNALS = ("mrmlSceneChanged(vtkMRMLScene*)",)
    mrmlSceneChanged = Signal(object)

    def __init__(self, parent: qt.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: slicer.vtkMRMLScene | None = None

    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self._scene

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(qt.QWidget):
    """The nodes of some classes in the scene. Where None is no choice, the first node is chosen by itself."""

    IS_DOUBLE = True
    SIGNALS = ("currentNodeChanged(vtkMRMLNode*)", "currentNodeIDChanged(QString)", "nodeActivated(vtkMRMLNode*)", "nodeAddedByUser(vtkMRMLNode*)")
    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    nodeActivated = Signal(object)
    nodeAddedByUser = Signal(object)
    DEFAULTS: dict[str, Any] = {  # noqa: RUF012
        **{"nodeTypes": (), "hideChildNodeTypes": (), "showHidden": False, "showChildNodeTypes": True, "baseName": "", "noneDisplay": "None"},
        **{"noneEnabled": False, "addEnabled": True, "removeEnabled": True, "editEnabled": False, "renameEnabled": False, "selectNodeUponCreation": True},
    }

    def __init__(self, parent: qt.QWidget | None = None) -> None:
        super().__init__(parent)
        self._values = dict(self.DEFAULTS)
        self._scene: slicer.vtkMRMLScene | None = None
        self._current: slicer.vtkMRMLNode | None = None
        self._shown: list[slicer.vtkMRMLNode | str | None] = []
        self._scene_observer = Observer(tuple(getattr(slicer.vtkMRMLScene, event) for event in SCENE_EVENTS), self._update)
        self._name_observers: list[Observer] = []
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._combo = self._make_combo()
        self._combo.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
        self._combo.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        self._combo.activated.connect(self._on_activated)
        layout.addWidget(self._combo)
        self._combo.enabled = False
        self.destroyed.connect(lambda: self._scene_observer.of(None))

    def _make_combo(self) -> qt.QComboBox:
        return qt.QComboBox(self)

    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self._scene

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        self._scene = scene
        self._scene_observer.of(scene)
        self._combo.enabled = scene is not None
        self._update()

    def nodes(self) -> list[slicer.vtkMRMLNode]:
        return [node for node in self._shown if isinstance(node, slicer.vtkMRMLNode)]

    def nodeCount(self) -> int:
        return len(self.nodes())

    def nodeFromIndex(self, index: int) -> slicer.vtkMRMLNode | None:
        return dict(enumerate(self.nodes())).get(index)

    def currentNode(self) -> slicer.vtkMRMLNode | None:
        return self._current

    @property
    def currentNodeID(self) -> str:
        return self._current.GetID() if self._current else ""

    @currentNodeID.setter
    def currentNodeID(self, value: str) -> None:
        self.setCurrentNodeID(value)

    def setCurrentNodeID(self, value: str) -> None:
        self.setCurrentNode(self._scene.GetNodeByID(value) if self._scene and value else None)

    def setCurrentNode(self, node: slicer.vtkMRMLNode | None) -> None:
        """A node that is not in the list counts as none."""
        node = node if node in self.nodes() else None
        if node is None and not self.noneEnabled and self.nodes():
            node = self.nodes()[0] if self._current not in self.nodes() else self._current
        changed, self._current = node is not self._current, node
        self._combo.setCurrentIndex(self._shown.index(node) if node in self._shown else -1)
        if changed:
            self.currentNodeChanged.emit(node)
            self.currentNodeIDChanged.emit(self.currentNodeID)

    def addNode(self, kind: str = "") -> slicer.vtkMRMLNode | None:
        if self._scene is None:
            return None
        name = self._scene.GenerateUniqueName(self.baseName) if self.baseName else ""
        node = self._scene.AddNewNodeByClass(kind or self.nodeTypes[0], name)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        if self._scene is not None and self._current is not None:
            self._scene.RemoveNode(self._current)

    def _wanted(self) -> Iterator[slicer.vtkMRMLNode]:
        """In the order of the scene."""
        for index in range(self._scene.GetNumberOfNodes() if self._scene else 0):
            node = self._scene.GetNthNode(index)
            if node.GetHideFromEditors() and not self.showHidden:
                continue
            fits = node.IsA if self.showChildNodeTypes else node.GetClassName().__eq__
            if any(fits(kind) for kind in self.nodeTypes) and not any(node.IsA(kind) for kind in self.hideChildNodeTypes):
                yield node

    def _update(self) -> None:
        if self._scene is not None and self._scene.IsBatchProcessing():
            return
        nodes = list(self._wanted())
        if self._scene is not None:
            self._shown = [*([None] if self.noneEnabled else []), *nodes, *self._actions()]
        else:
            self._shown = []
        self._watch_names(nodes)
        self._show_names()
        self.setCurrentNode(self._current)

    def _actions(self) -> list[str]:
        tags = [kind.removeprefix("vtkMRML").removesuffix("Node") for kind in self.nodeTypes]
        return [f"Create new {tag}" for tag in tags if self.addEnabled] + (["Delete current node"] if self.removeEnabled else [])

    def _watch_names(self, nodes: list[slicer.vtkMRMLNode]) -> None:
        for observer in self._name_observers:
            observer.of(None)
        self._name_observers = [Observer((vtk.vtkCommand.ModifiedEvent,), self._show_names) for _ in nodes]
        for observer, node in zip(self._name_observers, nodes):
            observer.of(node)

    def _names(self) -> list[str]:
        return [item if isinstance(item, str) else item.GetName() or "" if item else self.noneDisplay for item in self._shown]

    def _show_names(self) -> None:
        if [self._combo.itemText(index) for index in range(self._combo.count)] == self._names():
            return
        index = self._combo.currentIndex
        self._combo.clear()
        self._combo.addItems(self._names())
        self._combo.setCurrentIndex(index)

    def _on_activated(self, index: int) -> None:
        chosen = self._shown[index]
        if chosen == "Delete current node":
            self.removeCurrentNode()
        elif isinstance(chosen, str):
            self.addNode(self.nodeTypes[index - self._shown.index(self._actions()[0])])
        else:
            self.setCurrentNode(chosen)
            self.nodeActivated.emit(chosen)


for _name in qMRMLNodeComboBox.DEFAULTS:
    setattr(qMRMLNodeComboBox, _name, plain_property(_name, "_update"))


class _CheckableCombo(qt.QComboBox):
    """Shows the checked names. The list stays open while one checks several."""

    IS_DOUBLE = True

    def paintEvent(self, _event: qt.QPaintEvent) -> None:
        painter, option = qt.QStylePainter(self), qt.QStyleOptionComboBox()
        self.initStyleOption(option)
        option.currentText = ", ".join(node.GetName() for node in self.parent().checkedNodes()) or "None"
        option.currentText = option.fontMetrics.elidedText(option.currentText, qt.Qt.ElideRight, self.width - 30)
        painter.drawComplexControl(qt.QStyle.CC_ComboBox, option)
        painter.drawControl(qt.QStyle.CE_ComboBoxLabel, option)

    def hidePopup(self) -> None:
        if not self.view().viewport().underMouse():
            super().hidePopup()


class qMRMLCheckableNodeComboBox(qMRMLNodeComboBox):
    """Any number of nodes, each checked or not; the checks are kept here and not in the scene."""

    SIGNALS = (*qMRMLNodeComboBox.SIGNALS, "checkedNodesChanged()")
    checkedNodesChanged = Signal()

    def __init__(self, parent: qt.QWidget | None = None) -> None:
        self._checked: list[slicer.vtkMRMLNode] = []
        super().__init__(parent)
        self._combo.view().pressed.connect(lambda index: self._toggle(index.row()))

    def _make_combo(self) -> qt.QComboBox:
        return _CheckableCombo(self)

    def checkedNodes(self) -> list[slicer.vtkMRMLNode]:
        return [node for node in self.nodes() if node in self._checked]

    def uncheckedNodes(self) -> list[slicer.vtkMRMLNode]:
        return [node for node in self.nodes() if node not in self._checked]

    def allChecked(self) -> bool:
        return not self.uncheckedNodes()

    def noneChecked(self) -> bool:
        return not self.checkedNodes()

    def checkState(self, node: slicer.vtkMRMLNode) -> qt.Qt.CheckState:
        return qt.Qt.Checked if node in self.checkedNodes() else qt.Qt.Unchecked

    def setCheckState(self, node: slicer.vtkMRMLNode, state: qt.Qt.CheckState) -> None:
        if node not in self.nodes() or self.checkState(node) == state:
            return
        (self._checked.append if state == qt.Qt.Checked else self._checked.remove)(node)
        self._show_checks()
        self.checkedNodesChanged.emit()

    def check(self, node: slicer.vtkMRMLNode) -> None:
        self.setCheckState(node, qt.Qt.Checked)

    def uncheck(self, node: slicer.vtkMRMLNode) -> None:
        self.setCheckState(node, qt.Qt.Unchecked)

    def _toggle(self, row: int) -> None:
        node = self._shown[row]
        if isinstance(node, slicer.vtkMRMLNode):
            self.setCheckState(node, qt.Qt.Unchecked if node in self._checked else qt.Qt.Checked)

    def _update(self) -> None:
        before = list(self._checked)
        super()._update()
        self._checked = [node for node in before if node in self.nodes()]
        self._show_checks()
        if before != self._checked:
            self.checkedNodesChanged.emit()

    def _show_checks(self) -> None:
        for row, node in enumerate(self._shown):
            if isinstance(node, slicer.vtkMRMLNode):
                self._combo.setItemData(row, self.checkState(node), qt.Qt.CheckStateRole)
        self._combo.update()


CLASSES = (qMRMLWidget, qMRMLNodeComboBox, qMRMLCheckableNodeComboBox)

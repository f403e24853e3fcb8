"""Doubles of the CTK widgets that the panel uses: the same names, properties and signals, and about the same looks."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal

from Testing.Host import qt_names

qt = qt_names.qt_module()


class ctkCollapsibleButton(qt.QAbstractButton):
    """A header that shows and hides the direct children below it. A child that the module hid stays hidden."""

    IS_DOUBLE = True
    SIGNALS = ("contentsCollapsed(bool)",)
    contentsCollapsed = Signal(bool)

    def __init__(self, text: Any = "", parent: qt.QWidget | None = None) -> None:
        super().__init__(parent if isinstance(text, str) else text)
        self._forcing = False
        self.checkable, self.checked = True, True
        if isinstance(text, str):
            self.text = text
        self.setContentsMargins(0, self._header(), 0, 0)
        self.setSizePolicy(qt.QSizePolicy.Preferred, qt.QSizePolicy.Preferred)
        self.toggled.connect(self._on_toggled)

    @property
    def collapsed(self) -> bool:
        return not self.checked

    @collapsed.setter
    def collapsed(self, value: bool) -> None:
        self.checked = not value

    def setCollapsed(self, value: bool) -> None:
        self.collapsed = value

    def sizeHint(self) -> qt.QSize:
        return self.minimumSizeHint()

    def minimumSizeHint(self) -> qt.QSize:
        if self.collapsed or self.layout() is None:
            return qt.QSize(self.fontMetrics().horizontalAdvance(self.text) + 40, self._header())
        return self.layout().totalSizeHint()

    def hitButton(self, position: qt.QPoint) -> bool:
        return position.y() < self._header()

    def childEvent(self, event: qt.QChildEvent) -> None:
        if event.type() == qt.QEvent.ChildAdded and isinstance(event.child(), qt.QWidget):
            event.child().installEventFilter(self)

    def eventFilter(self, child: qt.QObject, event: qt.QEvent) -> bool:
        """Keep what the module wants of a child while this is collapsed."""
        if not self._forcing and event.type() in (qt.QEvent.ShowToParent, qt.QEvent.HideToParent):
            child.setProperty("visibilityToParent", event.type() == qt.QEvent.ShowToParent)
            if self.collapsed:
                self._show_child(child)
        return False

    def paintEvent(self, _event: qt.QPaintEvent) -> None:
        painter = qt.QStylePainter(self)
        option = qt.QStyleOptionButton()
        option.initFrom(self)
        option.rect = qt.QRect(0, 0, self.width, self._header())
        painter.drawControl(qt.QStyle.CE_PushButtonBevel, option)
        arrow = qt.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = qt.QRect(7, (self._header() - 10) // 2, 10, 10)
        painter.drawPrimitive(qt.QStyle.PE_IndicatorArrowRight if self.collapsed else qt.QStyle.PE_IndicatorArrowDown, arrow)
        painter.drawText(option.rect.adjusted(24, 0, 0, 0), qt.Qt.AlignVCenter | qt.Qt.AlignLeft, self.text)

    def _header(self) -> int:
        return self.fontMetrics().height() + 10

    def _on_toggled(self, _checked: bool) -> None:
        for child in self.children():
            if isinstance(child, qt.QWidget):
                self._show_child(child)
        self.setMaximumHeight(self._header() if self.collapsed else 16777215)
        self.updateGeometry()
        self.contentsCollapsed.emit(self.collapsed)

    def _show_child(self, child: qt.QWidget) -> None:
        """Without the mark of an explicit hide, or Qt would not tell the filter of a later one."""
        self._forcing = True
        child.setVisible(not self.collapsed and child.property("visibilityToParent") is not False)
        child.setAttribute(qt.Qt.WA_WState_ExplicitShowHide, False)
        self._forcing = False


class ctkPathLineEdit(qt.QWidget):
    """A path with a button that browses for it: files, or folders where `filters` has Dirs only."""

    IS_DOUBLE = True
    SIGNALS = ("currentPathChanged(QString)", "validInputChanged(bool)")
    Dirs, Files, Drives, NoSymLinks, AllEntries, Readable, Writable, Executable = 1, 2, 4, 8, 7, 16, 32, 64
    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)

    def __init__(self, parent: qt.QWidget | None = None) -> None:
        super().__init__(parent)
        self._values: dict[str, Any] = {"filters": self.AllEntries, "nameFilters": [], "settingKey": "", "label": ""}
        row = qt.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._edit, self._button = qt.QComboBox(self), qt.QToolButton(self)
        self._edit.editable = True
        self._edit.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
        self._button.text = "..."
        row.addWidget(self._edit, 1)
        row.addWidget(self._button)
        self._edit.editTextChanged.connect(self.currentPathChanged)
        self._button.clicked.connect(lambda: self.browse())

    @property
    def currentPath(self) -> str:
        return self._edit.currentText

    @currentPath.setter
    def currentPath(self, path: str) -> None:
        self._edit.setEditText(path)

    def setCurrentPath(self, path: str) -> None:
        self.currentPath = path

    def browse(self) -> None:
        folder = not self.filters & self.Files
        choose = qt.QFileDialog.getSaveFileName if self.filters & self.Writable else qt.QFileDialog.getOpenFileName
        start = self.currentPath
        path = qt.QFileDialog.getExistingDirectory(self, self.label, start) if folder else choose(self, self.label, start, ";;".join(self.nameFilters))
        if path:
            self.currentPath = path

    def addCurrentPathToHistory(self) -> None:
        if self.currentPath and self._edit.findText(self.currentPath) < 0:
            self._edit.addItem(self.currentPath)

    @property
    def showBrowseButton(self) -> bool:
        return not self._button.isHidden()

    @showBrowseButton.setter
    def showBrowseButton(self, value: bool) -> None:
        self._button.visible = value

    @property
    def showHistoryButton(self) -> bool:
        return True

    @showHistoryButton.setter
    def showHistoryButton(self, value: bool) -> None:
        """The history opens from the arrow of the combo box."""


class ctkMessageBox(qt.QMessageBox):
    """The message box of `slicer.util.messageBox`."""

    IS_DOUBLE = True


class ctkMenuButton(qt.QPushButton):
    """A push button with a menu at its right side."""

    IS_DOUBLE = True


def plain_property(name: str, changed: str = "") -> property:
    """A property kept in `_values`, with a method to call after a change."""

    def set_value(self: Any, value: Any) -> None:
        self._values[name] = value
        if changed:
            getattr(self, changed)()

    return property(lambda self: self._values[name], set_value)


for _name in ("filters", "nameFilters", "settingKey", "label"):
    setattr(ctkPathLineEdit, _name, plain_property(_name))

CLASSES = (ctkCollapsibleButton, ctkPathLineEdit, ctkMessageBox, ctkMenuButton)

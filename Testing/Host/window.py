"""The main window: the module panel at the left, the views at the right."""

from __future__ import annotations

import types
from typing import Any

from Testing.Host import qt_names

qt = qt_names.qt_module()
PANEL_WIDTH = 500


class qSlicerMainWindow(qt.QMainWindow):
    """`slicer.util.mainWindow()` finds it by its name."""

    IS_DOUBLE = True

    def __init__(self, layout_manager: Any) -> None:
        super().__init__()
        self.name = "qSlicerMainWindow"
        self.windowTitle = "3D Slicer (test host)"
        self._selected = ""
        self._title, self._scroll = qt.QLabel(), qt.QScrollArea()
        self._title.setStyleSheet("font-weight: bold; padding: 5px 8px; background: palette(mid);")
        self._scroll.widgetResizable = True
        self._scroll.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
        panel, column = qt.QWidget(), qt.QVBoxLayout()
        panel.setLayout(column)
        panel.setFixedWidth(PANEL_WIDTH)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._title)
        column.addWidget(self._scroll, 1)
        middle, row = qt.QWidget(), qt.QHBoxLayout()
        middle.setLayout(row)
        row.setContentsMargins(2, 2, 2, 2)
        row.addWidget(panel)
        row.addWidget(layout_manager, 1)
        self.setCentralWidget(middle)
        self.statusBar()
        self.resize(1440, 900)

    def show_module(self, module: Any, representation: Any) -> None:
        """At the top of the panel, with free space below it."""
        holder, column = qt.QWidget(), qt.QVBoxLayout()
        holder.setLayout(column)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(representation)
        column.addStretch(1)
        self._scroll.setWidget(holder)
        self._title.text, self._selected = module.title, module.name

    def moduleSelector(self) -> types.SimpleNamespace:
        return types.SimpleNamespace(selectModule=self._select, selectedModule=self._selected)

    def _select(self, name: str) -> None:
        """Only told apart from other names: the host shows one module."""
        self._selected = name

    def scroll_to(self, widget: Any) -> None:
        """Make a widget of the module visible, near the top of the panel."""
        self._scroll.verticalScrollBar().setValue(widget.mapTo(self._scroll.widget(), qt.QPoint(0, 0)).y() - 8)

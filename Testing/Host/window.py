"""The main window: the module panel at the left, the views at the right."""

from __future__ import annotations

from typing import Any

from Testing.Host.qt_names import qt

PANEL_WIDTH = 500


class qSlicerMainWindow(qt.QMainWindow):
    """`slicer.util.mainWindow()` finds it by its name."""

    def __init__(self, layout_manager: qt.QWidget) -> None:
        super().__init__()
        self.name = "qSlicerMainWindow"
        self.windowTitle = "3D Slicer (test host)"
        self._title, self._scroll = qt.QLabel(), qt.QScrollArea()
        self._title.setStyleSheet("font-weight: bold; padding: 5px 8px; background: palette(mid);")
        self._scroll.widgetResizable = True
        self._scroll.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
        panel, middle = qt.QWidget(), qt.QWidget()
        panel.setFixedWidth(PANEL_WIDTH)
        column, row = qt.QVBoxLayout(panel), qt.QHBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._title)
        column.addWidget(self._scroll)
        row.setContentsMargins(2, 2, 2, 2)
        row.addWidget(panel)
        row.addWidget(layout_manager, 1)
        self.setCentralWidget(middle)
        self.statusBar()
        self.resize(1440, 900)

    def show_module(self, title: str, representation: Any) -> None:
        """At the top of the panel, with free space below it."""
        holder = qt.QWidget()
        column = qt.QVBoxLayout(holder)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(representation)
        column.addStretch(1)
        self._scroll.setWidget(holder)
        self._title.text = title

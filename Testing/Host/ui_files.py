"""Loads a .ui file as Slicer does, with the doubles as its custom widgets.

What Slicer could not do with the file fails here too. Qt itself warns of classes, signals and slots that are not there: its warnings are errors of the host.
"""

from __future__ import annotations

import re
from typing import Any

from PySide6.QtUiTools import QUiLoader as PlainLoader

from Testing.Host import widgets
from Testing.Host.qt_names import NODE_POINTER, qt

DOUBLES: dict[str, Any] = {kind.__name__: kind for kind in widgets.CLASSES}


class QUiLoader(PlainLoader):
    """`load(file)` gives the root widget."""

    def createWidget(self, kind: str, parent: qt.QWidget | None = None, name: str = "") -> qt.QWidget:
        if kind not in DOUBLES:
            return super().createWidget(kind, parent, name)
        widget = DOUBLES[kind](parent)
        widget.setObjectName(name)
        return widget

    def load(self, file: qt.QIODevice, parent: qt.QWidget | None = None) -> qt.QWidget:
        """Properties that Qt's loader does not find it leaves as dynamic ones: those of the doubles, and mistakes, which are refused."""
        text = NODE_POINTER.sub("PyObject", bytes(file.readAll().data()).decode())
        buffer = qt.QBuffer()
        buffer.setData(re.sub(r"<set>(ctk[^<]*)</set>", lambda found: f"<number>{_flags(found[1])}</number>", text).encode())
        root = super().load(buffer, parent)
        for child in [root, *root.findChildren(qt.QWidget)]:
            for name in [raw.data().decode() for raw in child.dynamicPropertyNames() if not raw.startsWith(b"_")]:
                setattr(child, name, child.property(name))
        return root


def _flags(names: str) -> int:
    """Of a double, which Qt's loader cannot know: "ctkPathLineEdit::Dirs|ctkPathLineEdit::Writable"."""
    parts = (name.split("::") for name in names.split("|"))
    return sum(getattr(DOUBLES[kind], flag) for kind, flag in parts)

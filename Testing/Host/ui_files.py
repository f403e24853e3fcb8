"""Loads a .ui file as Slicer does: doubles for its custom widgets, and its connections between them.

Whatever a real Slicer could not do with the file fails here too: a class, a property, a signal or a slot that is not there.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

from PySide6.QtUiTools import QUiLoader as PlainLoader

from Testing.Host import ctk_widgets, mrml_widgets, qt_names, segmentation_widgets

qt = qt_names.qt_module()
DOUBLES = {kind.__name__: kind for kind in (*ctk_widgets.CLASSES, *mrml_widgets.CLASSES, *segmentation_widgets.CLASSES)}

NOT_FROM_THE_FILE = ("_q_", "_PySide", "visibilityToParent")


class QUiLoader(PlainLoader):
    """`load(file)` gives the root widget. Raises ValueError for what the host's widgets do not have."""

    def createWidget(self, kind: str, parent: qt.QWidget | None = None, name: str = "") -> qt.QWidget:
        if kind not in DOUBLES:
            return super().createWidget(kind, parent, name)
        widget = DOUBLES[kind](parent)
        widget.setObjectName(name)
        return widget

    def load(self, file: qt.QIODevice, parent: qt.QWidget | None = None) -> qt.QWidget:
        document = ElementTree.fromstring(bytes(file.readAll().data()))
        self._refuse_unknown_classes(document)
        own = _take_own_properties(document)
        connections = _take(document, "connections")
        buffer = qt.QBuffer()
        buffer.setData(ElementTree.tostring(document, encoding="utf-8"))
        root = super().load(buffer, parent)
        children = {child.name: child for child in [root, *root.findChildren(qt.QObject)] if child.name}
        _refuse_unknown_properties(children.values())
        for name, values in own.items():
            for key, value in values.items():
                setattr(children[name], key, value)
        for connection in connections:
            _connect(children, connection)
        return root

    def _refuse_unknown_classes(self, document: ElementTree.Element) -> None:
        known = {*DOUBLES, *self.availableWidgets(), "Line"}
        unknown = {widget.get("class", "") for widget in document.iter("widget")} - known
        if unknown:
            raise ValueError(f"the test host has no {', '.join(sorted(unknown))}")


def _take(document: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    """Remove an element of the document and return its children."""
    element = document.find(tag)
    if element is None:
        return []
    document.remove(element)
    return list(element)


def _take_own_properties(document: ElementTree.Element) -> dict[str, dict[str, Any]]:
    """Values of the properties that only the double knows, by widget name: Qt's loader would not find them in its tables."""
    own: dict[str, dict[str, Any]] = {}
    for widget in document.iter("widget"):
        kind = DOUBLES.get(widget.get("class", ""))
        for element in widget.findall("property") if kind else ():
            name = element.get("name", "")
            if kind.staticMetaObject.indexOfProperty(name) < 0:
                widget.remove(element)
                own.setdefault(widget.get("name", ""), {})[name] = _value(element[0], kind)
    return own


def _value(element: ElementTree.Element, kind: Any) -> Any:
    text = element.text or ""
    if element.tag == "stringlist":
        return [item.text or "" for item in element]
    if element.tag in ("set", "enum"):
        return sum(getattr(kind, name.split("::")[-1]) for name in text.split("|"))
    return {"bool": lambda: text == "true", "number": lambda: int(text), "double": lambda: float(text)}.get(element.tag, lambda: text)()


def _refuse_unknown_properties(children: Any) -> None:
    for child in children:
        unknown = [name for raw in child.dynamicPropertyNames() if not (name := raw.data().decode()).startswith(NOT_FROM_THE_FILE)]
        if unknown:
            raise ValueError(f"{type(child).__name__} {child.name} has no property {', '.join(unknown)}")


def _connect(children: dict[str, Any], connection: ElementTree.Element) -> None:
    sender, signal, receiver, slot = (connection.findtext(tag, "") for tag in ("sender", "signal", "receiver", "slot"))
    missing = {sender, receiver} - children.keys()
    if missing:
        raise ValueError(f"connection of {', '.join(missing)}, which is not in the file")
    children[sender].connect(signal, children[receiver], slot)

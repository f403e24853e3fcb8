"""PySide6 made to look like PythonQt's `qt`, as far as a scripted module can tell the two apart.

The classes of PySide6 are changed once, in place, so that objects which Qt itself makes look right as well:
Qt properties are attributes, signals may be connected by signature, and attributes that Qt does not know are refused.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets
from shiboken6 import Shiboken

MODULES = (QtCore, QtGui, QtWidgets)
NOT_IN_PYTHONQT = ("Signal", "Slot", "Property", "SIGNAL", "SLOT")
NODE_POINTER = re.compile(r"vtkMRML\w+\*")  # what is any Python object to the signals of the doubles


class QtProperty:
    """A Qt property as an attribute. Reading goes through the getter that had the name: virtual getters would call themselves otherwise."""

    def __init__(self, name: str, getter: Any, writable: bool) -> None:
        self.name, self.getter, self.writable = name, getter, writable

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        if owner is None:
            return self.getter
        return self.getter.__get__(owner, kind)() if self.getter is not None else owner.property(self.name)

    def __set__(self, owner: Any, value: Any) -> None:
        if not self.writable:
            raise AttributeError(f"property {self.name!r} of {type(owner).__name__} is read-only")
        if not owner.setProperty(self.name, value):
            raise ValueError(f"property {self.name!r} of {type(owner).__name__} does not accept {value!r}")


def _change_classes() -> None:
    """Base classes first: their methods are what subclasses fall back on."""
    kinds = {kind for module in MODULES for name in dir(module) if isinstance(kind := getattr(module, name), type)}
    for kind in sorted((kind for kind in kinds if issubclass(kind, Shiboken.Object)), key=lambda kind: len(kind.__mro__)):
        if issubclass(kind, QtCore.QObject):
            _add_properties(kind)
        if kind is QtCore.QObject:
            kind.__getattribute__ = object.__getattribute__  # PySide6's returns its own `connect`, whatever the class says
        kind.__setattr__ = _set_known
        kind.__bases__ = kind.__bases__  # each class has C functions for attributes; this makes it look the new ones up
    _name_methods(QtCore.QObject)
    QtWidgets.QDialog.exec_ = QtWidgets.QDialog.exec


def _add_properties(kind: type) -> None:
    """Inherited properties too where the class has a getter of its own (sizeHint of every widget)."""
    meta = kind.staticMetaObject
    for index in range(meta.propertyCount()):
        name, getter = meta.property(index).name(), vars(kind).get(meta.property(index).name())
        inherited = index < meta.propertyOffset() and getter is None
        if not (inherited or isinstance(getter, QtProperty)):
            setattr(kind, name, QtProperty(name, getter if callable(getter) else None, meta.property(index).isWritable()))


def _set_known(self: Any, name: str, value: Any) -> None:
    """Properties always. Python classes may have attributes of their own, the doubles only private ones: they stand for C++ classes."""
    kind = type(self)
    own = name.startswith("_") if kind.__module__.startswith("Testing.Host") else not kind.__module__.startswith("PySide6")
    if not own and not hasattr(inspect.getattr_static(kind, name, None), "__set__"):
        raise AttributeError(f"{name!r} does not exist on {kind.__name__}, and C++ objects take no new attributes")
    Shiboken.Object.__setattr__(self, name, value)


def _name_methods(kind: Any) -> None:
    """What PythonQt adds to every QObject."""
    static_connect, static_disconnect = kind.connect, kind.disconnect

    def connect(self: QtCore.QObject, signal: str, *slot: Any) -> bool:
        if not isinstance(signal, str):  # QTimer.singleShot calls PySide6's own form: sender, signal, slot
            return static_connect(signal, *slot)
        return static_connect(self, _known_signal(self, signal), *slot) is not None

    def disconnect(self: QtCore.QObject, signal: str, slot: Callable[..., Any]) -> bool:
        return static_disconnect(self, _known_signal(self, signal), slot)

    kind.connect, kind.disconnect, kind.name = connect, disconnect, vars(kind)["objectName"]


def _known_signal(sender: QtCore.QObject, signature: str) -> str:
    """In PySide6's spelling, where the code 2 stands for a signal."""
    normalised = QtCore.QMetaObject.normalizedSignature(NODE_POINTER.sub("PyObject", signature)).data().decode()
    if sender.metaObject().indexOfSignal(normalised) < 0:
        raise AttributeError(f"{type(sender).__name__} has no signal {signature}")
    return "2" + normalised


def _make_module() -> types.ModuleType:
    module = types.ModuleType("qt", "PySide6 under the names of PythonQt")
    for part in MODULES:
        vars(module).update({name: getattr(part, name) for name in dir(part) if not name.startswith("_") and name not in NOT_IN_PYTHONQT})
    return module


_change_classes()
qt: Any = _make_module()
sys.modules["qt"] = qt

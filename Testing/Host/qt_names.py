"""PySide6 made to look like PythonQt's `qt`, as far as a scripted module can tell the two apart.

The classes of PySide6 are changed once, in place, so that objects which Qt itself makes look right as well:
Qt properties are attributes, signals may be connected by signature, and attributes that Qt does not know are refused.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets
from shiboken6 import Shiboken

MODULES = (QtCore, QtGui, QtWidgets)
NOT_IN_PYTHONQT = ("Signal", "Slot", "Property", "SIGNAL", "SLOT")
KEPT = ("singleShot",)  # a static function of QTimer, and a property that nobody sets by name


class QtProperty:
    """A Qt property as an attribute. Reading goes through the getter that had the name: virtual getters would call themselves otherwise."""

    def __init__(self, name: str, getter: Any, setter: Any, writable: bool) -> None:
        self.name, self.getter, self.setter, self.writable = name, getter, setter, writable

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        if owner is None:
            return self.getter
        return self.getter.__get__(owner, kind)() if self.getter is not None else owner.property(self.name)

    def __set__(self, owner: Any, value: Any) -> None:
        if not self.writable:
            raise AttributeError(f"property {self.name!r} of {type(owner).__name__} is read-only")
        if self.setter is not None:
            self.setter.__get__(owner, type(owner))(value)
        elif not owner.setProperty(self.name, value):
            raise ValueError(f"property {self.name!r} of {type(owner).__name__} does not accept {value!r}")


def change_classes() -> None:
    """Change PySide6. Base classes first: their methods are what subclasses fall back on."""
    kinds = {kind for module in MODULES for name in dir(module) if isinstance(kind := getattr(module, name), type)}
    wrapped = sorted((kind for kind in kinds if issubclass(kind, Shiboken.Object)), key=lambda kind: len(kind.__mro__))
    for kind in wrapped:
        if issubclass(kind, QtCore.QObject):
            _add_properties(kind)
        _change_attributes(kind)
    _name_methods(QtCore.QObject)
    QtWidgets.QDialog.exec_ = QtWidgets.QDialog.exec
    QtWidgets.QMenu.exec_ = QtWidgets.QMenu.exec


def _add_properties(kind: type) -> None:
    """Inherited properties too where the class has a getter of its own (sizeHint of every widget)."""
    meta = kind.staticMetaObject
    for index in range(meta.propertyCount()):
        name, writable = meta.property(index).name(), meta.property(index).isWritable()
        getter = vars(kind).get(name)
        if isinstance(getter, QtProperty) or name in KEPT or (index < meta.propertyOffset() and getter is None):
            continue
        setattr(kind, name, QtProperty(name, getter if callable(getter) else None, _static(kind, f"set{name[0].upper()}{name[1:]}"), writable))


def _change_attributes(kind: type) -> None:
    """Each class of PySide6 has C functions of its own for attributes; giving it its bases again makes it look up the new ones.

    Those that read attributes return PySide6's `connect` whatever the class says; those that set them take any name.
    """
    if kind is QtCore.QObject:
        kind.__getattribute__ = object.__getattribute__
    elif "__getattribute__" in vars(kind):
        kind.__getattribute__ = functools.partialmethod(_get, vars(kind)["__getattribute__"])
    kind.__setattr__ = _set_known
    kind.__bases__ = kind.__bases__


def _get(self: Any, original: Any, name: str) -> Any:
    """QFile and some others tell their static from their other methods of one name here, past what Python says of the class."""
    found = _static(type(self), name)
    return found.__get__(self) if isinstance(found, types.FunctionType) else original(self, name)


def _set_known(self: Any, name: str, value: Any) -> None:
    if not _may_set(type(self), name):
        raise AttributeError(f"{name!r} does not exist on {type(self).__name__}, and C++ objects take no new attributes")
    Shiboken.Object.__setattr__(self, name, value)


def _may_set(kind: type, name: str) -> bool:
    """Properties always. Python classes may have attributes of their own, the doubles only private ones: they stand for C++ classes."""
    if hasattr(getattr(kind, name, None), "__set__") or isinstance(_static(kind, name), (QtProperty, property)):
        return True
    if kind.__module__.startswith("PySide6"):
        return False
    return not getattr(kind, "IS_DOUBLE", False) or name.startswith("_")


def _static(kind: type, name: str) -> Any:
    return next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)


def _name_methods(kind: Any) -> None:
    """What PythonQt adds to every QObject."""
    static_connect, static_disconnect, find_children = kind.connect, kind.disconnect, kind.findChildren

    def connect(self: QtCore.QObject, signal: str, *receiver: Any) -> bool:
        if not isinstance(signal, str):  # QTimer.singleShot calls PySide6's own form: sender, signal, slot
            return static_connect(signal, *receiver)
        return _bound_signal(self, signal, static_connect)(_slot(*receiver)) is not None

    def disconnect(self: QtCore.QObject, signal: str, *receiver: Any) -> bool:
        return _bound_signal(self, signal, static_disconnect)(_slot(*receiver)) is not None

    def findChildren(self: QtCore.QObject, kind: str | type = QtCore.QObject, name: str = "") -> list[Any]:
        named = find_children(self, QtCore.QObject, name) if name else find_children(self, QtCore.QObject)
        return [child for child in named if _is_a(child, kind)]

    def findChild(self: QtCore.QObject, kind: str | type, name: str = "") -> Any:
        return next(iter(findChildren(self, kind, name)), None)

    kind.connect, kind.disconnect, kind.findChild, kind.findChildren = connect, disconnect, findChild, findChildren
    kind.name = vars(kind)["objectName"]
    kind.className = lambda self: type(self).__name__


def _bound_signal(sender: Any, signature: str, static: Callable[..., Any]) -> Callable[[Any], Any]:
    """`connect` or `disconnect` of the signal with this C++ signature."""
    normalised = QtCore.QMetaObject.normalizedSignature(signature).data().decode()
    name = normalised.split("(")[0]
    if normalised in getattr(sender, "SIGNALS", ()):
        return getattr(getattr(sender, name), static.__name__)
    if sender.metaObject().indexOfSignal(normalised) < 0:
        raise AttributeError(f"{type(sender).__name__} has no signal {signature}")
    return lambda slot: static(sender, "2" + normalised, slot)


def _slot(receiver: Any, signature: str = "") -> Callable[..., Any]:
    return getattr(receiver, signature.split("(")[0]) if signature else receiver


def _is_a(child: QtCore.QObject, kind: str | type) -> bool:
    return any(base.__name__ == kind for base in type(child).__mro__) if isinstance(kind, str) else isinstance(child, kind)


@functools.cache
def qt_module() -> types.ModuleType:
    """The module that `import qt` gives."""
    change_classes()
    qt = types.ModuleType("qt", "PySide6 under the names of PythonQt")
    for module in MODULES:
        vars(qt).update({name: getattr(module, name) for name in dir(module) if not name.startswith("_") and name not in NOT_IN_PYTHONQT})
    sys.modules["qt"] = qt
    return qt


def pixels_of(image: Any) -> Any:
    """A QImage as numpy array (height, width, 3)."""
    import numpy as np

    image = image.convertToFormat(QtGui.QImage.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()

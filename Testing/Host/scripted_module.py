"""Scripted modules: doubles of the classes of `slicer.ScriptedLoadableModule`, as far as modules rely on them, and what loads a module from its file."""

from __future__ import annotations

import importlib.util
import sys
import unittest
from pathlib import Path
from typing import Any

import slicer
import slicer.util

from Testing.Host.qt_names import qt
from Testing.Host.widgets import qMRMLWidget


class ScriptedLoadableModule:
    """`parent` has what Slicer shows of the module."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent


class ScriptedLoadableModuleWidget:
    """`parent` is the widget that Slicer shows in its module panel, `layout` its layout."""

    def __init__(self, parent: Any) -> None:
        self.parent, self.layout = parent, parent.layout()

    def setup(self) -> None:
        """Here Slicer adds its developers' section."""

    def onReload(self) -> None:
        slicer.util.reloadScriptedModule(type(self).__name__.removesuffix("Widget"))


class ScriptedLoadableModuleLogic:
    """Keeps the parameter node, of which a scene has one."""

    def getParameterNode(self) -> slicer.vtkMRMLScriptedModuleNode:
        name = type(self).__name__.removesuffix("Logic")
        node = slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag(name)
            node.SetModuleName(name)
            node.SetName(slicer.mrmlScene.GenerateUniqueName(name))
            slicer.mrmlScene.AddNode(node)
        node.SetAttribute("ModuleName", name)  # a closed scene leaves the node without it
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """The module's self-test, run by its button or by Slicer's own tests."""


CLASSES = (ScriptedLoadableModule, ScriptedLoadableModuleWidget, ScriptedLoadableModuleLogic, ScriptedLoadableModuleTest)


class Representation(qMRMLWidget):
    """The widget in the module panel that holds what a scripted module sets up."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        qt.QVBoxLayout(self)
        self.reload()

    def reload(self) -> None:
        """Set the module's widget up, with its present source."""
        widget = getattr(sys.modules[self._name], f"{self._name}Widget")(self)
        setattr(slicer.modules, f"{self._name}Widget", widget)
        widget.setup()

    def self(self) -> Any:
        return getattr(slicer.modules, f"{self._name}Widget")


class ScriptedModule:
    """What `slicer.modules.<name>` is for a scripted module; the module's own class writes its title and more on it."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = str(path), path.stem
        spec: Any = importlib.util.spec_from_file_location(self.name, path)
        module = sys.modules[self.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        setattr(slicer.modules, self.name.lower(), self)
        getattr(module, self.name)(self)

    def show(self) -> Representation:
        """Set the module's widget up."""
        self._representation = Representation(self.name)
        return self._representation

    def widgetRepresentation(self) -> Representation:
        return self._representation

    def unload(self) -> None:
        """Slicer calls `cleanup` before the widget goes."""
        self._representation.self().cleanup()
        self._representation.deleteLater()
        delattr(slicer.modules, f"{self.name}Widget")
        delattr(slicer.modules, self.name.lower())
        del sys.modules[self.name]

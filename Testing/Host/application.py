"""`slicer.app`, `slicer.modules` and the names that a module imports, over the scene and the views of the test host."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import slicer
import slicer.util
from PySide6.QtCore import Signal

from Testing.Host import mrml_widgets, packaging, qt_names, scripted_module, ui_files
from Testing.Host.layout import LayoutManager
from Testing.Host.scene import make_scene

qt = qt_names.qt_module()
VERSION = "5.12.3"
LAUNCHER = """#!/bin/sh
# As Slicer's launcher does, starts the interpreter as a child and ends with its code; who kills this alone leaves the child running.
"{python}" "$@"
exit $?
"""


def install_names() -> packaging.Packaging:
    """Make `import qt, ctk` and the parts of `slicer` that the wheel lacks work; to be called before module code is imported."""
    qt.QUiLoader = ui_files.QUiLoader
    ctk = types.ModuleType("ctk")
    for name, kind in ui_files.DOUBLES.items():
        setattr(slicer if name.startswith("qMRML") else ctk, name, kind)
    scripted, i18n = types.ModuleType("slicer.ScriptedLoadableModule"), types.ModuleType("slicer.i18n")
    vars(scripted).update({kind.__name__: kind for kind in scripted_module.CLASSES})
    vars(i18n).update(tr=lambda text: text, translate=lambda context, text: text)
    double = packaging.Packaging()
    for module in (scripted, i18n, double):
        setattr(slicer, module.__name__.split(".")[1], module)
    modules = (ctk, scripted, i18n, double, packaging.pytorch_utils(double), _sample_data())
    sys.modules.update({module.__name__: module for module in modules})
    return double


def _sample_data() -> types.ModuleType:
    """Slicer's module SampleData, as far as others register data with it."""
    module: Any = types.ModuleType("SampleData")
    module.registered = []
    module.SampleDataLogic = type("SampleDataLogic", (), {"registerCustomSampleDataSource": staticmethod(lambda **source: module.registered.append(source))})
    return module


class qSlicerApplication(qt.QApplication):
    """`slicer.app`. There is one in a process, as of any QApplication."""

    IS_DOUBLE = True
    SIGNALS = ("startupCompleted()",)
    startupCompleted = Signal()

    def __init__(self) -> None:
        super().__init__([sys.argv[0]])
        self.applicationName, self.applicationVersion, self.organizationName = "Slicer", VERSION, "Learn2SynthHost"
        make_scene()
        bare = slicer.app
        self._logic, self._manager = bare.applicationLogic(), bare.coreIOManager()
        self._folder = Path(tempfile.mkdtemp(prefix="SlicerHost-"))
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        self._startup_environment = qt.QProcessEnvironment.systemEnvironment()
        self._testing = False
        self._add_launcher()
        slicer.app = self
        self._layout_manager = LayoutManager()
        self.aboutToQuit.connect(self._close_views)

    def _add_launcher(self) -> None:
        """`PythonSlicer`, on PATH as in Slicer."""
        launcher = Path(self.slicerHome) / "bin" / "PythonSlicer"
        launcher.parent.mkdir(parents=True)
        launcher.write_text(LAUNCHER.format(python=sys.executable))
        launcher.chmod(0o755)
        os.environ["PATH"] = f"{launcher.parent}{os.pathsep}{os.environ.get('PATH', '')}"

    def _close_views(self) -> None:
        for view in self._layout_manager.findChildren("View"):
            view.close_drawing()

    majorVersion, minorVersion = (int(part) for part in VERSION.split(".")[:2])

    @property
    def slicerHome(self) -> str:
        return str(self._folder / "home")

    @property
    def temporaryPath(self) -> str:
        folder = self._folder / "temporary"
        folder.mkdir(exist_ok=True)
        return str(folder)

    @property
    def launcherExecutableFilePath(self) -> str:
        return str(self._folder / "home" / "Slicer")

    def applicationLogic(self) -> slicer.vtkSlicerApplicationLogic:
        return self._logic

    def coreIOManager(self) -> Any:
        return self._manager

    def layoutManager(self) -> LayoutManager:
        return self._layout_manager

    def mrmlScene(self) -> slicer.vtkMRMLScene:
        return slicer.mrmlScene

    def userSettings(self) -> qt.QSettings:
        return qt.QSettings(str(self._folder / "Slicer.ini"), qt.QSettings.IniFormat)

    settings = userSettings

    def startupEnvironment(self) -> qt.QProcessEnvironment:
        """As it was before Slicer changed it."""
        return self._startup_environment

    def testingEnabled(self) -> bool:
        return self._testing

    def setTestingEnabled(self, value: bool) -> None:
        self._testing = value

    def pauseRender(self) -> None:
        self._layout_manager.pause()

    def resumeRender(self) -> None:
        self._layout_manager.resume()

    def moduleManager(self) -> Any:
        """`module(name)`, as `slicer.util.getModule` asks for it."""
        return types.SimpleNamespace(module=lambda name: getattr(slicer.modules, name.lower(), None))


class qSlicerScriptedLoadableModuleWidget(mrml_widgets.qMRMLWidget):
    """The widget in the module panel that holds what a scripted module sets up."""

    def __init__(self, module: ScriptedModule) -> None:
        super().__init__()
        self._module, self._python = module, None
        qt.QVBoxLayout(self)

    def reload(self) -> None:
        """Set the module's widget up, with its present source."""
        name = self._module.name
        self.setMRMLScene(slicer.mrmlScene)
        self._python = getattr(sys.modules[name], f"{name}Widget")(self)
        setattr(slicer.modules, f"{name}Widget", self._python)
        self._python.setup()

    def self(self) -> Any:
        return self._python


class ScriptedModule:
    """What `slicer.modules.<name>` is for a scripted module; the module's own class writes its title and more on it."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = str(path), path.stem
        self._representation: qSlicerScriptedLoadableModuleWidget | None = None
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        spec: Any = importlib.util.spec_from_file_location(self.name, path)
        module = sys.modules[self.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        setattr(slicer.modules, self.name.lower(), self)
        self.python = getattr(module, self.name)(self)

    def widgetRepresentation(self) -> qSlicerScriptedLoadableModuleWidget:
        if self._representation is None:
            self._representation = qSlicerScriptedLoadableModuleWidget(self)
            self._representation.reload()
        return self._representation

    def unload(self) -> None:
        """Slicer calls `cleanup` before the widget goes."""
        if self._representation is not None:
            self._representation.self().cleanup()
            self._representation.setParent(None)
            self._representation.deleteLater()
            delattr(slicer.modules, f"{self.name}Widget")
        delattr(slicer.modules, self.name.lower())
        del sys.modules[self.name]


slicer.qSlicerScriptedLoadableModuleWidget = qSlicerScriptedLoadableModuleWidget
slicer.qSlicerScriptedLoadableModule = ScriptedModule

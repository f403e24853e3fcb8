"""`slicer.app`, and the names that a module imports, over the scene and the views of the test host."""

from __future__ import annotations

import atexit
import functools
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

from Testing.Host import scripted_module, ui_files
from Testing.Host.layout import LayoutManager
from Testing.Host.packaging import Packaging, pytorch_utils
from Testing.Host.qt_names import qt
from Testing.Host.scene import make_scene

LAUNCHER = """#!/bin/sh
# As Slicer's launcher does, starts the interpreter as a child and ends with its code; who kills this alone leaves the child running.
"{python}" "$@"
exit $?
"""


@functools.cache
def install_names() -> None:
    """Make `import ctk` and the parts of `slicer` that the wheel lacks work; to be called before module code is imported."""
    qt.QUiLoader = ui_files.QUiLoader
    ctk: Any = types.ModuleType("ctk")
    for name, kind in ui_files.DOUBLES.items():
        setattr(slicer if name.startswith("qMRML") else ctk, name, kind)
    ctk.ctkMessageBox = qt.QMessageBox  # of slicer.util.messageBox
    scripted, i18n = types.ModuleType("slicer.ScriptedLoadableModule"), types.ModuleType("slicer.i18n")
    vars(scripted).update({kind.__name__: kind for kind in scripted_module.CLASSES})
    vars(i18n).update(tr=lambda text: text, translate=lambda context, text: text)
    slicer.packaging = Packaging()
    modules = (ctk, scripted, i18n, slicer.packaging, pytorch_utils(slicer.packaging))
    sys.modules.update({module.__name__: module for module in modules})


class qSlicerApplication(qt.QApplication):
    """`slicer.app`. There is one in a process, as of any QApplication."""

    startupCompleted = Signal()

    def __init__(self) -> None:
        super().__init__([sys.argv[0]])
        self.applicationName, self.applicationVersion, self.organizationName = "Slicer", "5.12.3", "Learn2SynthHost"
        make_scene()
        self._bare = slicer.app
        self._folder = Path(tempfile.mkdtemp(prefix="SlicerHost-"))
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        self._startup_environment = qt.QProcessEnvironment.systemEnvironment()
        self._add_launcher()
        slicer.app = self
        self._layout_manager = LayoutManager()

    def _add_launcher(self) -> None:
        """`PythonSlicer`, on PATH as in Slicer."""
        launcher = self._folder / "PythonSlicer"
        launcher.write_text(LAUNCHER.format(python=sys.executable))
        launcher.chmod(0o755)
        os.environ["PATH"] = f"{launcher.parent}{os.pathsep}{os.environ['PATH']}"

    def applicationLogic(self) -> slicer.vtkSlicerApplicationLogic:
        return self._bare.applicationLogic()

    def coreIOManager(self) -> Any:
        return self._bare.coreIOManager()

    def layoutManager(self) -> LayoutManager:
        return self._layout_manager

    def userSettings(self) -> qt.QSettings:
        return qt.QSettings(str(self._folder / "Slicer.ini"), qt.QSettings.IniFormat)

    def startupEnvironment(self) -> qt.QProcessEnvironment:
        """As it was before Slicer changed it."""
        return self._startup_environment

    def testingEnabled(self) -> bool:
        return False

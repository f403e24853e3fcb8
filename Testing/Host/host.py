"""The test host: a small Slicer with one window, and what tests ask of it."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from Testing.Host.application import qSlicerApplication
from Testing.Host.dialogs import Dialogs, real_file_dialogs
from Testing.Host.layout import FOUR_UP
from Testing.Host.qt_names import qt
from Testing.Host.scripted_module import ScriptedModule
from Testing.Host.window import qSlicerMainWindow

HARMLESS = ("This plugin does not support",)  # of the platform without a screen
TICK_MS = 5


class Host:
    """`errors` are exceptions of slots and warnings of Qt and VTK, `dialogs` what was shown and what will be answered.

    `longest_block_ms` is the longest time that the GUI was deaf while the host waited or clicked, `longest_work_ms` the longest time that it computed in one
    go: not longer on a computer that has others to serve. Set both to 0 by `measure()` to measure from now on.
    screen: a person is there to answer dialogs.
    """

    def __init__(self, screen: bool = False) -> None:
        self.app = qSlicerApplication()
        self.window = qSlicerMainWindow(self.app.layoutManager())
        self.errors: list[str] = []
        self.dialogs, self.packaging = Dialogs(), slicer.packaging
        self.module: ScriptedModule | None = None
        (real_file_dialogs if screen else self.dialogs.install)()
        self._collect_errors()
        self.measure()
        self._last_tick = _now()
        self._timer = qt.QTimer()
        self._timer.setTimerType(qt.Qt.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(TICK_MS)

    @property
    def scene(self) -> slicer.vtkMRMLScene:
        return slicer.mrmlScene

    # --- the module

    def open_module(self, path: Path) -> Any:
        """Load a module from its file, show it in the panel and enter it. Returns its ...Widget object."""
        self.close_module()
        module = ScriptedModule(path)
        self.app.startupCompleted.emit()
        self.window.show_module(module.title, module.show())
        self.module, widget = module, module.widgetRepresentation().self()
        widget.enter()
        return widget

    def close_module(self) -> None:
        """Leave the module, clean it up and forget it."""
        if self.module is not None:
            self.module.widgetRepresentation().self().exit()
            self.module.unload()
            self.module = None
            self._delete()

    def reset(self) -> None:
        """A new scene, settings as at the first start, and nothing remembered."""
        self.close_module()
        self.window.hide()
        self.scene.Clear(0)
        self.app.layoutManager().setLayout(FOUR_UP)
        self.app.userSettings().clear()
        self.packaging.__init__()
        self.dialogs.clear()
        self.errors.clear()
        self.measure()

    def measure(self) -> None:
        """From now on."""
        self.longest_block_ms = self.longest_work_ms = 0.0

    # --- what a user does

    def click(self, button: Any) -> None:
        """Press a button that a user could press."""
        assert button.enabled and not button.isHidden(), f"button {button.name!r} is disabled or hidden"
        self._last_tick = _now()
        button.click()
        self._tick()

    def wait(self, condition: Callable[[], Any], seconds: float = 10.0, what: str = "condition") -> Any:
        """Let events happen until the condition holds; returns its value. AssertionError when it does not in time, or at the first error of a slot."""
        deadline, known = time.monotonic() + seconds, len(self.errors)
        self._last_tick = _now()
        while not (value := condition()):
            assert time.monotonic() < deadline, f"{what} did not hold within {seconds:g} s"
            self.app.processEvents(qt.QEventLoop.WaitForMoreEvents)
            self._tick()
            self._delete()
            assert len(self.errors) == known, self.errors[-1]
        return value

    def _tick(self) -> None:
        """Since the last tick nothing of the user's was heard."""
        now = _now()
        passed, worked = ((after - before) * 1000 for before, after in zip(self._last_tick, now))
        self.longest_block_ms = max(self.longest_block_ms, passed - TICK_MS)
        self.longest_work_ms = max(self.longest_work_ms, worked)
        self._last_tick = now

    def _delete(self) -> None:
        """What was left for the event loop to delete; processEvents leaves it to a loop that tests do not have."""
        self.app.sendPostedEvents(None, qt.QEvent.DeferredDelete.value)

    # --- what a user sees

    def image_of(self, view: str) -> np.ndarray:
        """Pixels (height, width, 3) of the slice view Red, Yellow or Green, of "3D" or of "plot", drawn now."""
        image = self.app.layoutManager().view(view).render()
        rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
        return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()

    def screenshot(self, path: str | Path, width: int = 1440, height: int = 900) -> None:
        """The whole window as PNG."""
        self.window.resize(width, height)
        self.window.show()
        for _ in range(3):  # layouts settle, then views follow their sizes
            self.app.processEvents()
            self._delete()
        for view in self.app.layoutManager().shown():
            view.render()
        self.app.processEvents()
        self.window.grab().save(str(path))

    # --- what went wrong

    def _collect_errors(self) -> None:
        qt.qInstallMessageHandler(self._on_qt_message)
        sys.excepthook = self._on_exception
        self._vtk_output = vtk.vtkOutputWindow.GetInstance()
        self._vtk_output.AddObserver(vtk.vtkCommand.ErrorEvent, self._on_vtk_message)
        self._vtk_output.AddObserver(vtk.vtkCommand.WarningEvent, self._on_vtk_message)

    def _on_exception(self, kind: type[BaseException], error: BaseException, trace: Any) -> None:
        self.errors.append("".join(traceback.format_exception(kind, error, trace)))
        sys.__excepthook__(kind, error, trace)

    def _on_qt_message(self, kind: Any, _context: Any, message: str) -> None:
        if kind != qt.QtMsgType.QtDebugMsg and not message.startswith(HARMLESS):
            self.errors.append(f"Qt: {message}")
            print(f"Qt: {message}", file=sys.stderr)

    @vtk.calldata_type(vtk.VTK_STRING)
    def _on_vtk_message(self, _window: Any, _event: str, message: str) -> None:
        self.errors.append(f"VTK: {message}")


def _now() -> tuple[float, float]:
    """Seconds that passed, and seconds that this thread computed."""
    return time.perf_counter(), time.thread_time()

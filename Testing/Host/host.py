"""The test host: a small Slicer with one window, and what tests ask of it."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
import slicer.util

from Testing.Host import qt_names
from Testing.Host.application import ScriptedModule, qSlicerApplication
from Testing.Host.dialogs import Dialogs
from Testing.Host.window import qSlicerMainWindow

qt = qt_names.qt_module()
HARMLESS = ("This plugin does not support",)  # of the platform without a screen
TICK_MS = 5


class Watchdog:
    """How long the GUI thread goes without coming round to a timer, while the host waits or clicks."""

    def __init__(self) -> None:
        self.longest_ms = 0.0
        self._last = time.perf_counter()
        self._timer = qt.QTimer()
        self._timer.setTimerType(qt.Qt.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self.tick)
        self._timer.start()

    def tick(self) -> None:
        self.longest_ms = max(self.longest_ms, (time.perf_counter() - self._last) * 1000 - TICK_MS)
        self.forgive()

    def forgive(self) -> None:
        """The test itself took the time since the last tick."""
        self._last = time.perf_counter()


class Host:
    """`errors` are exceptions of slots and warnings of Qt, `dialogs` what was shown and what will be answered.

    real_dialogs: for a person at a screen.
    """

    def __init__(self, real_dialogs: bool = False) -> None:
        self.app = qSlicerApplication()
        self.window = qSlicerMainWindow(self.app.layoutManager())
        self.errors: list[str] = []
        self.dialogs = Dialogs()
        self.watchdog = Watchdog()
        self.packaging = slicer.packaging
        self.module: ScriptedModule | None = None
        if not real_dialogs:
            self.dialogs.install()
        qt.qInstallMessageHandler(self._on_qt_message)
        sys.excepthook = self._on_exception

    @property
    def scene(self) -> slicer.vtkMRMLScene:
        return slicer.mrmlScene

    # --- the module

    def open_module(self, path: str | Path) -> Any:
        """Load a module from its file, show it in the panel and enter it. Returns its ...Widget object."""
        self.close_module()
        self.module = ScriptedModule(Path(path).resolve())
        self.app.startupCompleted.emit()
        representation = self.module.widgetRepresentation()
        self.window.show_module(self.module, representation)
        widget = representation.self()
        if hasattr(widget, "enter"):
            widget.enter()
        return widget

    def close_module(self) -> None:
        """Leave the module, clean it up and forget it."""
        if self.module is None:
            return
        widget = self.module.widgetRepresentation().self()
        if hasattr(widget, "exit"):
            widget.exit()
        self.module.unload()
        self.module = None
        self.app.sendPostedEvents(None, qt.QEvent.DeferredDelete.value)

    def reset(self) -> None:
        """A new scene, settings as at the first start, and nothing remembered."""
        self.close_module()
        self.window.hide()
        self.scene.Clear(0)
        self.app.layoutManager().reset()
        self.app.userSettings().clear()
        self.app.setTestingEnabled(False)
        self.packaging.reset()
        self.dialogs.clear()
        self.errors.clear()
        self.watchdog.longest_ms = 0.0

    # --- what a user does

    def click(self, button: Any) -> None:
        """Press a button that a user could press."""
        assert button.enabled, f"button {button.name!r} is disabled"
        assert not button.isHidden(), f"button {button.name!r} is hidden"
        self.watchdog.forgive()
        button.click()
        self.watchdog.tick()

    def wait(self, condition: Callable[[], Any], seconds: float = 10.0, what: str = "") -> Any:
        """Let events happen until the condition holds; returns its value. AssertionError when it does not in time, or at the first error of a slot."""
        deadline = time.monotonic() + seconds
        known = len(self.errors)
        self.watchdog.forgive()
        while not (value := condition()):
            assert time.monotonic() < deadline, f"{what or 'condition'} did not hold within {seconds:g} s"
            self.app.processEvents(qt.QEventLoop.WaitForMoreEvents)
            self.watchdog.tick()
            assert len(self.errors) == known, self.errors[-1]
        return value

    @property
    def longest_block_ms(self) -> float:
        """Longest time that the GUI was deaf while the host waited or clicked. Set it to 0 to measure from now on."""
        return self.watchdog.longest_ms

    @longest_block_ms.setter
    def longest_block_ms(self, value: float) -> None:
        self.watchdog.longest_ms = value

    # --- what a user sees

    def render(self) -> None:
        """Draw all views now."""
        self.app.layoutManager().render()

    def image_of(self, view: str) -> Any:
        """Pixels (height, width, 3) of the slice view Red, Yellow or Green, of "3D" or of "plot", drawn now."""
        manager = self.app.layoutManager()
        widget = {"3D": manager.threeDWidget(0), "plot": manager.plotWidget(0)}.get(view) or manager.sliceWidget(view)
        return qt_names.pixels_of(widget.render())

    def screenshot(self, path: str | Path, width: int = 1440, height: int = 900) -> None:
        """The whole window as PNG."""
        self.window.resize(width, height)
        self.window.show()
        for _ in range(3):  # layouts settle, then views follow their sizes
            self.app.processEvents()
        self.render()
        self.app.processEvents()
        self.window.grab().save(str(path))

    # --- what went wrong

    def _on_exception(self, kind: type[BaseException], error: BaseException, trace: Any) -> None:
        self.errors.append("".join(traceback.format_exception(kind, error, trace)))
        sys.__excepthook__(kind, error, trace)

    def _on_qt_message(self, kind: Any, _context: Any, message: str) -> None:
        if kind != qt.QtMsgType.QtDebugMsg and not message.startswith(HARMLESS):
            self.errors.append(f"Qt: {message}")
            print(f"Qt: {message}", file=sys.stderr)

"""Dialogs that never block a test: each one shown is written down, and answered from a queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from Testing.Host.qt_names import qt

FILE_DIALOGS = {"getOpenFileName": "", "getOpenFileNames": [], "getSaveFileName": "", "getExistingDirectory": ""}  # and what a cancelled one returns


class Shown(NamedTuple):
    """One dialog: which of Qt's, and what it said."""

    kind: str
    title: str
    text: str = ""


class Dialogs:
    """`shown`, in their order. Answers are used up one a dialog: a button, a path, a list of paths; without one, messages are accepted, files cancelled."""

    def __init__(self) -> None:
        self.shown: list[Shown] = []
        self._answers: deque[Any] = deque()

    def answer(self, *answers: Any) -> None:
        """Queue answers for the next dialogs."""
        self._answers.extend(answers)

    def clear(self) -> None:
        self.shown.clear()
        self._answers.clear()

    def install(self) -> None:
        """From now on no dialog of this process waits for a user."""
        qt.QDialog.exec_ = lambda dialog: self._note(Shown("dialog", dialog.windowTitle), 0)
        qt.QMessageBox.exec_ = lambda box: self._note(Shown("message", box.windowTitle.strip(), box.text), _accepting(box))
        for name, cancelled in FILE_DIALOGS.items():
            setattr(qt.QFileDialog, name, self._file_dialog(name, cancelled))

    def _file_dialog(self, name: str, cancelled: Any) -> staticmethod:
        return staticmethod(lambda _parent, title, *_options: self._note(Shown(name, title), cancelled))

    def _note(self, shown: Shown, unanswered: Any) -> Any:
        self.shown.append(shown)
        return self._answers.popleft() if self._answers else unanswered


def _accepting(box: Any) -> Any:
    """The button that agrees, of those that the box has."""
    return next(button for button in (qt.QMessageBox.Ok, qt.QMessageBox.Yes, qt.QMessageBox.Close) if box.standardButtons & button)


def real_file_dialogs() -> None:
    """For a person at a screen: PySide6's file dialogs answer with the chosen filter too, PythonQt's with the path alone."""
    for name in FILE_DIALOGS.keys() - {"getExistingDirectory"}:
        setattr(qt.QFileDialog, name, _path_alone(getattr(qt.QFileDialog, name)))


def _path_alone(ask: Callable[..., tuple[Any, str]]) -> staticmethod:
    return staticmethod(lambda *arguments: ask(*arguments)[0])

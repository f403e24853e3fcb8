"""Dialogs that never block a test: each one shown is written down, and answered from a queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from Testing.Host import qt_names

qt = qt_names.qt_module()
FILE_DIALOGS = {"getOpenFileName": "", "getOpenFileNames": [], "getSaveFileName": "", "getExistingDirectory": ""}  # and what a cancelled one returns
INPUT_DIALOGS = ("getText", "getItem", "getInt", "getDouble")


@dataclass(frozen=True)
class Shown:
    """One dialog: what kind, what it said, what it was answered with."""

    kind: str
    text: str
    title: str = ""
    detail: str = ""
    answer: Any = None


@dataclass
class Dialogs:
    """`shown` in their order. `answers` are used up one a dialog; a dialog without one is accepted (message) or cancelled (file, input).

    Message boxes take a button as answer, file dialogs a path or a list of paths, input dialogs a value.
    """

    shown: list[Shown] = field(default_factory=list)
    answers: deque[Any] = field(default_factory=deque)

    @property
    def texts(self) -> list[str]:
        return [dialog.text for dialog in self.shown]

    def answer(self, *answers: Any) -> None:
        """Queue answers for the next dialogs."""
        self.answers.extend(answers)

    def clear(self) -> None:
        self.shown.clear()
        self.answers.clear()

    def install(self) -> None:
        """From now on no dialog of this process waits for a user."""
        for kind in (qt.QMessageBox, qt.QDialog, qt.QMenu):
            kind.exec = kind.exec_ = lambda dialog, *_: self._on_exec(dialog)
        for name, cancelled in FILE_DIALOGS.items():
            setattr(qt.QFileDialog, name, self._static(name, cancelled))
        for name in INPUT_DIALOGS:
            setattr(qt.QInputDialog, name, self._static(name, None))
        for name in ("information", "question", "warning", "critical"):
            setattr(qt.QMessageBox, name, self._static_message(name))
        qt.QDesktopServices.openUrl = staticmethod(lambda url: bool(self._note("openUrl", url.toString(), answer=True)))

    def _on_exec(self, dialog: Any) -> Any:
        if isinstance(dialog, qt.QMessageBox):
            answer = self._next(_accepting(dialog))
            self._note("message", dialog.text, dialog.windowTitle, dialog.detailedText, answer)
            return answer
        title = getattr(dialog, "windowTitle", "")
        return self._note(type(dialog).__name__, title, title, answer=self._next(0 if isinstance(dialog, qt.QDialog) else None))

    def _static(self, name: str, cancelled: Any) -> staticmethod:
        def ask(_parent: Any = None, title: str = "", *arguments: Any, **_options: Any) -> Any:
            return self._note(name, str(title), str(title), " ".join(map(str, arguments)), self._next(cancelled))

        return staticmethod(ask)

    def _static_message(self, name: str) -> staticmethod:
        def ask(_parent: Any, title: str, text: str, buttons: Any = None, default: Any = None) -> Any:
            return self._note(name, text, title, answer=self._next(qt.QMessageBox.Yes if name == "question" else qt.QMessageBox.Ok))

        return staticmethod(ask)

    def _next(self, default: Any) -> Any:
        return self.answers.popleft() if self.answers else default

    def _note(self, kind: str, text: str, title: str = "", detail: str = "", answer: Any = None) -> Any:
        self.shown.append(Shown(kind, text, title.strip(), detail, answer))
        return answer


def _accepting(box: Any) -> Any:
    """The button that agrees, of those that the box has."""
    wanted = (qt.QMessageBox.Ok, qt.QMessageBox.Yes, qt.QMessageBox.Retry)
    return next((button for button in wanted if box.standardButtons & button), qt.QMessageBox.Close)


def real_file_dialogs() -> None:
    """For a person at a screen: PySide6's file dialogs, which answer with the chosen filter too, answer with the path alone."""
    for name in ("getOpenFileName", "getOpenFileNames", "getSaveFileName"):
        setattr(qt.QFileDialog, name, _path_alone(getattr(qt.QFileDialog, name)))


def _path_alone(ask: Callable[..., tuple[Any, str]]) -> staticmethod:
    return staticmethod(lambda *arguments: ask(*arguments)[0])

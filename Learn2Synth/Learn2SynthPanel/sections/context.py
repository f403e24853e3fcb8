"""What the sections of the panel share: the widgets, the user's choices, and how a refusal is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import qt
import slicer

from Learn2SynthLib.errors import InputError

from ..settings import Settings
from ..translation import tr as _

_RED = "#c0392b"  # legible on light and on dark
MODELS_KEY = "Learn2Synth/Models"  # in Slicer's settings: models that the user imported or trained, newest first
_MODELS = 10
_ROW_HEIGHT = 24  # pixels


@dataclass
class Context:
    """ui: the widgets by their names in the .ui file. save: keeps the settings in the scene. wake: something runs, so the timer has to."""

    ui: Any
    save: Callable[[], None]
    wake: Callable[[], None]
    settings: Settings = field(default_factory=Settings)
    report: list[str] = field(default_factory=list)  # what went wrong so far, for a report to the developers
    _tips: dict[str, str] = field(default_factory=dict)  # of the .ui file, by widget

    def say(self, label: Any, text: str, wrong: bool = False) -> None:
        """Shows a sentence, or hides the label when there is none."""
        if wrong and text and text != label.text:  # once, however often it is said
            self.report.append(text)
        label.styleSheet = f"color: {_RED};" if wrong else ""
        label.text = text
        label.visible = bool(text)

    def enable(self, button: Any, missing: str) -> None:
        """A button that says in its tooltip what it does or, where it is disabled, what is missing."""
        what_it_does = self._tips.setdefault(button.objectName, button.toolTip)
        button.enabled = not missing
        button.toolTip = missing or what_it_does

    @contextmanager
    def attempt(self, label: Any) -> Iterator[None]:
        """An action of the user: what is refused is said in `label`, what is unexpected in a window."""
        with slicer.util.tryWithErrorDisplay(_("Learn2Synth met an unexpected error."), waitCursor=True):
            try:
                self.say(label, "")
                yield
            except InputError as error:
                self.say(label, str(error), wrong=True)


class Section:
    """A part of the panel, driven by the module's widget."""

    @property
    def active(self) -> bool:
        """Whether something runs that `tick` has to look at."""
        return False

    def restore(self) -> None:
        """Shows the settings of the scene."""

    def tick(self) -> None:
        """Looks at what runs, without waiting for it."""

    def stop(self) -> None:
        """Ends what must not outlive the scene or Slicer."""


def fill(combo: Any, entries: Mapping[Any, str], chosen: Any) -> None:
    """Puts {value: text} into a combo box and selects `chosen` (the first when it is not there), silently."""
    with silenced(combo):
        combo.clear()
        for value, text in entries.items():
            combo.addItem(text, value)
        combo.currentIndex = max(0, combo.findData(chosen)) if entries else -1


@contextmanager
def silenced(widget: Any) -> Iterator[None]:
    """What the panel shows by itself is nothing that the user chose: `widget` tells of no change meanwhile."""
    widget.blockSignals(True)
    try:
        yield
    finally:
        widget.blockSignals(False)


def show_progress(bar: Any, fraction: float | None) -> None:
    """None: busy without knowing how long."""
    bar.visible = True
    bar.maximum = 0 if fraction is None else 1000
    bar.value = 0 if fraction is None else round(1000 * fraction)


def text_item(text: str, tip: str = "", wrong: bool = False) -> Any:
    item = qt.QTableWidgetItem(text)
    item.setToolTip(tip or text)
    if wrong:
        item.setForeground(qt.QBrush(qt.QColor(_RED)))
    return item


def tidy(table: Any, *stretched: int) -> None:
    """Low rows without numbers; columns as wide as what they hold, but for those that take what is left."""
    header = table.horizontalHeader()
    header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    for column in stretched:
        header.setSectionResizeMode(column, qt.QHeaderView.Stretch)
    table.verticalHeader().visible = False
    table.verticalHeader().setSectionResizeMode(qt.QHeaderView.Fixed)
    table.verticalHeader().defaultSectionSize = _ROW_HEIGHT


def selected_rows(table: Any) -> list[int]:
    return [row for row in range(table.rowCount) if table.item(row, 0).isSelected()]


def known_models() -> list[str]:
    """Models that the user imported or trained, newest first."""
    stored = slicer.app.userSettings().value(MODELS_KEY)
    return [stored] if isinstance(stored, str) else list(stored or [])


def remember_model(model: str) -> None:
    models = [model, *(other for other in known_models() if other != model)]
    slicer.app.userSettings().setValue(MODELS_KEY, models[:_MODELS])

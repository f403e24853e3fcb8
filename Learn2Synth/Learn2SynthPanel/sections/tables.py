"""Which label table: those that come with the library, or a file of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.resources import names

from ..settings import Settings
from ..translation import tr as _
from .context import Context, fill

_OWN = "file..."  # the entry that asks for a file
Made = tuple[str, Callable[[], str]]
_MADE = "made..."  # the entry whose table is made when it is chosen


class TableChoice:
    """A combo box for the setting of that name.

    known: tables to offer. label: where refusals are said. changed: told of another choice. made: an entry, and what makes its table, the file's path.
    """

    def __init__(self, context: Context, combo: Any, setting: str, known: list[str], label: Any, changed: Callable[[], None], made: Made | None = None) -> None:
        self.context, self.combo, self.setting, self.known, self.label, self.changed, self.made = context, combo, setting, known, label, changed, made
        context.say(label, "")
        combo.connect("currentIndexChanged(int)", self.onChosen)

    def restore(self) -> None:
        """Shows the setting; one whose file is gone, as in a scene from another computer, gives way to the usual one."""
        self.context.say(self.label, "")
        try:
            load_table(self._chosen)
        except InputError as error:
            self.context.say(self.label, str(error), wrong=True)
            setattr(self.context.settings, self.setting, getattr(Settings(), self.setting))
        self._offer()

    @property
    def _chosen(self) -> str:
        return getattr(self.context.settings, self.setting)

    def _offer(self) -> None:
        tables = {name: load_table(name) for name in dict.fromkeys([*self.known, self._chosen])}
        entries = {name: _("{name} ({count} structures)").format(name=table.name, count=len(table.foreground)) for name, table in tables.items()}
        made = {_MADE: self.made[0]} if self.made else {}
        fill(self.combo, {**entries, **made, _OWN: _("a table of your own...")}, self._chosen)

    def onChosen(self, _index: int) -> None:
        chosen = self.combo.currentData
        if chosen == _OWN:
            kinds = _("Label tables (*.json)")
            chosen = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Label table"), "", kinds) or self._chosen
        with self.context.attempt(self.label):
            if chosen == _MADE and self.made:
                chosen = self.made[1]()
            load_table(chosen)
            setattr(self.context.settings, self.setting, chosen)
        self._offer()
        self.changed()


def numberings() -> list[str]:
    """Tables that label maps may be numbered by."""
    return names("Labels", ".json")


def targets() -> list[str]:
    """Tables that a network can predict."""
    return [name for name in numberings() if name.startswith("brain")]

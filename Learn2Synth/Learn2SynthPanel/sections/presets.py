"""Which preset: those that come with the library, or a file of the user's own; and how many steps, which follows from it until the user says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qt
import slicer

from Learn2SynthLib.config import build_config, read_preset
from Learn2SynthLib.resources import names

from ..settings import Settings
from ..translation import tr as _
from .context import Context, fill

_OWN = "file..."  # the entry that asks for a file


class PresetChoice:
    """changed: told of another choice."""

    def __init__(self, context: Context, changed: Callable[[], None]) -> None:
        self.context, self.changed, self.ui = context, changed, context.ui
        self.ui.presetComboBox.connect("currentIndexChanged(int)", self.onChosen)
        self.ui.stepsSpinBox.connect("valueChanged(int)", self.onSteps)

    def restore(self) -> None:
        """Shows the setting; one whose file is gone, as in a scene from another computer, gives way to the usual one."""
        settings = self.context.settings
        with self.context.attempt(self.ui.trainMessageLabel):
            preset, settings.preset = settings.preset, Settings().preset
            read_preset(preset)
            settings.preset = preset
        self._offer()

    def _offer(self) -> None:
        settings = self.context.settings
        entries = {name: _title(name) for name in names("Presets", ".json")}
        entries.setdefault(settings.preset, Path(settings.preset).stem)
        fill(self.ui.presetComboBox, {**entries, _OWN: _("a file...")}, settings.preset)
        settings.steps = settings.steps or build_config(settings.preset).steps
        self.ui.stepsSpinBox.value = settings.steps

    def onChosen(self, _index: int) -> None:
        settings, chosen = self.context.settings, self.ui.presetComboBox.currentData
        if chosen == _OWN:
            kinds = _("Settings (*.json *.l2s)")
            chosen = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Preset"), "", kinds) or settings.preset
        with self.context.attempt(self.ui.trainMessageLabel):
            read_preset(chosen)
            settings.preset, settings.steps = chosen, 0
        self._offer()
        self.changed()

    def onSteps(self, value: int) -> None:
        self.context.settings.steps = value
        self.changed()


def _title(name: str) -> str:
    config = build_config(name)
    spacing = "x".join(f"{s:g}" for s in config.grid.spacing_mm)
    return _("{name} ({ndim}D, {spacing} mm, {steps} steps)").format(name=name, ndim=config.ndim, spacing=spacing, steps=config.steps)

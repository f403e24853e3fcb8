"""Apply: the model of the training on the loaded volumes, as a file for others, and what it is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import qt
import slicer

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.files import is_there, written_aside
from Learn2SynthLib.run import Run

from .. import models
from ..translation import tr as _
from .context import Context, remember_model


class ApplySection:
    """segment: segments the loaded volumes with a model."""

    def __init__(self, context: Context, segment: Any) -> None:
        self.context, self.segment, self.ui = context, segment, context.ui
        self.run: Run | None = None
        self._shown: tuple[str, int] | None = None  # the model file whose card is shown, and when it was written
        self.ui.applyButton.connect("clicked()", self.onApply)
        self.ui.saveModelButton.connect("clicked()", self.onSave)
        self._show(None)
        self.open(None)

    def open(self, run: Run | None) -> None:
        """The run whose model is meant."""
        self.run = run
        self.update()

    def update(self) -> None:
        """Shows the newest model of the run."""
        path = self.run.model_path if self.run is not None and is_there(self.run.model_path) else None
        missing = "" if path else _("There is no model yet: start a training, or open one.")
        self.context.enable(self.ui.applyButton, missing)
        self.context.enable(self.ui.saveModelButton, missing)
        version = (str(path), path.stat().st_mtime_ns) if path else None
        if version != self._shown:
            self._shown = version
            self._show(path)

    def _show(self, path: Path | None) -> None:
        self.ui.cardBrowser.visible = path is not None
        if path is None:
            self.context.say(self.ui.applyMessageLabel, _("There is no model yet: start a training, or open one."))
            return
        try:
            self.ui.cardBrowser.setHtml(models.card_html(models.read_card(str(path))))
            self.context.say(self.ui.applyMessageLabel, "")
        except InputError as error:
            self.context.say(self.ui.applyMessageLabel, str(error), wrong=True)

    def onApply(self) -> None:
        with self.context.attempt(self.ui.applyMessageLabel):
            assert self.run is not None, "the button is disabled without a run"
            self.segment(str(self.run.folder))

    def onSave(self) -> None:
        assert self.run is not None, "the button is disabled without a run"
        kinds = _("Learn2Synth models (*.l2s)")
        chosen = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), _("Save the model"), f"{self.run.folder.name}.l2s", kinds)
        if not chosen:
            return
        target = Path(chosen if chosen.endswith(".l2s") else f"{chosen}.l2s")
        with self.context.attempt(self.ui.applyMessageLabel):
            with written_aside(target) as aside:
                shutil.copyfile(self.run.model_path, aside)
            remember_model(str(target))
            self.context.say(self.ui.applyMessageLabel, _("Saved as {path}.").format(path=target))

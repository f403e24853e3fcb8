"""Train, the training itself: how, where to, start, stop, resume, and following what it tells."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import qt
import slicer

from Learn2SynthLib.config import STRATEGIES, build_config
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.run import Run

from ..jobs.training import Training
from ..jobs.worker import slicer_launcher
from ..recipe import Recipe, free_folder, lacking, refused_folder
from ..settings import ALIKE, ANY
from ..translation import tr as _
from ..watching.headline import headline
from ..watching.progress import Progress
from .context import Context, Section, fill, remember_model, show_progress, silenced
from .presets import PresetChoice

_PAUSE_MS = 500  # without another letter
_LOOK = 2.0  # seconds between two looks at a training that was not started here


class RunSection(Section):
    """ready: installs what is missing. verdict: of the last check of the data.

    opened: told (run, progress, whether to show it) when another run is followed. told: that there are new events. strategy_changed: another was chosen.
    """

    def __init__(self, context: Context, ready: Any, verdict: Any, opened: Any, told: Any, strategy_changed: Any) -> None:
        self.context, self.ready, self.verdict, self.ui = context, ready, verdict, context.ui
        self.opened, self.told, self.strategy_changed = opened, told, strategy_changed
        self.preset = PresetChoice(context, self._chosen)
        self.training: Training | None = None
        self.progress = Progress()
        self._heard = time.monotonic()  # when it last told something
        self._stopping = False
        self._refusal = ""  # why the last click was in vain
        self._look_at = 0.0  # when to look again at a training of elsewhere
        self._alive = False  # when it was last looked at
        self._typing = qt.QTimer()  # of the folder: over once there was a pause
        self._typing.setSingleShot(True)
        self._typing.setInterval(_PAUSE_MS)
        self._typing.connect("timeout()", self.onFolder)
        ui = self.ui
        for button, slot in ((ui.startButton, self.onStart), (ui.stopButton, self.onStop), (ui.resumeButton, self.onResume), (ui.openRunButton, self.onOpen)):
            button.connect("clicked()", slot)
        for combo, setting in self._combos():
            combo.connect("currentIndexChanged(int)", lambda _index, combo=combo, setting=setting: self.onChoice(combo, setting))
        ui.settingsLineEdit.connect("textChanged(QString)", self.onSettings)
        for signal in ("currentPathChanged(QString)", "validInputChanged(bool)"):  # the first does not tell of an emptied field
            ui.runPathLineEdit.connect(signal, lambda _told: self._typing.start())
        ui.keepTrainingCheckBox.connect("toggled(bool)", self.onKeep)
        ui.trainProgressBar.visible = False
        context.say(ui.trainMessageLabel, "")

    def _combos(self) -> tuple[tuple[Any, str], ...]:
        ui = self.ui
        return (
            (ui.strategyComboBox, "strategy"),
            (ui.enhancementComboBox, "enhancement"),
            (ui.servedComboBox, "served"),
            (ui.trainDeviceComboBox, "train_device"),
        )

    # --- what is chosen

    def restore(self) -> None:
        """Shows the settings of the scene, and follows the run that it names."""
        settings, ui = self.context.settings, self.ui
        live = self._live
        if live is not None:  # a training does not end with the scene that it was started in
            settings.run, settings.keep = str(live.run.folder), live.kept
        fill(ui.strategyComboBox, {name: name for name in STRATEGIES}, settings.strategy)
        learned = {"parametric": _("parameters of the synthesis"), "network": _("a network behind the synthesis"), "both": _("both")}
        fill(ui.enhancementComboBox, learned, settings.enhancement)
        settings.enhancement = ui.enhancementComboBox.currentData
        fill(ui.servedComboBox, {ANY: _("scans of any contrast"), ALIKE: _("scans like the annotated ones")}, settings.served)
        settings.served = ui.servedComboBox.currentData
        self.preset.restore()
        ui.settingsLineEdit.text = settings.assignments
        settings.run = settings.run or free_folder()
        self._typing.stop()
        with silenced(ui.runPathLineEdit):
            ui.runPathLineEdit.currentPath = settings.run
        if live is not None:
            self.opened(live.run, self.progress, False)
            self.update()
        else:
            self.follow(settings.run)

    def onChoice(self, combo: Any, setting: str) -> None:
        setattr(self.context.settings, setting, combo.currentData)
        self.context.say(self.ui.trainMessageLabel, "")
        if setting == "strategy":
            self.strategy_changed()
        self._chosen()

    def onSettings(self, text: str) -> None:
        self.context.settings.assignments = text
        self._chosen()

    def onFolder(self) -> None:
        """Takes the folder that is shown; not at each letter, because disks may be slow."""
        self._typing.stop()
        path = self.ui.runPathLineEdit.currentPath
        if path != self.context.settings.run:
            self.context.settings.run = path
            self.context.save()
            self.context.say(self.ui.trainMessageLabel, "")
            self.follow(path)

    def _still(self, button: Any) -> bool:
        """Whether a button that was pressed means something in the folder that was typed last, too."""
        self.onFolder()
        return button.enabled

    def onKeep(self, keep: bool) -> None:
        self.context.settings.keep = keep
        self.context.save()
        if self.training is not None and self.training.started_here:
            with self._told_with_the_headline():
                self.training.keep(keep)

    def _chosen(self) -> None:
        self.context.save()
        self.update()

    # --- what is done

    @property
    def _live(self) -> Training | None:
        """The training that was started here, while it lasts."""
        training = self.training
        return training if training is not None and training.started_here and training.alive else None

    def follow(self, folder: str, show: bool = False) -> None:
        """Follows the run in a folder, where there is one: it may be training, here or elsewhere, or have ended."""
        self.training, self.progress, self._stopping, self._refusal, self._look_at = None, Progress(), False, "", 0.0
        if folder and Run(folder).exists():
            self._follow(Training(Run(folder), slicer_launcher), show)
        else:
            self.opened(None, self.progress, False)
            self.ui.trainProgressBar.visible = False
        self.update()

    def _follow(self, training: Training, show: bool) -> None:
        self.training, self.progress, self._heard, self._stopping, self._alive = training, Progress(), time.monotonic(), False, True
        self.opened(training.run, self.progress, show)
        self.context.wake()

    def onOpen(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder of a training"), str(Path(self.context.settings.run).parent))
        if not folder:
            return
        with self.context.attempt(self.ui.trainMessageLabel):
            if not Run(folder).exists():
                raise InputError(folder, _("holds no training"), remedy=_("choose the folder that a training writes to: it has a config.json"))
            self.ui.runPathLineEdit.currentPath = self.context.settings.run = folder
            self.context.save()
            self.follow(folder, show=True)

    def onStart(self) -> None:
        if not self._still(self.ui.startButton):
            return
        with self.context.attempt(self.ui.trainMessageLabel):
            self.ready()
            settings = self.context.settings
            build_config(settings.preset, settings.assigned)
            run = Run(settings.run)
            recipe = Recipe(settings, slicer.mrmlScene, run.inputs)
            arguments = recipe.arguments()
            training = Training(run, slicer_launcher)
            training.start(arguments, settings.keep)
            self.ui.runPathLineEdit.addCurrentPathToHistory()
            self._follow(training, show=True)
            self.context.say(self.ui.trainMessageLabel, " ".join(recipe.notes))
            self._make_room()
        self.update()

    def _make_room(self) -> None:
        """What was chosen is folded away: from now on one watches."""
        for name in ("segment", "labelMaps", "scans", "unlabelled", "check", "settings"):
            getattr(self.ui, f"{name}CollapsibleButton").collapsed = True

    def onResume(self) -> None:
        if not self._still(self.ui.resumeButton):
            return
        with self.context.attempt(self.ui.trainMessageLabel):
            self.ready()
            assert self.training is not None, "the button is disabled without a run"
            self.training.resume(self.context.settings.train_device, self.context.settings.keep)
            self._heard, self._stopping = time.monotonic(), False
            self.context.wake()
        self.update()

    def onStop(self) -> None:
        if self.training is None:
            return
        with self._told_with_the_headline():
            again, self._stopping = self._stopping, True
            (self.training.stop_now if again else self.training.stop)()
        self.update()

    @contextmanager
    def _told_with_the_headline(self) -> Iterator[None]:
        """What is refused while a training lives is said before its headline, which would take the place of any message."""
        self._refusal = ""
        try:
            yield
        except InputError as error:
            self._refusal = str(error)

    @property
    def active(self) -> bool:
        return self.training is not None and (self.training.started_here or self._alive or self.progress.revision == 0)

    def tick(self) -> None:
        training = self.training
        if training is None or not self._due(training):
            return
        self._alive, problem = training.alive, ""  # asked first: of one that is gone the last words are there
        try:
            events = training.poll()
        except OSError as error:
            self._alive, events, problem = True, [], _("What the training tells cannot be read ({reason}).").format(reason=error.strerror or error)
        if events:
            self._heard = time.monotonic()
            self.progress.add(events)
            self.told()
            if events[-1]["event"] in ("finished", "stopped"):
                remember_model(str(training.run.folder))
        alive = training.alive
        if not alive:
            self._stopping, self._refusal = False, ""
        self._show(alive, problem)
        self.update()

    def _due(self, training: Training) -> bool:
        """Whether to look at it now. A training of elsewhere may lie on a slow disk, and nobody waits for each of its words."""
        now = time.monotonic()
        if not training.started_here and now < self._look_at:
            return False
        self._look_at = now + _LOOK
        return True

    def _show(self, alive: bool, problem: str) -> None:
        text = problem or headline(self.progress, alive, time.monotonic() - self._heard)
        if self._refusal or self._stopping:
            text = f"{self._refusal or _('Stopping after this step ...')} {text}"
        wrong = bool(problem or self._refusal) or self.progress.phase == "failed" or (not alive and self.progress.under_way)
        for label in (self.ui.trainMessageLabel, self.ui.headlineLabel):
            if label.text != text:
                self.context.say(label, text, wrong=wrong)
        busy = alive and self.progress.phase != "training"
        show_progress(self.ui.trainProgressBar, None if busy else self.progress.fraction)

    def stop(self) -> None:
        """The panel goes: nobody types any more."""
        self._typing.stop()

    def leave(self) -> None:
        """Slicer closes: the training ends by itself, unless it was to be kept."""
        if self.training is not None:
            self.training.leave()

    def update(self) -> None:
        """What can be done now, and what is missing."""
        ui, settings = self.ui, self.context.settings
        alive = self.training is not None and self.training.alive
        refused = _("The check found data that cannot be used (3. Structures and check).") if self.verdict() is False else ""
        missing = _("A training is under way.") if alive else lacking(settings) or refused or refused_folder(settings.run)
        self.context.enable(ui.startButton, missing)
        self.context.enable(ui.resumeButton, self._why_no_resume(alive))
        for chooser in (ui.runPathLineEdit, ui.openRunButton):  # what is shown is what Stop and Resume mean
            self.context.enable(chooser, _("A training is under way.") if self._live else "")
        others = self.training if alive and self._live is None else None
        self.context.enable(ui.keepTrainingCheckBox, _("This training was started elsewhere: only there it can be changed.") if others else "")
        with silenced(ui.keepTrainingCheckBox):
            ui.keepTrainingCheckBox.checked = others.kept if others else settings.keep
        ui.stopButton.enabled = alive
        ui.stopButton.text = _("Stop now") if alive and self._stopping else _("Stop")
        self.context.say(ui.strategyLabel, STRATEGIES[settings.strategy].summary)
        ui.enhancementComboBox.enabled = ui.servedComboBox.enabled = settings.strategy == "learn2synth"

    def _why_no_resume(self, alive: bool) -> str:
        if alive:
            return _("A training is under way.")
        if self.training is None or not self.training.run.exists():  # the second: its data were refused
            return _("There is no training in this folder.")
        return _("This training is finished.") if self.progress.phase == "finished" else ""

"""The line at the bottom: what the network runs with, in words, and what is missing."""

from __future__ import annotations

import re
from importlib import metadata
from typing import Any

import qt
import slicer

from Learn2SynthLib import __version__
from Learn2SynthLib.errors import InputError

from ..jobs import dependencies
from ..jobs.job import Job
from ..jobs.worker import slicer_launcher
from ..translation import tr as _
from .context import Context, Section, fill

_RECENT = 20  # messages in a report


class EnvironmentSection(Section):
    def __init__(self, context: Context) -> None:
        self.context, self.ui = context, context.ui
        self.job: Job | None = None
        self.computer: dict[str, Any] = {}
        self._installing = False
        self.ui.installButton.connect("clicked()", self.onInstall)
        self.ui.copyReportButton.connect("clicked()", self.onCopy)
        self._offer_devices({})

    def look(self) -> None:
        """Looks what is there: packages at once; devices, which only torch knows, by a process that tells later."""
        try:
            missing = dependencies.missing()
        except InputError as error:
            self._say(str(error), wrong=True)
            return
        self.ui.installButton.visible = bool(missing)
        if missing:
            names = ", ".join(re.split(">=|;", requirement)[0] for requirement in missing)
            self._say(_("Not installed yet: {names}. You are asked before anything is installed.").format(names=names))
        elif not self.computer and self.job is None:
            self._say(_("torch {version}").format(version=metadata.version("torch")))
            self._ask()

    def _ask(self) -> None:
        try:
            self.job = Job(slicer_launcher)
            self.job.start(["environment", "--json"], owned=False)
            self.context.wake()
        except InputError as error:
            self._close()
            self._say(str(error), wrong=True)

    def _say(self, text: str, wrong: bool = False) -> None:
        self.context.say(self.ui.environmentLabel, text, wrong)

    def ready(self) -> None:
        """Within an `attempt`, installs what is missing, after asking. Raises InputError when it stays missing, and while an installation is under way."""
        if self._installing:  # pip lets Slicer's windows live now and then
            raise InputError(_("packages"), _("are being installed"), remedy=_("wait until that has ended"))
        if dependencies.missing():
            self._install()

    def _install(self) -> None:
        self._installing = True
        self._say(_("Installing, once you agree. PyTorch is large: Slicer may not answer for several minutes."))
        slicer.app.processEvents()  # so that it can be read meanwhile
        slicer.app.restoreOverrideCursor()  # an action's hourglass, over questions that wait for an answer
        try:
            dependencies.install()
        finally:
            slicer.app.setOverrideCursor(qt.Qt.WaitCursor)
            self._installing = False
            self.look()

    def onInstall(self) -> None:
        with self.context.attempt(self.ui.environmentLabel):
            self.ready()

    @property
    def active(self) -> bool:
        return self.job is not None

    def tick(self) -> None:
        if self.job is None:
            return
        code = self.job.exit_code
        for event in self.job.poll():
            if event["event"] == "environment":
                self.computer = event
                self._say(event["summary"])
                self._offer_devices(event["devices"])
        if code is not None:
            if code:
                self._say(_("torch does not start: {reason}").format(reason=self.job.last_words()), wrong=True)
            self._close()

    def _close(self) -> None:
        if self.job is not None:
            self.job.close()
        self.job = None

    def stop(self) -> None:
        self._close()

    def _offer_devices(self, devices: dict[str, str]) -> None:
        settings = self.context.settings
        entries = {"auto": _("automatic"), **{name: f"{name}: {what}" for name, what in devices.items()}}
        for combo, chosen in ((self.ui.segmentDeviceComboBox, settings.segment_device), (self.ui.trainDeviceComboBox, settings.train_device)):
            known = entries if chosen in entries else {**entries, chosen: chosen}
            fill(combo, known, chosen)

    def restore(self) -> None:
        self._offer_devices(self.computer.get("devices", {}))

    def onCopy(self) -> None:
        """A report for the developers: versions, devices, what went wrong."""
        facts = {"Learn2Synth": __version__, "Slicer": slicer.app.applicationVersion}
        facts |= self.computer.get("devices", {}) | self.computer.get("environment", {})
        lines = [self.ui.environmentLabel.text, *(f"{name}: {fact}" for name, fact in facts.items()), *self.context.report[-_RECENT:]]
        qt.QApplication.clipboard().setText("\n".join(lines))

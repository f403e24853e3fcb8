"""Train, the check: what the network shall find, whether the data are fit for it, and what their labels mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer

from Learn2SynthLib.errors import InputError

from ..drawn import drawn_table, keep_table
from ..jobs.job import Event, Job
from ..jobs.worker import slicer_launcher
from ..label_mapping import NOT_USED, UNDECIDED, LabelMapping
from ..recipe import LABELS, SCANS, Recipe, found_labels, lacking, own_folder
from ..translation import tr as _
from .context import Context, Section, fill, selected_rows, show_progress, text_item, tidy
from .tables import TableChoice, targets

Subject = dict[str, Any]  # one report of the check


class CheckSection(Section):
    """verdict: of the last check; None since the data changed. ready: installs what is missing. changed: told of another verdict.

    numbered: told when the annotated scans got another label table.
    """

    def __init__(self, context: Context, ready: Any, changed: Any, numbered: Any) -> None:
        self.context, self.ready, self.changed, self.numbered, self.ui = context, ready, changed, numbered, context.ui
        self.job: Job | None = None
        self.verdict: bool | None = None
        self.subjects: list[Subject] = []
        self._cohort: list[str] = []  # what was found about all of them together
        ui = self.ui
        drawn = (_("what is drawn in the annotated scans"), self._drawn)
        self.target = TableChoice(context, ui.targetComboBox, "target", targets(), ui.checkMessageLabel, self.forget, drawn)
        ui.checkButton.connect("clicked()", self.onCheck)
        ui.cancelCheckButton.connect("clicked()", self.onCancel)
        ui.mappingGroupComboBox.connect("currentIndexChanged(int)", self.onGroup)
        ui.checkTable.connect("itemSelectionChanged()", self.onSubject)
        tidy(ui.checkTable, 3)
        tidy(ui.mappingTable, 1)
        ui.checkProgressBar.visible = False

    def restore(self) -> None:
        self.target.restore()
        self.verdict, self.subjects = None, []
        fill(self.ui.mappingGroupComboBox, {LABELS: _("label maps"), SCANS: _("annotated scans")}, LABELS)
        self._show_subjects()
        self._show_mapping()
        self.update()

    def forget(self) -> None:
        """The data, or what is to be found in them, are others than those that were checked."""
        self._outdate()
        self.context.save()
        self._show_mapping()
        self.update()
        self.changed()

    def _outdate(self) -> None:
        """What was found, or is being found, is no longer true."""
        if self.job is not None or self.verdict is not None:
            self.context.say(self.ui.checkMessageLabel, _("What is to be checked was changed since: check again."))
        self.stop()
        self.verdict = None

    def _drawn(self) -> str:
        """The file of a table of all segments of the annotated scans, which then are numbered by it. Raises InputError where there is none."""
        names = Recipe(self.context.settings, slicer.mrmlScene, Path()).drawn
        if not names:
            found, remedy = _("none has a segmentation of this scene"), _("add a scan with the segmentation that you drew on it, or choose a table")
            raise InputError(_("annotated scans"), found, remedy=remedy)
        path = str(keep_table(drawn_table(names), own_folder() / "tables"))
        self.context.settings.scans_table = path
        self.numbered()
        return path

    def update(self) -> None:
        """What can be done now, and what is missing."""
        self.context.enable(self.ui.checkButton, _("A check is under way.") if self.job else lacking(self.context.settings))
        self.ui.cancelCheckButton.enabled = self.job is not None
        self.ui.checkTable.visible = bool(self.subjects)

    def onCheck(self) -> None:
        self.subjects, self.verdict = [], None
        with self.context.attempt(self.ui.checkMessageLabel):
            self.ready()
            self._start()
        self.update()

    def _start(self) -> None:
        job = Job(slicer_launcher)
        recipe = Recipe(self.context.settings, slicer.mrmlScene, job.folder / "inputs")
        try:
            job.start(["train", str(job.folder / "run"), *recipe.arguments(), "--check", "--json"])
        except BaseException:
            job.close()
            raise
        self.job = job
        self.context.say(self.ui.checkMessageLabel, " ".join([*recipe.notes, _("Reading the files ...")]))
        show_progress(self.ui.checkProgressBar, None)
        self.context.wake()

    def onCancel(self) -> None:
        self.stop()
        self.context.say(self.ui.checkMessageLabel, _("The check was cancelled."))
        self.update()

    def stop(self) -> None:
        """Ends a check that is under way: the user, the scene or Slicer does not wait for it."""
        if self.job is not None:
            self.job.close()
        self.job = None
        self.ui.checkProgressBar.visible = False

    @property
    def active(self) -> bool:
        return self.job is not None

    def tick(self) -> None:
        job = self.job
        if job is None:
            return
        code = job.exit_code
        for event in job.poll():
            self._take(event)
        if code is not None:
            self._finish(code, job.last_words())

    def _take(self, event: Event) -> None:
        if event["event"] == "checking":
            show_progress(self.ui.checkProgressBar, event["done"] / max(1, event["count"]))
        elif event["event"] == "checked":
            self.subjects = event["subjects"]
            self._cohort = [finding["message"] for finding in event.get("findings", [])]
            for group in (LABELS, SCANS):  # what was found becomes part of the mapping, where the user can say what it means
                self.context.settings.mappings[group] = self._mapping(group).to_json() | {"found": found_labels(self.subjects, group)}

    def _finish(self, code: int, last_words: str) -> None:
        self.stop()
        self.verdict = code == 0
        undecided = next((group for group in (LABELS, SCANS) if self._mapping(group).undecided), None)
        if undecided is not None:
            self.ui.mappingGroupComboBox.currentIndex = self.ui.mappingGroupComboBox.findData(undecided)
        self.ui.mappingCollapsibleButton.collapsed = undecided is None
        self._show_subjects()
        self._show_mapping()
        self.context.say(self.ui.checkMessageLabel, self._outcome(undecided) or last_words, wrong=not self.verdict)
        self.context.save()
        self.update()
        self.changed()

    def _outcome(self, undecided: str | None) -> str:
        """What the check says of all subjects together, and why the first bad one is bad; empty when it did not come so far."""
        count, bad = len(self.subjects), [subject for subject in self.subjects if not subject["ok"]]
        if self.verdict:
            return "\n".join([_("All {count} subjects can be used.").format(count=count), *self._cohort])
        if not bad:
            return ""
        lines = [_("{bad} of {count} subjects cannot be used. Select them to read why.").format(bad=len(bad), count=count)]
        lines.append(f"{bad[0]['name']}: {_reasons(bad[0], 'error')}")
        if undecided is not None:
            lines.append(_("Choose another table for what the numbers mean, or say below how each label counts; then check again."))
        return "\n".join(lines)

    def _show_subjects(self) -> None:
        table = self.ui.checkTable
        table.rowCount = len(self.subjects)
        for row, subject in enumerate(self.subjects):
            for column, text in enumerate((subject["name"], _verdict(subject), subject["role"].replace("_", " "), _grid(subject))):
                table.setItem(row, column, text_item(text, _reasons(subject), wrong=not subject["ok"]))

    def onSubject(self) -> None:
        rows = selected_rows(self.ui.checkTable)
        if rows and rows[0] < len(self.subjects):
            subject = self.subjects[rows[0]]
            text = _reasons(subject) or _("{name}: nothing to complain of.").format(name=subject["name"])
            self.context.say(self.ui.checkMessageLabel, text, wrong=not subject["ok"])

    # --- how labels count

    def onGroup(self, _index: int) -> None:
        self._show_mapping()

    def _show_mapping(self) -> None:
        group, table = self.ui.mappingGroupComboBox.currentData or LABELS, self.ui.mappingTable
        mapping = self._mapping(group)
        usual = {NOT_USED: _("not used"), **{label.value: label.name for label in mapping.choices}}
        table.rowCount = len(mapping.rows)
        for row, entry in enumerate(mapping.rows):
            tip = "" if entry.known else _("The label table does not say what this value counts as.")
            table.setItem(row, 0, text_item(str(entry.value), tip))
            table.setItem(row, 1, text_item(entry.name, tip))
            combo = qt.QComboBox()
            fill(combo, usual if entry.known else {UNDECIDED: _("choose ..."), **usual}, entry.target)
            combo.connect("currentIndexChanged(int)", lambda _index, combo=combo, value=entry.value: self.onAssign(group, value, combo.currentData))
            table.setCellWidget(row, 2, combo)

    def _mapping(self, group: str) -> LabelMapping:
        return Recipe(self.context.settings, slicer.mrmlScene, Path()).mapping(group)

    def onAssign(self, group: str, value: int, target: int) -> None:
        mapping = self._mapping(group)
        mapping.assign(value, target)
        self.context.settings.mappings[group] = mapping.to_json()
        self._outdate()
        self.context.save()
        self.update()
        self.changed()


def _grid(subject: Subject) -> str:
    if not subject["shape"]:
        return "-"
    return f"{'x'.join(map(str, subject['shape']))}, {'x'.join(f'{s:.2g}' for s in subject['spacing_mm'])} mm, {subject['orientation']}"


def _verdict(subject: Subject) -> str:
    if not subject["ok"]:
        return _("cannot be used")
    warnings = sum(finding["level"] == "warning" for finding in subject["findings"])
    return _("{count} warnings").format(count=warnings) if warnings else _("good")


def _reasons(subject: Subject, *levels: str) -> str:
    """What was found, a line each; all levels where none is named."""
    findings = [finding for finding in subject["findings"] if not levels or finding["level"] in levels]
    return "\n".join(f"{finding['level']}: {finding['message']}" for finding in findings)

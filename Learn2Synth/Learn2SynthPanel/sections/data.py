"""Train, the data: label maps, annotated scans, what their labels mean, and whether they are fit for training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.resources import names

from ..jobs.job import Event, Job
from ..jobs.worker import slicer_launcher
from ..label_mapping import NOT_USED, UNDECIDED, LabelMapping
from ..recipe import LABELS, SCANS, Recipe, found_labels, lacking
from ..settings import LEARN, MEASURE, Scan, Source
from ..translation import tr as _
from .context import Context, fill, selected_rows, show_progress, text_item, tidy

_VOLUME_FILES = "*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.mgz *.mgh"
_OWN = "file..."  # the entry that asks for a table of the user's own


class DataSection:
    """changed: told when the data for training are others than before."""

    def __init__(self, context: Context, ready: Any, changed: Any) -> None:
        self.context, self.ready, self.changed, self.ui = context, ready, changed, context.ui
        self.job: Job | None = None
        self.verdict: bool | None = None  # of the last check; None since the data changed
        self.subjects: list[dict[str, Any]] = []
        self._cohort: list[str] = []  # what was found about all of them together
        ui = self.ui
        for button, slot in (
            (ui.addLabelFilesButton, self.onAddLabelFiles),
            (ui.addLabelFolderButton, self.onAddLabelFolder),
            (ui.addLabelNodeButton, self.onAddLabelNode),
            (ui.removeLabelButton, self.onRemoveLabels),
            (ui.addScanFilesButton, self.onAddScanFiles),
            (ui.addScanFolderButton, self.onAddScanFolder),
            (ui.addScanNodesButton, self.onAddScanNodes),
            (ui.removeScanButton, self.onRemoveScans),
            (ui.checkButton, self.onCheck),
            (ui.cancelCheckButton, self.onCancelCheck),
        ):
            button.connect("clicked()", slot)
        for combo in (ui.labelNodeComboBox, ui.scanVolumeComboBox, ui.scanLabelsComboBox):
            combo.connect("currentNodeChanged(vtkMRMLNode*)", self.onNodeChanged)
        for combo, setting in self._tables():
            combo.connect("currentIndexChanged(int)", lambda _index, combo=combo, setting=setting: self.onTable(combo, setting))
        ui.mappingGroupComboBox.connect("currentIndexChanged(int)", self.onGroup)
        ui.checkTable.connect("itemSelectionChanged()", self.onSubject)
        tidy(ui.scansTable, 0, 1)
        tidy(ui.checkTable, 3)
        tidy(ui.mappingTable, 1)
        ui.checkProgressBar.visible = False
        context.say(ui.checkMessageLabel, "")

    def _tables(self) -> tuple[tuple[Any, str], ...]:
        ui = self.ui
        return ((ui.labelsTableComboBox, "labels_table"), (ui.scansTableComboBox, "scans_table"), (ui.targetComboBox, "target"))

    def restore(self) -> None:
        """Shows the settings of the scene."""
        for combo, setting in self._tables():
            self._offer_tables(combo, setting)
        fill(self.ui.mappingGroupComboBox, {LABELS: _("label maps"), SCANS: _("annotated scans")}, LABELS)
        self._show_all()

    def _offer_tables(self, combo: Any, setting: str) -> None:
        chosen = getattr(self.context.settings, setting)
        known = [name for name in names("Labels", ".json") if setting != "target" or name.startswith("brain")]
        entries = {name: _table_title(name) for name in known}
        entries.setdefault(chosen, Path(chosen).stem)
        fill(combo, {**entries, _OWN: _("a table of your own...")}, chosen)

    def _show_all(self) -> None:
        self._show_label_maps()
        self._show_scans()
        self._show_mapping()
        self.update()

    # --- lists

    def _name(self, source: Source) -> str:
        if not source.node:
            return Path(source.path).name
        node = slicer.mrmlScene.GetNodeByID(source.node)
        return node.GetName() if node else _("(removed from the scene)")

    def _where(self, source: Source) -> str:
        return source.path or _("loaded in Slicer")

    def _show_label_maps(self) -> None:
        self.ui.labelMapsList.clear()
        for source in self.context.settings.label_maps:
            item = qt.QListWidgetItem(self._name(source))
            item.setToolTip(self._where(source))
            self.ui.labelMapsList.addItem(item)

    def _show_scans(self) -> None:
        table, scans = self.ui.scansTable, self.context.settings.scans
        table.rowCount = len(scans)
        for row, scan in enumerate(scans):
            table.setItem(row, 0, text_item(self._name(scan.image), self._where(scan.image)))
            has_labels = scan.labels.path or scan.labels.node
            table.setItem(row, 1, text_item(self._name(scan.labels) if has_labels else _("found in the folder"), self._where(scan.labels)))
            combo = qt.QComboBox()
            fill(combo, {LEARN: _("learn from"), MEASURE: _("measure only")}, scan.use)
            combo.connect("currentIndexChanged(int)", lambda index, scan=scan: self.onUse(scan, index))
            table.setCellWidget(row, 2, combo)

    def forget(self, node: str) -> None:
        """A node was removed from the scene."""
        self.context.settings.forget(node)
        self._data_changed()

    def onUse(self, scan: Scan, index: int) -> None:
        scan.use = (LEARN, MEASURE)[index]
        self._data_changed()

    def _data_changed(self) -> None:
        self.verdict = None
        self.context.save()
        self._show_all()
        self.changed()

    def onAddLabelFiles(self) -> None:
        self._add_label_maps(_ask_files(_("Label maps to synthesise from")))

    def onAddLabelFolder(self) -> None:
        self._add_label_maps(_ask_folder(_("Folder of label maps to synthesise from")))

    def _add_label_maps(self, paths: list[str]) -> None:
        known = {source.path for source in self.context.settings.label_maps}
        self.context.settings.label_maps += [Source(path) for path in paths if path not in known]
        self._data_changed()

    def onAddLabelNode(self) -> None:
        node = self.ui.labelNodeComboBox.currentNode()
        if node and all(source.node != node.GetID() for source in self.context.settings.label_maps):
            self.context.settings.label_maps.append(Source(node=node.GetID()))
            self._data_changed()

    def onRemoveLabels(self) -> None:
        rows = [row for row in range(self.ui.labelMapsList.count) if self.ui.labelMapsList.item(row).isSelected()]
        settings = self.context.settings
        settings.label_maps = [source for row, source in enumerate(settings.label_maps) if row not in rows]
        self._data_changed()

    def onAddScanFiles(self) -> None:
        for image in _ask_files(_("Annotated scans")):
            labels = _ask_files(_("Label map of {name}").format(name=Path(image).name), str(Path(image).parent))[:1]
            if labels:
                self._add_scan(Source(image), Source(labels[0]))

    def onAddScanFolder(self) -> None:
        for folder in _ask_folder(_("Folder of annotated scans")):
            self._add_scan(Source(folder), Source())

    def onAddScanNodes(self) -> None:
        image, labels = self.ui.scanVolumeComboBox.currentNode(), self.ui.scanLabelsComboBox.currentNode()
        if image and labels:
            self._add_scan(Source(node=image.GetID()), Source(node=labels.GetID()))

    def _add_scan(self, image: Source, labels: Source) -> None:
        if all(scan.image != image for scan in self.context.settings.scans):
            self.context.settings.scans.append(Scan(image, labels))
            self._data_changed()

    def onRemoveScans(self) -> None:
        rows = selected_rows(self.ui.scansTable)
        self.context.settings.scans = [scan for row, scan in enumerate(self.context.settings.scans) if row not in rows]
        self._data_changed()

    def onNodeChanged(self, _node: Any = None) -> None:
        self.update()

    def onTable(self, combo: Any, setting: str) -> None:
        chosen = combo.currentData
        if chosen == _OWN:
            chosen = (_ask_files(_("Label table"), kinds=_("Label tables (*.json)"))[:1] or [getattr(self.context.settings, setting)])[0]
        with self.context.attempt(self.ui.checkMessageLabel):
            load_table(chosen)
            setattr(self.context.settings, setting, chosen)
        self._offer_tables(combo, setting)
        self._data_changed()

    def update(self) -> None:
        """What can be done now, and what is missing."""
        ui = self.ui
        one = _("Choose a loaded segmentation or label map first.")
        self.context.enable(ui.addLabelNodeButton, "" if ui.labelNodeComboBox.currentNode() else one)
        both = ui.scanVolumeComboBox.currentNode() and ui.scanLabelsComboBox.currentNode()
        self.context.enable(ui.addScanNodesButton, "" if both else _("Choose a loaded scan and its segmentation first."))
        missing = _("A check is under way.") if self.job else self.missing()
        self.context.enable(ui.checkButton, missing)
        ui.cancelCheckButton.enabled = self.job is not None
        ui.checkTable.visible = ui.checkTable.rowCount > 0

    def missing(self) -> str:
        return lacking(self.context.settings)

    # --- the check

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
        except InputError:
            job.close()
            raise
        self.job = job
        self.context.say(self.ui.checkMessageLabel, " ".join([*recipe.notes, _("Reading the files ...")]))
        show_progress(self.ui.checkProgressBar, None)
        self.context.wake()

    def onCancelCheck(self) -> None:
        self._close()
        self.context.say(self.ui.checkMessageLabel, _("The check was cancelled."))
        self.update()

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
            for group in (LABELS, SCANS):
                self._remember_labels(group)

    def _remember_labels(self, group: str) -> None:
        """What was found becomes part of the mapping, where the user can say what it means."""
        record = self._mapping(group).to_json() | {"found": found_labels(self.subjects, group)}
        self.context.settings.mappings[group] = record

    def _finish(self, code: int, last_words: str) -> None:
        self._close()
        self.verdict = code == 0
        self._show_subjects()
        self._show_mapping()
        undecided = next((group for group in (LABELS, SCANS) if self._mapping(group).undecided), None)
        self.context.say(self.ui.checkMessageLabel, self._outcome(undecided) or last_words, wrong=code != 0)
        self.ui.mappingCollapsibleButton.collapsed = undecided is None
        if undecided is not None:
            self.ui.mappingGroupComboBox.currentIndex = self.ui.mappingGroupComboBox.findData(undecided)
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
        lines.append(_("{name}: {reason}").format(name=bad[0]["name"], reason=_reasons(bad[0], "error")))
        if undecided is not None:
            lines.append(_("Choose another table for what the numbers mean, or say below how each label counts; then check again."))
        return "\n".join(lines)

    def _close(self) -> None:
        if self.job is not None:
            self.job.close()
        self.job = None
        self.ui.checkProgressBar.visible = False

    def stop(self) -> None:
        """The scene closes, or Slicer does."""
        self._close()

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

    def onGroup(self, _index: int = 0) -> None:
        self._show_mapping()

    def _show_mapping(self) -> None:
        group = self.ui.mappingGroupComboBox.currentData or LABELS
        table = self.ui.mappingTable
        mapping = self._mapping(group)
        usual = {NOT_USED: _("not used"), **{label.value: label.name for label in mapping.choices}}
        table.rowCount = len(mapping.rows)
        for row, entry in enumerate(mapping.rows):
            tip = "" if entry.known else _("The label table does not know this value.")
            table.setItem(row, 0, text_item(str(entry.value), tip))
            table.setItem(row, 1, text_item(entry.name, tip))
            combo = qt.QComboBox()
            fill(combo, usual if entry.known else {UNDECIDED: _("choose ..."), **usual}, entry.target)
            combo.connect("currentIndexChanged(int)", lambda _index, combo=combo, value=entry.value: self.onAssign(group, value, combo.currentData))
            table.setCellWidget(row, 2, combo)

    def _mapping(self, group: str) -> LabelMapping:
        return Recipe(self.context.settings, slicer.mrmlScene, Path()).mapping(group)

    def onAssign(self, group: str, value: int, target: int) -> None:
        with self.context.attempt(self.ui.checkMessageLabel):
            mapping = self._mapping(group)
            mapping.assign(value, target)
            self.context.settings.mappings[group] = mapping.to_json()
            self.verdict = None
            self.context.save()
            self.changed()


def _ask_files(title: str, folder: str = "", kinds: str = "") -> list[str]:
    kinds = kinds or _("Volumes ({suffixes})").format(suffixes=_VOLUME_FILES)
    return list(qt.QFileDialog.getOpenFileNames(slicer.util.mainWindow(), title, folder, kinds))


def _ask_folder(title: str) -> list[str]:
    folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, "")
    return [folder] if folder else []


def _table_title(name: str) -> str:
    """A table's name and how many structures it has."""
    return _("{name} ({count} structures)").format(name=name, count=len(load_table(name).foreground))


def _grid(subject: dict[str, Any]) -> str:
    if not subject["shape"]:
        return "-"
    return f"{'x'.join(map(str, subject['shape']))}, {'x'.join(f'{s:.2g}' for s in subject['spacing_mm'])} mm, {subject['orientation']}"


def _verdict(subject: dict[str, Any]) -> str:
    if not subject["ok"]:
        return _("cannot be used")
    warnings = sum(finding["level"] == "warning" for finding in subject["findings"])
    return _("{count} warnings").format(count=warnings) if warnings else _("good")


def _reasons(subject: dict[str, Any], *levels: str) -> str:
    """What was found, a line each; all levels where none is named."""
    findings = [finding for finding in subject["findings"] if not levels or finding["level"] in levels]
    return "\n".join(f"{finding['level']}: {finding['message']}" for finding in findings)

"""Segment: volumes, a model, one click; a segmentation beside each volume and a table of what it measures."""

from __future__ import annotations

from typing import Any

import qt
import slicer

from Learn2SynthLib.doubt import doubtful, listed, probably_failed
from Learn2SynthLib.errors import InputError

from .. import models
from ..jobs.segmenting import Segmenting
from ..jobs.worker import slicer_launcher
from ..nodes import is_preview
from ..scene.results import VOLUMES_TABLE, Columns, read_volumes_table
from ..settings import Source
from ..translation import tr as _
from .context import Context, Section, fill, known_models, remember_model, show_progress, silenced, text_item, tidy

_SHOWN = "vtkMRMLScalarVolumeNode"
_FITTING = 3  # columns that need no scrolling
_TOLD = 3  # segmentations that a sentence tells of


class SegmentSection(Section):
    """ready: installs what is missing, after asking; raises InputError when it stays missing. clear_views: makes room for the result."""

    def __init__(self, context: Context, ready: Any, clear_views: Any) -> None:
        self.context, self.ready, self.clear_views, self.ui = context, ready, clear_views, context.ui
        self.work: Segmenting | None = None
        self._ticked_here = ""  # ID of the volume that the panel has ticked by itself; empty once the user has chosen
        ui = self.ui
        ui.segmentVolumesComboBox.connect("checkedNodesChanged()", self.onVolumesChanged)
        ui.modelComboBox.connect("currentIndexChanged(int)", self.onModelChanged)
        ui.segmentDeviceComboBox.connect("currentIndexChanged(int)", self.onDeviceChanged)
        ui.importModelButton.connect("clicked()", self.onImport)
        ui.segmentButton.connect("clicked()", self.onSegment)
        ui.cancelSegmentButton.connect("clicked()", self.onCancel)
        for signal in ("currentNodeChanged(vtkMRMLNode*)", "nodeActivated(vtkMRMLNode*)"):  # the first alone is silent between nodes of one name
            ui.resultComboBox.connect(signal, self.onResultChanged)
        ui.copyVolumesButton.connect("clicked()", self.onCopy)
        ui.segmentProgressBar.visible = False
        context.say(ui.segmentMessageLabel, "")

    # --- what is chosen

    def restore(self) -> None:
        combo = self.ui.segmentVolumesComboBox
        chosen = {source.node for source in self.context.settings.volumes}
        self._ticked_here = ""
        with silenced(combo):
            for node in _loaded_volumes() + slicer.util.getNodesByClass("vtkMRMLSequenceNode"):
                combo.setCheckState(node, qt.Qt.Checked if node.GetID() in chosen else qt.Qt.Unchecked)
        self.offer_models()
        self.show_volumes()
        self.update()

    def tick_shown(self) -> None:
        """Ticks the volume that the user looks at, where he has ticked none himself: one click is to be enough."""
        ticked = self.volumes()
        if ticked and [node.GetID() for node in ticked] != [self._ticked_here]:
            return
        active = slicer.mrmlScene.GetNodeByID(slicer.app.applicationLogic().GetSelectionNode().GetActiveVolumeID() or "")
        loaded = [node for node in _loaded_volumes() if node is active] or _loaded_volumes()
        if len(loaded) == 1 and loaded != ticked:
            for state, nodes in ((qt.Qt.Unchecked, ticked), (qt.Qt.Checked, loaded)):
                for node in nodes:
                    self.ui.segmentVolumesComboBox.setCheckState(node, state)
            self._ticked_here = loaded[0].GetID()

    def offer_models(self) -> None:
        chosen = self.context.settings.model
        entries = {name: _("{name} (shipped)").format(name=name) for name in models.offered()}
        entries |= {path: models.title(path) for path in [*known_models(), chosen] if path and path not in entries}
        fill(self.ui.modelComboBox, entries or {"": _("none yet: import one, or train one below")}, chosen)
        self.onModelChanged()

    def choose_model(self, model: str) -> None:
        remember_model(model)
        self.context.settings.model = model
        self.offer_models()

    def volumes(self) -> list[Any]:
        return list(self.ui.segmentVolumesComboBox.checkedNodes())

    def onVolumesChanged(self) -> None:
        self._ticked_here = ""
        self.context.settings.volumes = [Source(node=node.GetID()) for node in self.volumes()]
        self.context.save()
        self.update()

    def onDeviceChanged(self, _index: int = 0) -> None:
        self.context.settings.segment_device = self.ui.segmentDeviceComboBox.currentData or "auto"
        self.context.save()

    def onModelChanged(self, _index: int = 0) -> None:
        self.context.settings.model = self.ui.modelComboBox.currentData or ""
        self.context.save()
        self.update()

    def onImport(self) -> None:
        title, kinds = _("Import a model"), _("Learn2Synth models (*.l2s)")
        chosen = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, "", kinds)
        if chosen:
            with self.context.attempt(self.ui.segmentMessageLabel):
                models.read_card(chosen)
                self.choose_model(chosen)

    def update(self) -> None:
        """What can be done now, and what is missing."""
        busy = self.work is not None
        problem = self._show_model()
        missing = _("A segmentation is under way.") if busy else problem or ("" if self.volumes() else _("Choose at least one loaded volume."))
        self.context.enable(self.ui.segmentButton, missing)
        self.ui.cancelSegmentButton.enabled = busy
        self.ui.resultsWidget.visible = self.ui.volumesTable.rowCount > 0

    def _show_model(self) -> str:
        """Shows what the chosen model is. Returns why it cannot be used."""
        label = self.ui.modelSummaryLabel
        if not self.context.settings.model:
            self.context.say(label, "")
            return _("Choose a model: import one, or train one below.")
        try:
            self.context.say(label, models.summary(models.read_card(self.context.settings.model)))
        except InputError as error:
            self.context.say(label, str(error), wrong=True)
            return str(error)
        return ""

    # --- doing it

    def onSegment(self) -> None:
        with self.context.attempt(self.ui.segmentMessageLabel):
            if not self.volumes():
                raise InputError(_("volumes"), _("none is chosen"), remedy=_("tick a loaded brain scan first"))
            self.ready()
            settings = self.context.settings
            self.clear_views()
            self.work = Segmenting(slicer.mrmlScene, self.volumes(), settings.model, settings.segment_device, slicer_launcher)
            self.context.wake()
        self.update()

    def segment_with(self, model: str) -> None:
        """Segments the ticked volumes with a model, all loaded ones where none is ticked."""
        if self.work is not None:
            raise InputError(_("segmentation"), _("one is under way"), remedy=_("wait for it, or cancel it"))
        combo = self.ui.segmentVolumesComboBox
        self.choose_model(model)
        if not self.volumes():
            for node in _loaded_volumes():
                combo.setCheckState(node, qt.Qt.Checked)
        if not self.volumes():
            raise InputError(_("volumes"), _("none is loaded"), remedy=_("load a brain scan first"))
        self.ui.segmentCollapsibleButton.collapsed = False
        self.onSegment()

    def onCancel(self) -> None:
        if self.work is not None:
            self.work.cancel()
            self.tick()

    @property
    def active(self) -> bool:
        return self.work is not None

    def tick(self) -> None:
        work = self.work
        if work is None:
            return
        known = len(work.results)
        work.poll()
        if len(work.results) > known:
            self.ui.resultComboBox.setCurrentNode(work.results[-1])
            self.show_volumes()
        if work.active:
            show_progress(self.ui.segmentProgressBar, work.fraction)
            self.context.say(self.ui.segmentMessageLabel, work.status)
            return
        self.work = None
        self.ui.segmentProgressBar.visible = False
        self.context.say(self.ui.segmentMessageLabel, _outcome(work), wrong=work.state == "failed")
        self.update()

    def stop(self) -> None:
        self.onCancel()

    # --- results

    def onResultChanged(self, node: Any) -> None:
        self.ui.show3DButton.setSegmentationNode(node)

    def show_volumes(self) -> None:
        """The scene's table of volumes, a column for each segmentation; doubtful structures have a mark."""
        table = self.ui.volumesTable
        volumes, quality = _measured()
        heading, *rows = _rows(_texts(volumes, 0))
        table.rowCount, table.columnCount = len(rows), len(heading)
        table.setHorizontalHeaderLabels(heading)
        tidy(table, *(range(1, len(heading)) if len(heading) <= _FITTING else ()))
        marked = [doubtful(quality.get(image, {})) for image in volumes]
        for r, (structure, *texts) in enumerate(rows):
            table.setItem(r, 0, text_item(structure))
            for c, text in enumerate(texts):
                item = _doubtful_item(text, marked[c][structure]) if structure in marked[c] else text_item(text)
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                table.setItem(r, c + 1, item)

    def onCopy(self) -> None:
        volumes, quality = _measured()
        named = {_("{image}: quality").format(image=image): column for image, column in quality.items()}
        rows = _rows(_texts(volumes, 0) | _texts(named, 2))
        qt.QApplication.clipboard().setText("\n".join("\t".join(row) for row in rows))


def _loaded_volumes() -> list[Any]:
    """Images that the user loaded: neither label maps nor the previews of a training."""
    nodes = slicer.util.getNodesByClass(_SHOWN)
    return [n for n in nodes if not n.IsA("vtkMRMLLabelMapVolumeNode") and not n.GetHideFromEditors() and not is_preview(n)]


def _measured() -> tuple[Columns, Columns]:
    """Volumes and qualities that are in the scene."""
    return read_volumes_table(slicer.mrmlScene.GetFirstNode(VOLUMES_TABLE, "vtkMRMLTableNode"))


def _texts(columns: Columns, decimals: int) -> dict[str, dict[str, str]]:
    return {image: {structure: f"{value:.{decimals}f}" for structure, value in column.items()} for image, column in columns.items()}


def _rows(columns: dict[str, dict[str, str]]) -> list[list[str]]:
    """Heading, and a row for each structure; '-' where an image does not know it."""
    structures = dict.fromkeys(structure for column in columns.values() for structure in column)
    return [[_("Volumes in mm3"), *columns], *([structure, *(column.get(structure, "-") for column in columns.values())] for structure in structures)]


def _doubtful_item(text: str, quality: float) -> Any:
    tip = _("Doubtful: a good reference would probably give a Dice of {quality:.2f} only. Look at it before you use it.")
    return text_item(f"? {text}", tip.format(quality=quality), wrong=True)


def _outcome(work: Segmenting) -> str:
    notes = " ".join([*work.notes, *doubts(work.quality)])
    if work.state == "done":
        seconds = sum(work.seconds.values())
        return " ".join(filter(None, [_("Done in {seconds:.0f} s.").format(seconds=seconds), notes]))
    if work.state == "cancelled":
        return _("Cancelled. {count} finished segmentations stay.").format(count=len(work.results)) if work.results else _("Cancelled.")
    return _("Failed: {reason}").format(reason=work.message)


def doubts(quality: Columns) -> list[str]:
    """A sentence for the segmentations that probably failed, and one for the doubtful structures of the others."""
    failed = [f"'{name}'" for name, found in quality.items() if probably_failed(found)]
    partly = [f"'{name}': {listed(doubtful(found))}" for name, found in quality.items() if doubtful(found) and not probably_failed(found)]
    sentences = [(_("Probably failed, look at it: {names}."), failed), (_("Doubtful, with the Dice to be expected: {names}."), partly)]
    return [sentence.format(names=_some(names)) for sentence, names in sentences if names]


def _some(names: list[str]) -> str:
    more = [_("{count} more").format(count=len(names) - _TOLD)] if len(names) > _TOLD else []
    return "; ".join([*names[:_TOLD], *more])

"""Train, the data: label maps and annotated scans, from files, folders and the scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer

from ..settings import LEARN, MEASURE, Scan, Source
from ..translation import tr as _
from .context import Context, Section, fill, selected_rows, text_item, tidy
from .tables import TableChoice, numberings

_VOLUME_FILES = "*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.mgz *.mgh"


class DataSection(Section):
    """changed: told when the data for training are others than before."""

    def __init__(self, context: Context, changed: Any) -> None:
        self.context, self.changed, self.ui = context, changed, context.ui
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
        ):
            button.connect("clicked()", slot)
        for combo in (ui.labelNodeComboBox, ui.scanVolumeComboBox, ui.scanLabelsComboBox):
            combo.connect("currentNodeChanged(vtkMRMLNode*)", self.onNodeChanged)
        self.tables = (
            TableChoice(context, ui.labelsTableComboBox, "labels_table", numberings(), ui.mapsMessageLabel, self._data_changed),
            TableChoice(context, ui.scansTableComboBox, "scans_table", numberings(), ui.scansMessageLabel, self._data_changed),
        )
        tidy(ui.scansTable, 0, 1)

    def restore(self) -> None:
        for table in self.tables:
            table.restore()
        self._show()

    def forget(self, node: str) -> None:
        """A node was removed from the scene."""
        self.context.settings.forget(node)
        self._data_changed()

    def _data_changed(self) -> None:
        self.context.save()
        self._show()
        self.changed()

    def _show(self) -> None:
        self._show_label_maps()
        self._show_scans()
        self.update()

    def _show_label_maps(self) -> None:
        self.ui.labelMapsList.clear()
        for source in self.context.settings.label_maps:
            item = qt.QListWidgetItem(_name(source))
            item.setToolTip(_where(source))
            self.ui.labelMapsList.addItem(item)

    def _show_scans(self) -> None:
        table, scans = self.ui.scansTable, self.context.settings.scans
        table.rowCount = len(scans)
        for row, scan in enumerate(scans):
            table.setItem(row, 0, text_item(_name(scan.image), _where(scan.image)))
            has_labels = scan.labels.path or scan.labels.node
            table.setItem(row, 1, text_item(_name(scan.labels) if has_labels else _("found in the folder"), _where(scan.labels)))
            combo = qt.QComboBox()
            fill(combo, {LEARN: _("learn from"), MEASURE: _("measure only")}, scan.use)
            combo.connect("currentIndexChanged(int)", lambda index, scan=scan: self.onUse(scan, index))
            table.setCellWidget(row, 2, combo)

    def update(self) -> None:
        """What can be done now, and what is missing."""
        ui = self.ui
        one = _("Choose a loaded segmentation or label map first.")
        self.context.enable(ui.addLabelNodeButton, "" if ui.labelNodeComboBox.currentNode() else one)
        both = ui.scanVolumeComboBox.currentNode() and ui.scanLabelsComboBox.currentNode()
        self.context.enable(ui.addScanNodesButton, "" if both else _("Choose a loaded scan and its segmentation first."))

    def onNodeChanged(self, _node: Any = None) -> None:
        self.update()

    # --- label maps

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

    # --- annotated scans

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

    def onUse(self, scan: Scan, index: int) -> None:
        scan.use = (LEARN, MEASURE)[index]
        self._data_changed()

    def onRemoveScans(self) -> None:
        rows = selected_rows(self.ui.scansTable)
        self.context.settings.scans = [scan for row, scan in enumerate(self.context.settings.scans) if row not in rows]
        self._data_changed()


def _name(source: Source) -> str:
    if not source.node:
        return Path(source.path).name
    node = slicer.mrmlScene.GetNodeByID(source.node)
    return node.GetName() if node else _("(removed from the scene)")


def _where(source: Source) -> str:
    return source.path or _("loaded in Slicer")


def _ask_files(title: str, folder: str = "") -> list[str]:
    kinds = _("Volumes ({suffixes})").format(suffixes=_VOLUME_FILES)
    return list(qt.QFileDialog.getOpenFileNames(slicer.util.mainWindow(), title, folder, kinds))


def _ask_folder(title: str) -> list[str]:
    folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, "")
    return [folder] if folder else []

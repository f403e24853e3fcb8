"""Train, the data: label maps, annotated scans and scans without labels, from files, folders and the scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt

from ..recipe import needs_unlabelled
from ..settings import LEARN, MEASURE, Scan, Source
from ..translation import tr as _
from .context import Context, Section, fill, selected_rows, text_item, tidy
from .sources import SourceList, ask_files, ask_folder, name_of, place_of
from .tables import TableChoice, numberings


class DataSection(Section):
    """changed: told when the data for training are others than before."""

    def __init__(self, context: Context, changed: Any) -> None:
        self.context, self.changed, self.ui = context, changed, context.ui
        ui = self.ui
        self.label_maps = SourceList(context, ui.labelMapsList, "label_maps", self._data_changed)
        self.unlabelled = SourceList(context, ui.unlabelledList, "unlabelled", self._data_changed)
        for button, slot in (
            (ui.addLabelFilesButton, self.onAddLabelFiles),
            (ui.addLabelFolderButton, self.onAddLabelFolder),
            (ui.addLabelNodeButton, self.onAddLabelNode),
            (ui.removeLabelButton, self.label_maps.remove_selected),
            (ui.addScanFilesButton, self.onAddScanFiles),
            (ui.addScanFolderButton, self.onAddScanFolder),
            (ui.addScanNodesButton, self.onAddScanNodes),
            (ui.removeScanButton, self.onRemoveScans),
            (ui.addUnlabelledFilesButton, self.onAddUnlabelledFiles),
            (ui.addUnlabelledFolderButton, self.onAddUnlabelledFolder),
            (ui.addUnlabelledNodesButton, self.onAddUnlabelledNodes),
            (ui.removeUnlabelledButton, self.unlabelled.remove_selected),
        ):
            button.connect("clicked()", slot)
        for combo in (ui.labelNodeComboBox, ui.scanVolumeComboBox, ui.scanLabelsComboBox):
            combo.connect("currentNodeChanged(vtkMRMLNode*)", self.onNodeChanged)
        ui.unlabelledVolumesComboBox.connect("checkedNodesChanged()", self.update)
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
        self.label_maps.show()
        self._show_scans()
        self.unlabelled.show()
        self.update()

    def _show_scans(self) -> None:
        table, scans = self.ui.scansTable, self.context.settings.scans
        table.rowCount = len(scans)
        for row, scan in enumerate(scans):
            table.setItem(row, 0, text_item(name_of(scan.image), place_of(scan.image)))
            has_labels = scan.labels.path or scan.labels.node
            table.setItem(row, 1, text_item(name_of(scan.labels) if has_labels else _("found in the folder"), place_of(scan.labels)))
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
        self.context.enable(ui.addUnlabelledNodesButton, "" if ui.unlabelledVolumesComboBox.checkedNodes() else _("Tick loaded scans first."))
        ui.unlabelledCollapsibleButton.visible = needs_unlabelled(self.context.settings)

    def onNodeChanged(self, _node: Any = None) -> None:
        self.update()

    # --- label maps

    def onAddLabelFiles(self) -> None:
        self.label_maps.add_paths(ask_files(_("Label maps to synthesise from")))

    def onAddLabelFolder(self) -> None:
        self.label_maps.add_paths(ask_folder(_("Folder of label maps to synthesise from")))

    def onAddLabelNode(self) -> None:
        node = self.ui.labelNodeComboBox.currentNode()
        self.label_maps.add_nodes([node] if node else [])

    # --- annotated scans

    def onAddScanFiles(self) -> None:
        for image in ask_files(_("Annotated scans")):
            labels = ask_files(_("Label map of {name}").format(name=Path(image).name), str(Path(image).parent))[:1]
            if labels:
                self._add_scan(Source(image), Source(labels[0]))

    def onAddScanFolder(self) -> None:
        for folder in ask_folder(_("Folder of annotated scans")):
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

    # --- scans without labels

    def onAddUnlabelledFiles(self) -> None:
        self.unlabelled.add_paths(ask_files(_("Scans without labels")))

    def onAddUnlabelledFolder(self) -> None:
        self.unlabelled.add_paths(ask_folder(_("Folder of scans without labels")))

    def onAddUnlabelledNodes(self) -> None:
        combo = self.ui.unlabelledVolumesComboBox
        nodes = list(combo.checkedNodes())
        self.unlabelled.add_nodes(nodes)
        for node in nodes:
            combo.setCheckState(node, qt.Qt.Unchecked)

"""Where data come from: files, folders and nodes of the scene; how they are asked for, named and listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import qt
import slicer

from ..settings import Source
from ..translation import tr as _
from .context import Context

_VOLUME_FILES = "*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.mgz *.mgh"


class SourceList:
    """A list widget for the setting of that name, a list of sources. changed: told when sources were added or removed."""

    def __init__(self, context: Context, widget: Any, setting: str, changed: Callable[[], None]) -> None:
        self.context, self.widget, self.setting, self.changed = context, widget, setting, changed

    @property
    def _sources(self) -> list[Source]:
        return getattr(self.context.settings, self.setting)

    def _set(self, sources: list[Source]) -> None:
        setattr(self.context.settings, self.setting, sources)
        self.changed()

    def show(self) -> None:
        self.widget.clear()
        for source in self._sources:
            item = qt.QListWidgetItem(name_of(source))
            item.setToolTip(place_of(source))
            self.widget.addItem(item)

    def add_paths(self, paths: Iterable[str]) -> None:
        self._add(Source(path) for path in paths)

    def add_nodes(self, nodes: Iterable[Any]) -> None:
        self._add(Source(node=node.GetID()) for node in nodes)

    def _add(self, sources: Iterable[Source]) -> None:
        """Each once."""
        new = [source for source in sources if source not in self._sources]
        if new:
            self._set([*self._sources, *new])

    def remove_selected(self) -> None:
        self._set([source for row, source in enumerate(self._sources) if not self.widget.item(row).isSelected()])


def name_of(source: Source) -> str:
    if not source.node:
        return Path(source.path).name
    node = slicer.mrmlScene.GetNodeByID(source.node)
    return node.GetName() if node else _("(removed from the scene)")


def place_of(source: Source) -> str:
    return source.path or _("loaded in Slicer")


def ask_files(title: str, folder: str = "") -> list[str]:
    kinds = _("Volumes ({suffixes})").format(suffixes=_VOLUME_FILES)
    return list(qt.QFileDialog.getOpenFileNames(slicer.util.mainWindow(), title, folder, kinds))


def ask_folder(title: str) -> list[str]:
    folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, "")
    return [folder] if folder else []

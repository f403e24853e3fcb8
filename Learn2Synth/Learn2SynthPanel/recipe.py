"""From what the user chose to the arguments of `learn2synth train`; nodes of the scene become files on the way."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from Learn2SynthLib.config import STRATEGIES
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.files import write_json
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.run import Run

from .label_mapping import LabelMapping
from .scene.export import write_volume
from .scene.labels import FIRST_NEW_VALUE, segment_names, values_for, write_labels
from .settings import ALIKE, LEARN, Scan, Settings, Source
from .translation import tr as _

LABELS, SCANS = "labels", "scans"  # the two groups of files whose numbers mean the same
_ROLES = {LABELS: ("label_map",), SCANS: ("real", "validation")}


class Recipe:
    """The arguments for one training. scene: where the nodes are; inputs: folder to write files of nodes and tables to."""

    def __init__(self, settings: Settings, scene: Any, inputs: Path) -> None:
        self.settings, self.scene, self.inputs = settings, scene, inputs
        self.notes: list[str] = []

    def arguments(self) -> list[str]:
        """Of `learn2synth train`, without the run. Raises InputError for nodes that are gone or empty, and when the disk refuses."""
        settings = self.settings
        learned = ["--set", *self._learned()] if settings.strategy == "learn2synth" else []
        assignments = ["--set", *settings.assigned] if settings.assigned else []
        steps = ["--steps", str(settings.steps)] if settings.steps else []
        chosen = ["--target", settings.target, "--preset", settings.preset, "--strategy", settings.strategy, "--device", settings.train_device]
        return [*self._label_maps(), *self._scans(), *self._unlabelled(), *chosen, *steps, *learned, *assignments]

    def _learned(self) -> list[str]:
        """Settings of learn2synth; scans that are all alike need no images of other contrasts."""
        narrow = ["learn2synth.share=0"] if self.settings.served == ALIKE else []
        return [f"learn2synth.enhancement={self.settings.enhancement}", *narrow]

    def _label_maps(self) -> list[str]:
        values = self._values(LABELS)
        paths = [self._labels(source, None, f"map{k + 1}", values) for k, source in enumerate(self.settings.label_maps)]
        return ["--labels", *paths, "--labels-ids", self._table(LABELS)] if paths else []

    def _scans(self) -> Iterator[str]:
        values = self._values(SCANS)
        for k, scan in enumerate(self.settings.scans):
            yield "--real" if scan.use == LEARN else "--validation"
            yield from self._scan(scan, f"scan{k + 1}", values)
        if self.settings.scans:
            yield from ("--real-ids", self._table(SCANS))

    def _scan(self, scan: Scan, name: str, values: Mapping[str, int]) -> list[str]:
        path = self._image(scan.image, name)
        if not (scan.labels.path or scan.labels.node):
            return [path]
        image = self._node(scan.image) if scan.image.node else None
        return [path, self._labels(scan.labels, image, name, values)]

    def _unlabelled(self) -> list[str]:
        """Of no other strategy's business: what is chosen stays chosen, but takes no part in its training."""
        if not (needs_unlabelled(self.settings) and self.settings.unlabelled):
            return []
        return ["--unlabelled", *(self._image(source, f"unlabelled{k + 1}") for k, source in enumerate(self.settings.unlabelled))]

    def _image(self, source: Source, name: str) -> str:
        if source.path:
            return source.path
        node = self._node(source)
        path = self._file(name, node, "image")
        self._note(write_volume(node, path))
        return str(path)

    def _labels(self, source: Source, image: Any, name: str, values: Mapping[str, int]) -> str:
        if source.path:
            return source.path
        node = self._node(source)
        path = self._file(name, node, "labels")
        self._note(write_labels(node, image, path, values))
        return str(path)

    def _file(self, name: str, node: Any, kind: str) -> Path:
        """A path that says which node it was; names that no file system minds, because nodes may be called anything."""
        plain = re.sub(r"[^A-Za-z0-9]+", "-", node.GetName()).strip("-")[:40]
        return self.inputs / f"{name}_{plain or 'node'}_{kind}.nrrd"

    def _note(self, note: str) -> None:
        if note:
            self.notes.append(note)

    def _node(self, source: Source) -> Any:
        node = self.scene.GetNodeByID(source.node)
        if node is None:
            raise InputError(_("training data"), _("a node that was chosen is not in the scene any more"), remedy=_("remove it from the list"))
        return node

    # --- what the numbers mean

    def mapping(self, group: str) -> LabelMapping:
        """How the labels of a group count, as last found and edited."""
        source, target = load_table(self._source_table(group)), load_table(self.settings.target)
        stored = {"found": {}, "edits": {}, "source": source.name, "target": target.name} | self.settings.mappings.get(group, {})
        names = {str(value): name for name, value in self._values(group).items() if value >= FIRST_NEW_VALUE}
        return LabelMapping.from_json({**stored, "names": names}, source, target)

    @property
    def drawn(self) -> set[str]:
        """Names of all segments of the annotated scans' segmentations."""
        return set(self._values(SCANS))

    def _source_table(self, group: str) -> str:
        return self.settings.labels_table if group == LABELS else self.settings.scans_table

    def _values(self, group: str) -> dict[str, int]:
        """Name -> number for all segments of the segmentations in a group."""
        sources = self.settings.label_maps if group == LABELS else [scan.labels for scan in self.settings.scans]
        nodes = filter(None, (self.scene.GetNodeByID(source.node) for source in sources if source.node))
        names = {name for node in nodes if node.IsA("vtkMRMLSegmentationNode") for name in segment_names(node)}
        return values_for(names, load_table(self._source_table(group))) if names else {}

    def _table(self, group: str) -> str:
        """Name of the group's table or, where the user or a segmentation changes it, the file of a new one."""
        mapping = self.mapping(group)
        if not mapping.changed:
            return self._source_table(group)
        path = self.inputs / f"{group}_table.json"
        write_json(path, mapping.table().to_json())
        return str(path)


def found_labels(subjects: Iterable[Mapping[str, Any]], group: str) -> dict[str, int]:
    """value (as text) -> in how many of the checked subjects of a group it occurs."""
    found: dict[str, int] = {}
    for subject in subjects:
        if subject["role"] in _ROLES[group]:
            for value in subject["label_voxels"]:
                found[value] = found.get(value, 0) + 1
    return found


def needs_unlabelled(settings: Settings) -> bool:
    """Whether the chosen strategy learns from scans without labels."""
    return "unlabelled" in STRATEGIES[settings.strategy].needs


def lacking(settings: Settings) -> str:
    """What is missing before a training can start, in words; empty when nothing is."""
    needs, scans = STRATEGIES[settings.strategy].needs, [scan for scan in settings.scans if scan.use == LEARN]
    if "real" in needs and not scans:
        return _("Add at least one annotated scan to learn from (2. Annotated scans).")
    if "label_map" in needs and not settings.label_maps and not scans:  # the labels of scans to learn from count as label maps
        return _("Add at least one label map (1. Label maps).")
    if "unlabelled" in needs and not settings.unlabelled:
        return _("Add at least one scan without labels (2b. Scans without labels).")
    return ""


def own_folder() -> Path:
    """Where the panel writes what the user names no place for."""
    return Path.home() / "Learn2Synth"


def free_folder() -> str:
    """A folder for the next training, in the user's own."""
    folders = (own_folder() / f"training-{number}" for number in count(1))
    return str(next(folder for folder in folders if not os.path.exists(folder)))


def refused_folder(path: str) -> str:
    """Why a training cannot be written to a folder, in words; empty when it can."""
    if not path:
        return _("Choose a folder to write the training to (4. Training).")
    if not Path(path).is_absolute():
        return _("Give the whole path of the folder to write the training to (4. Training).")
    run = Run(path)
    try:
        if run.exists():
            return _("This folder holds a training already: press Resume, or choose another folder.")
        if run.occupied():
            return _("This folder holds something else: choose a new one.")
        if run.folder.is_file():
            return _("This is a file: choose a folder.")
    except OSError as error:
        return _("This folder cannot be used ({reason}): choose another one.").format(reason=error.strerror)
    return ""

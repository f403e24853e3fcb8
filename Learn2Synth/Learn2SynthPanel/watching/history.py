"""The previews of a run as nodes: one sequence for each kind of volume, browsed together, and the volumes that the views show."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from Learn2SynthLib.labels import LabelTable

from ..nifti import Volume
from ..nodes import add_node, is_there, mark, remove_nodes
from ..translation import tr as _
from .loading import LoadedPreview

MOST_PREVIEWS = 60
MOST_BYTES = 2**30
_SHOWS = "previews"
_SAMPLE = 50_000  # voxels that decide what is black and what is white
_LABELS = ("labels", "prediction")


@dataclass(frozen=True)
class _Kind:
    """One kind of volume: its history, and the node that shows the chosen moment of it."""

    sequence: Any
    volume: Any


class PreviewHistory:
    """At most `most` previews and `most_bytes` of voxels; when there are more, some go so that those that stay are spread evenly.

    Voxels are shared, not copied, between history, views, and previews that have them in common.
    """

    def __init__(self, scene: Any, run_name: str, table: LabelTable, most: int = MOST_PREVIEWS, most_bytes: int = MOST_BYTES) -> None:
        remove_nodes(scene, _SHOWS)  # of a panel that was reloaded
        self._scene, self._most, self._most_bytes = scene, most, most_bytes
        self._volumes: dict[int, Mapping[str, Volume]] = {}
        self._kinds: dict[str, _Kind] = {}
        self._images: dict[str, tuple[Volume, Any]] = {}
        self._colours = _add_colours(scene, table)
        self._browser = add_node(scene, "vtkMRMLSequenceBrowserNode", _("Learn2Synth previews of {run}").format(run=run_name), _SHOWS)
        self._browser.SetIndexDisplayFormat("%.0f")

    def add(self, loaded: LoadedPreview) -> None:
        """Takes a preview in. Who looks at the newest one follows to it; who looks at an older one stays there."""
        if not loaded.volumes:
            return
        step = None if self.at_newest else self.step
        self._volumes[loaded.step] = loaded.volumes
        for role, volume in loaded.volumes.items():
            self._put(role, loaded.step, volume)
        self._thin_out({step, loaded.step})
        self.show(self.steps[-1] if step is None else step)

    def keep(self, steps: Collection[int]) -> None:
        """Drops all previews but those of `steps`."""
        gone, step = set(self._volumes) - set(steps), self.step
        if gone:
            for each in gone:
                self._drop(each)
            if self._volumes:
                self.show(step if step in self._volumes else self.steps[-1])

    def show(self, step: int) -> None:
        """Shows the preview of that step in all views."""
        self._browser.SetSelectedItemByIndexValue(str(step))
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(self._browser)

    @property
    def steps(self) -> list[int]:
        return sorted(self._volumes)

    @property
    def step(self) -> int | None:
        """Of the preview that is shown, whoever chose it; None while there is none."""
        index = self._browser.GetSelectedItemNumber()
        master = self._browser.GetMasterSequenceNode()
        known = master is not None and 0 <= index < master.GetNumberOfDataNodes()
        return int(float(master.GetNthIndexValue(index))) if known else None

    @property
    def at_newest(self) -> bool:
        return not self._volumes or self.step == self.steps[-1]

    @property
    def nodes(self) -> dict[str, Any]:
        """role -> the volume node that shows it."""
        return {role: kind.volume for role, kind in self._kinds.items()}

    @property
    def voxels(self) -> Mapping[str, Volume]:
        """role -> what is shown now."""
        return self._volumes.get(self.step, {}) if self.step is not None else {}

    @property
    def complete(self) -> bool:
        """Whether nobody has deleted any of its nodes."""
        nodes = [self._browser, self._colours, *(node for kind in self._kinds.values() for node in (kind.sequence, kind.volume))]
        return all(is_there(self._scene, node) for node in nodes)

    def remove(self) -> None:
        """Takes all of its nodes out of the scene."""
        remove_nodes(self._scene, _SHOWS)

    def _put(self, role: str, step: int, volume: Volume) -> None:
        kind = self._kinds.get(role) or self._add_kind(role, volume)
        data = mark(getattr(slicer, kind.volume.GetClassName())(), _SHOWS)  # what shows it takes over its attributes
        data.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(volume.ijk_to_ras))
        kind.sequence.SetDataNodeAtValue(data, str(step)).SetAndObserveImageData(self._image(role, volume))

    def _image(self, role: str, volume: Volume) -> Any:
        """One image for all previews that share the volume."""
        if role not in self._images or self._images[role][0] is not volume:
            self._images[role] = volume, _image_of(volume.voxels)
        return self._images[role][1]

    def _add_kind(self, role: str, volume: Volume) -> _Kind:
        """Proxies that save their changes share voxels with the sequence; the others copy them at each change of moment."""
        name = _names()[role]
        sequence = add_node(self._scene, "vtkMRMLSequenceNode", _("{name} history").format(name=name), _SHOWS)
        sequence.SetIndexName("step")
        sequence.SetIndexUnit("")
        node = self._add_volume(role, name, volume)
        browser = self._browser
        browser.AddSynchronizedSequenceNode(sequence)
        browser.AddProxyNode(node, sequence, False)
        browser.SetSaveChanges(sequence, True)
        browser.SetRecording(sequence, False)
        browser.SetOverwriteProxyName(sequence, False)
        browser.SetMissingItemMode(sequence, browser.MissingItemIgnore)
        self._kinds[role] = _Kind(sequence, node)
        return self._kinds[role]

    def _add_volume(self, role: str, name: str, volume: Volume) -> Any:
        kind = "vtkMRMLLabelMapVolumeNode" if role in _LABELS else "vtkMRMLScalarVolumeNode"
        node = add_node(self._scene, kind, name, _SHOWS)
        node.CreateDefaultDisplayNodes()
        display = mark(node.GetDisplayNode(), _SHOWS)
        if role in _LABELS:
            display.SetAndObserveColorNodeID(self._colours.GetID())
        else:
            display.AutoWindowLevelOff()
            display.SetWindowLevelMinMax(*(_contrast(volume.voxels) if role == "real" else (0.0, 1.0)))
        return node

    def _thin_out(self, spared: Collection[int | None]) -> None:
        """Removes, of what may go, the moments closest to their neighbours; the first and the newest stay."""
        while len(self._volumes) > self._most or self._bytes > self._most_bytes:
            steps = self.steps
            gaps = {steps[k]: steps[k + 1] - steps[k - 1] for k in range(1, len(steps) - 1) if steps[k] not in spared}
            if not gaps:
                return
            self._drop(min(gaps, key=lambda step: gaps[step]))

    @property
    def _bytes(self) -> int:
        return sum({id(volume): volume.voxels.nbytes for volumes in self._volumes.values() for volume in volumes.values()}.values())

    def _drop(self, step: int) -> None:
        del self._volumes[step]
        for kind in self._kinds.values():
            kind.sequence.RemoveDataNodeAtValue(str(step))


def _names() -> dict[str, str]:
    return {
        "labels": _("Learn2Synth synthetic labels"),
        "prior": _("Learn2Synth before learning"),
        "learned": _("Learn2Synth after learning"),
        "real": _("Learn2Synth real scan"),
        "prediction": _("Learn2Synth prediction"),
    }


def _add_colours(scene: Any, table: LabelTable) -> Any:
    """The names and colours of the run's target table; the background is transparent."""
    node = add_node(scene, "vtkMRMLColorTableNode", _("Learn2Synth {table}").format(table=table.name), _SHOWS)
    node.SetTypeToUser()
    node.SetNumberOfColors(max(table.values) + 1)
    for value in range(max(table.values) + 1):
        node.SetColor(value, "", 0.0, 0.0, 0.0, 0.0)
    for label in table.labels:
        node.SetColor(label.value, label.name, *(part / 255 for part in label.colour), 1.0 if label.value else 0.0)
    return node


def _image_of(voxels: np.ndarray) -> Any:
    """A vtkImageData on the same memory."""
    image = vtk.vtkImageData()
    image.SetDimensions(voxels.shape[::-1])
    scalars = numpy_to_vtk(voxels.ravel())
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    return image


def _contrast(voxels: np.ndarray) -> tuple[float, float]:
    """Black and white of a display that a few extreme voxels do not decide."""
    sample = np.sort(voxels.ravel()[:: max(1, voxels.size // _SAMPLE)])
    low, high = (float(sample[round(part * (sample.size - 1))]) for part in (0.005, 0.995))
    return low, max(high, low + 1e-6)

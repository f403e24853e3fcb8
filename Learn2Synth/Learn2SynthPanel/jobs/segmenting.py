"""Segments images of the scene in the background: written to files, segmented by a process, read back beside the images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.model import Model

from .. import models
from ..nodes import is_there
from ..scene import add_segmentation, add_segmentation_sequence, write_sequence, write_volume, write_volumes_table
from ..translation import tr as _
from .job import Event, Job
from .worker import Launcher


@dataclass
class Item:
    """A node to segment and the files of its images: one for a volume, one a frame for a sequence.

    Not the node's ID: a scene that was cleared gives the same IDs to others. outputs: None for an image that was refused; volumes_mm3, quality: of the others.
    """

    node: Any
    name: str
    images: list[Path] = field(default_factory=list)
    outputs: list[Path | None] = field(default_factory=list)
    volumes_mm3: list[dict[str, float]] = field(default_factory=list)
    quality: list[dict[str, float]] = field(default_factory=list)
    taken_in: bool = False

    @property
    def ready(self) -> bool:
        return not self.taken_in and len(self.outputs) == len(self.images) and any(self.outputs)

    def called(self, image: Path) -> str:
        return f"'{self.name}'" if len(self.images) == 1 else f"'{self.name} {self.images.index(image) + 1}'"


class Segmenting:
    """One click on Segment. Each `poll` does one piece of work: writes one image, or takes one in.

    state: exporting, running, done, failed or cancelled. results: the segmentation nodes made so far. quality: estimated Dice of their structures, 0 to 1, by
    column of the table of volumes. notes: what was done otherwise than asked, in words. message: why it failed. seconds: of each phase by name.
    """

    def __init__(self, scene: Any, nodes: Sequence[Any], model: str, device: str, launcher: Callable[[], Launcher]) -> None:
        """Raises InputError when the model cannot be used."""
        self.bundle, self.title = models.bundle_of(model), models.title(model)
        self.table = Model.read(self.bundle).labels
        self.scene, self.device = scene, device
        self.items = [Item(node, node.GetName()) for node in nodes]
        self.job = Job(launcher)
        self.state, self.message = "exporting", ""
        self.notes: list[str] = []
        self.results: list[Any] = []
        self.quality: dict[str, dict[str, float]] = {}
        self.seconds = {"exporting": 0.0, "running": 0.0, "importing": 0.0}
        self._count = self._segmented = 0  # images
        self._part: float | None = None  # of the image that is being segmented; None before the network runs
        self._begun = time.monotonic()
        self._exporting: Iterator[None] = self._export()
        self._importing: Iterator[None] = iter(())

    @property
    def active(self) -> bool:
        return self.state in ("exporting", "running")

    @property
    def fraction(self) -> float | None:
        """None before the network runs: nobody knows how long importing torch takes."""
        return None if self._part is None else (self._segmented + self._part) / self._count

    @property
    def status(self) -> str:
        """What is going on, in a few words."""
        if self.state == "exporting":
            return _("Writing the images for the network ...")
        if self._part is None:
            return _("Starting the network ...")
        return _("Segmenting image {number} of {count} ...").format(number=min(self._segmented + 1, self._count), count=self._count)

    def poll(self) -> None:
        try:
            if self.state == "exporting":
                if not self._timed("exporting", self._exporting):
                    self._start()
            elif self.state == "running":
                self._follow()
        except InputError as error:
            self._end("failed", str(error))

    def cancel(self) -> None:
        """What is finished stays."""
        if self.active:
            self._end("cancelled", "")

    def _end(self, state: str, message: str) -> None:
        self.state, self.message = state, message
        self.job.close()

    def _timed(self, phase: str, steps: Iterator[None]) -> bool:
        """Does one step more; False when there is none left."""
        start = time.monotonic()
        done = next(steps, False) is None
        self.seconds[phase] += time.monotonic() - start
        return done

    def _export(self) -> Iterator[None]:
        """Writes an image at each step."""
        for number, item in enumerate(self.items, start=1):
            if not is_there(self.scene, item.node):
                raise InputError(item.name, _("was removed from the scene"), remedy=_("segment the others again"))
            for path, note in _write(item.node, self.job.folder / f"image{number}"):
                item.images.append(path)
                self.notes += filter(None, [note])
                yield

    def _start(self) -> None:
        images = [str(path) for item in self.items for path in item.images]
        self.job.start(["segment", str(self.bundle), *images, "--output", str(self.job.folder / "results"), "--device", self.device, "--json"])
        self.state, self._count, self._begun = "running", len(images), time.monotonic()

    def _follow(self) -> None:
        code = self.job.exit_code  # asked first: its last words are there by now
        for event in self.job.poll():
            self._take(event)
        if self._timed("importing", self._importing):
            return
        ready = next((item for item in self.items if item.ready), None)
        if ready is not None:
            self._importing = self._import(ready)
        elif code is not None:
            self._finish(code)

    def _take(self, event: Event) -> None:
        if event["event"] == "segmenting":
            self._part = event["done"] / max(1, event["count"])
        elif event["event"] == "segmented":
            self._segmented, self._part = self._segmented + 1, 0.0
            item = self._item(event)
            item.outputs.append(Path(event["output"]))
            item.volumes_mm3.append(event["volumes_mm3"])
            item.quality.append(event["quality"])
            self.notes += event["notes"]
        elif event["event"] == "refused":  # the others go on; its last words say why
            self._segmented, self._part = self._segmented + 1, 0.0
            self._item(event).outputs.append(None)

    def _item(self, event: Event) -> Item:
        return next(item for item in self.items if Path(event["image"]) in item.images)

    def _import(self, item: Item) -> Iterator[None]:
        """Takes in an image at each step."""
        item.taken_in = True
        result, steps = None, self._add(item)
        while result is None and is_there(self.scene, item.node):
            result = next(steps)
            yield
        if result is None:
            self.notes.append(_("'{name}' was removed meanwhile; its segmentation is left out.").format(name=item.name))
            return
        self.results.append(result)
        frames = [result.GetName()] if len(item.outputs) == 1 else [f"{result.GetName()} {k + 1}" for k, output in enumerate(item.outputs) if output]
        quality = dict(zip(frames, item.quality))
        write_volumes_table(self.scene, dict(zip(frames, item.volumes_mm3)), quality)
        self.quality |= quality

    def _add(self, item: Item) -> Iterator[Any]:
        """The node that shows the result, after a None for each frame of a sequence."""
        name = f"{item.node.GetName()} {self.title}"
        if item.node.IsA("vtkMRMLSequenceNode"):
            yield from add_segmentation_sequence(self.scene, item.outputs, self.table, item.node, name)
        else:
            assert item.outputs[0] is not None, "an image that was refused is not taken in"
            yield add_segmentation(self.scene, item.outputs[0], self.table, item.node, name)

    def _finish(self, code: int) -> None:
        self.seconds["running"] = time.monotonic() - self._begun - self.seconds["importing"]
        if code == 0 and all(item.taken_in for item in self.items):
            self._end("done", "")
        else:
            self._end("failed", self._with_names(self.job.last_words()))

    def _with_names(self, message: str) -> str:
        """With the names of nodes, and the numbers of frames, in place of their temporary files."""
        for item in self.items:
            for image in item.images:
                message = message.replace(str(image), item.called(image))
        return message


def _write(node: Any, stem: Path) -> Iterable[tuple[Path, str]]:
    """The files of its images, each with a note or ''."""
    if node.IsA("vtkMRMLSequenceNode"):
        return write_sequence(node, stem)
    path = stem.with_suffix(".nrrd")
    return [(path, write_volume(node, path))]

"""Training data: subjects brought onto the model's grid, and windows cut from them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from ..config import RunConfig
from ..errors import InputError
from ..labels import LabelTable, load_table, some
from ..synthesis.classes import TissueClasses
from ..synthesis.synthesizer import Maps
from ..volume.cohort import ANATOMY_TABLE, Subject
from ..volume.files import read_image, read_label_map
from ..volume.geometry import model_grid, resample_image, resample_labels
from ..volume.image import NEARLY_SAME_GRID_MM, Grid, Image, LabelMap
from ..volume.intensity import normalise
from ..volume.population import label_counts
from ..volume.relabel import relabel

BLACK = 0.05  # part of the intensity range
_BALANCED = 0.5  # part of the windows that is cut about a structure
_RIM_MM = 5.0  # that rules of delineation differ by
_ANCHORS = 256  # voxels remembered of each structure
_ROWS = 256  # that a map of bytes tells apart
_READERS = 2  # files read at a time; unpacking runs outside Python's lock


@dataclass(frozen=True)
class Example:
    """One subject on the model's grid: tissue classes and target labels (X, Y, Z) uint8, image (X, Y, Z) float32 in [0, 1] or None.

    thickness_mm: longest side of the image's own voxels; 0 without image. partial: much of the brain has no label, unlike that of the label maps.
    box, tissue, head: for each axis the first and last voxel (exclusive) that holds a target structure, that holds any tissue, and that holds any tissue
    or is not black. anchors: for each structure that occurs some of its voxels, (n, 3). unnamed: rows of the target for which its label table has no label.
    """

    name: str
    classes: Tensor
    target: Tensor
    image: Tensor | None
    grid: Grid
    box: tuple[tuple[int, int], ...]
    tissue: tuple[tuple[int, int], ...]
    head: tuple[tuple[int, int], ...]
    anchors: tuple[Tensor, ...]
    thickness_mm: float = 0.0
    unnamed: frozenset[int] = frozenset()
    partial: bool = False


@dataclass(frozen=True)
class Preparation:
    """What subjects are turned into: the model's spacing, the target table, the tissue classes, the widest gap taken for fluid.

    Raises InputError for a target that does not begin with the background, and for more structures or tissues than the bytes of an example's maps can count.
    """

    spacing_mm: tuple[float, ...]
    target: LabelTable
    classes: TissueClasses
    fluid_mm: float

    def __post_init__(self) -> None:
        if self.target.labels[0].value != 0:
            raise InputError(f"target '{self.target.name}'", f"begins with '{self.target.labels[0].name}'", "the background, 0, as its first label")
        for what, count in ((f"target '{self.target.name}'", len(self.target.labels)), ("the label tables' tissue classes", len(self.classes.names))):
            if count > _ROWS:
                raise InputError(what, f"{count} with the background", f"at most {_ROWS}", "choose or write a table with fewer")

    def example(self, subject: Subject) -> Example:
        """Reads and resamples one annotated subject. Raises InputError."""
        image = read_image(subject.image) if subject.image else None
        labels = _on_model_grid(subject, image, self.spacing_mm)
        table = load_table(subject.table)
        unknown = table.unknown(label_counts(labels))
        if unknown:
            raise InputError(
                subject.labels, f"labels {some(unknown)} are not in the table '{table.name}'", remedy="name the right table with --labels-ids or --real-ids"
            )
        target = self.target_of(labels, table)
        if not target.any():
            raise InputError(
                subject.labels, f"none of its labels stands for a structure of '{self.target.name}'", remedy="choose another --target or table of ids"
            )
        classes = fill_gaps(self.classes_of(subject, labels, table), self.classes, labels.grid.spacing_mm, self.fluid_mm)
        seen, thickness = (_seen(image, labels.grid), max(image.grid.spacing_mm)) if image else (None, 0.0)
        named = set(table.mapping_to(self.target).values())
        unnamed = frozenset(row for row, label in enumerate(self.target.labels) if label.value not in named)
        boxes = bounding_box(target), bounding_box(classes), bounding_box(classes if seen is None else (classes > 0) | (seen > BLACK))
        return Example(subject.name, classes, target, seen, labels.grid, *boxes, anchors(target), thickness, unnamed)

    def classes_of(self, subject: Subject, labels: LabelMap, table: LabelTable) -> Tensor:
        """Tissue class of every voxel, uint8: that of the label or, where there is none, of the subject's anatomy.

        What the anatomy adds to a labelled tissue just about its labels is the nearest other tissue: or else what is to be found and what is not look alike.
        """
        labelled = relabel(labels.data, self.classes.mapping_from(table)).to(torch.uint8)
        if subject.anatomy is None:
            return labelled
        known = resample_labels(read_label_map(subject.anatomy, ANATOMY_TABLE), labels.grid)
        anatomy = relabel(known.data, self.classes.mapping_from(load_table(ANATOMY_TABLE))).to(torch.uint8)
        sampling = labels.grid.spacing_mm
        rim = torch.from_numpy(distance_transform_edt(labelled == 0, sampling=sampling) <= _RIM_MM) & torch.isin(anatomy, labelled[labelled > 0].unique())
        x, y, z = distance_transform_edt(rim, sampling=sampling, return_distances=False, return_indices=True)
        return torch.where(labelled > 0, labelled, anatomy[x, y, z])

    def target_of(self, labels: LabelMap, table: LabelTable) -> Tensor:
        """Row of the target table for every voxel, uint8."""
        row = {label.value: index for index, label in enumerate(self.target.labels)}
        mapping = {value: row[to] for value, to in table.mapping_to(self.target).items()}
        return relabel(labels.data, mapping).to(torch.uint8)

    def unlabelled(self, subject: Subject) -> Image:
        """The image of a subject without labels, on the model's grid, its intensities as those of every example. Raises InputError."""
        assert subject.image is not None, "a subject without labels has an image"
        image = read_image(subject.image)
        x, y, z = self.spacing_mm
        grid = model_grid(image.grid, (x, y, z))
        return Image(_seen(image, grid), grid)


def load_examples(subjects: Sequence[Subject], preparation: Preparation, progress: Callable[[], None] = lambda: None) -> list[Example]:
    """Every subject's example, in order."""
    examples = []
    with ThreadPoolExecutor(_READERS) as readers:
        for example in _read(subjects, preparation.example, readers):
            examples.append(example)
            progress()
    return examples


def _read(subjects: Sequence[Subject], read: Callable[[Subject], Example], readers: ThreadPoolExecutor) -> Iterator[Example]:
    """The first one alone, then several at a time.

    Functions of torch set themselves up when they are first called. Two threads that do so at once may wait for each other for ever: the one that does it for
    Python's lock, and the one that holds that for the other.
    """
    yield from map(read, subjects[:1])
    yield from readers.map(read, subjects[1:])


def tissue_classes(tables: Iterable[str]) -> TissueClasses:
    """All classes that label maps in these tables may hold."""
    return TissueClasses.of((table, table.values) for table in (load_table(name) for name in sorted(set(tables))))


def fill_gaps(classes: Tensor, tissue: TissueClasses, spacing_mm: Sequence[float], width_mm: float) -> Tensor:
    """Unlabelled voxels in gaps of the brain up to `width_mm` become fluid: manual labels often leave the sulci out.

    A morphological closing of the labelled brain, by distances in mm.
    """
    brain = ~torch.isin(classes, torch.tensor(tissue.outside, dtype=classes.dtype))
    if width_mm <= 0 or not brain.any():
        return classes
    reach = [math.ceil(width_mm / step) + 1 for step in spacing_mm]  # voxels; less, and the region's edge would pass for the end of the world
    region = tuple(slice(max(0, low - more), high + more) for (low, high), more in zip(bounding_box(brain), reach, strict=True))
    near = distance_transform_edt(~brain[region].numpy(), sampling=spacing_mm) <= width_mm / 2
    closed = distance_transform_edt(near, sampling=spacing_mm) > width_mm / 2
    filled = classes.clone()
    filled[region][torch.from_numpy(closed) & (classes[region] == 0)] = tissue.fluid
    return filled


def bounding_box(mask: Tensor) -> tuple[tuple[int, int], ...]:
    """For each axis the first and one past the last index at which `mask` (any shape, not empty) is not 0."""
    box = []
    for axis in range(mask.ndim):
        filled = mask.movedim(axis, 0).flatten(1).any(1).nonzero()
        box.append((int(filled[0]), int(filled[-1]) + 1))
    return tuple(box)


def anchors(target: Tensor) -> tuple[Tensor, ...]:
    """Voxels (n, 3) of each structure, evenly picked from all that it has."""
    voxels = target.nonzero()
    rows, order = target[target > 0].sort(stable=True)
    of_each = voxels[order].split(rows.unique_consecutive(return_counts=True)[1].tolist())
    return tuple(of_one[:: max(1, len(of_one) // _ANCHORS)].short() for of_one in of_each)


@dataclass(frozen=True)
class Place:
    """Where a window is cut: which of the examples, the window's centre in voxels, and for slices the slice."""

    example: int
    centre: tuple[int, ...]
    level: int = 0


@dataclass(frozen=True)
class Cutting:
    """How windows are cut: their size with margin, and the size of the image that they serve (2 or 3 numbers each)."""

    source_shape: tuple[int, ...]
    shape: tuple[int, ...]

    def place(self, examples: Sequence[Example], rng: random.Random, labelled: bool = False) -> Place:
        """A window of an example that the generator chooses: anywhere, or about a structure, all structures alike.

        Without the latter most slices hold cortex and white matter only, and small structures are learned late. Anywhere is anywhere in the head, because
        there a segmentation looks too: where a network never saw that nothing is to be found, it finds something. `labelled`: where there is tissue.
        """
        index = rng.randrange(len(examples))
        example = examples[index]
        voxels = rng.choice(example.anchors)
        about = voxels[rng.randrange(len(voxels))].tolist()
        looked_at = example.tissue if labelled else example.head
        anywhere = [rng.randrange(*ends) for ends in looked_at]
        box, at = (example.box, about) if rng.random() < _BALANCED else (looked_at, anywhere)
        centre = tuple(_centre(ends, size, place) for ends, size, place in zip(box, self.shape, at))
        return Place(index, centre, at[2] if len(self.shape) == 2 else 0)

    def maps(self, examples: Sequence[Example], places: Sequence[Place], device: torch.device) -> Maps:
        """Classes and targets (B, *source_shape) at the given places."""
        return Maps(*(self._cut(part, examples, places, device) for part in ("classes", "target")))

    def real(self, examples: Sequence[Example], places: Sequence[Place], device: torch.device) -> tuple[Tensor, Tensor]:
        """Images (B, *source_shape) and targets at the given places."""
        return self._cut("image", examples, places, device), self._cut("target", examples, places, device)

    def positions(self, place: Place, grid: Grid) -> Tensor:
        """(1, X, Y, Z, 3): every voxel of a window, in mm from the centre of the volume that it is cut from; a slice is one voxel thick."""
        axes = []
        for at, size, whole, step in zip((*place.centre, place.level), (*self.source_shape, 1), grid.shape, grid.spacing_mm):
            axes.append((torch.arange(size) + (at - size // 2) - (whole - 1) / 2) * step)
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)[None]

    def _cut(self, part: str, examples: Sequence[Example], places: Sequence[Place], device: torch.device) -> Tensor:
        windows = []
        for place in places:
            volume = getattr(examples[place.example], part)
            windows.append(cut(volume[:, :, place.level] if len(self.shape) == 2 else volume, place.centre, self.source_shape))
        return torch.stack(windows).to(device)


def _centre(box: tuple[int, int], size: int, at: int) -> int:
    """Centre of a window along one axis: the middle of the structures, or, when they do not fit, near `at`."""
    low, high = box
    middle, slack = (low + high) / 2, max(0, high - low - size) / 2
    return round(min(max(at, middle - slack), middle + slack))


def cut(volume: Tensor, centre: Sequence[int], size: Sequence[int]) -> Tensor:
    """The window of `size` about `centre`; zero where it leaves the volume."""
    starts = [c - s // 2 for c, s in zip(centre, size)]
    inside = tuple(slice(max(0, a), max(0, min(n, a + s))) for a, s, n in zip(starts, size, volume.shape))
    padding = [(max(0, -a), max(0, a + s - max(n, 0)) if a + s > n else 0) for a, s, n in zip(starts, size, volume.shape)]
    flat = [p for pair in reversed(padding) for p in pair]
    return F.pad(volume[inside], flat)


def _seen(image: Image, grid: Grid) -> Tensor:
    """Intensities on `grid` as networks see them."""
    return normalise(resample_image(image, grid).data[None, None])[0, 0]


def _on_model_grid(subject: Subject, image: Image | None, spacing_mm: Sequence[float]) -> LabelMap:
    """The labels, where their image lies when the two headers say nearly the same, as the check of the data tells."""
    assert subject.labels is not None, "only annotated subjects are examples"
    labels = read_label_map(subject.labels, subject.table)
    if image and image.grid.matches(labels.grid, NEARLY_SAME_GRID_MM):
        labels = replace(labels, grid=image.grid)
    x, y, z = spacing_mm
    return resample_labels(labels, model_grid(labels.grid, (x, y, z)))


def preparation_for(config: RunConfig, tables: Iterable[str]) -> Preparation:
    """The preparation that a configuration asks for, for subjects labelled in `tables`."""
    return Preparation(config.grid.spacing_mm, load_table(config.target), tissue_classes(tables), config.synthesis.fluid_mm)

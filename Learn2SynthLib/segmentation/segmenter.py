"""From an image to a label map on its own grid: a trained network, and everything around it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InputError, nearest
from ..files import write_text
from ..labels import LabelTable
from ..model import Model
from ..resources import names, resource
from ..volume.geometry import model_grid, resample_image, resample_probabilities
from ..volume.image import Grid, Image, LabelMap
from ..volume.intensity import normalise_volume
from .card import NetworkCard, read_card, read_network
from .clean_up import give_strays_away, keep_largest_components, keep_near_the_largest
from .device import available_bytes, choose_device, is_out_of_memory
from .inference import Progress, Sliding, predict
from .plan import Demand, Plan, plans
from .quality import estimate_quality

_LEAST_VOXELS = 8  # along the longest side, for a segmentation to say anything
CEREBRUM = {2, 3, 41, 42}  # FreeSurfer ids of cerebral white matter and cortex: a table that has them is of whole brains


@dataclass(frozen=True)
class Measures:
    """Per structure of the table. hard_mm3: voxels of the label map times voxel volume. soft_mm3: sum of its probabilities times
    voxel volume, before clean-up; it counts half a voxel as half. quality: estimated Dice against a good reference, 0 to 1."""

    hard_mm3: dict[str, float]
    soft_mm3: dict[str, float]
    quality: dict[str, float]


@dataclass(frozen=True)
class Segmentation:
    """labels: on the image's own grid, numbered as in `table`. probabilities: (C, X, Y, Z) float32 on the same grid, row k of the
    table in channel k, if they were asked for. notes: one sentence for each thing that was done otherwise than planned."""

    labels: LabelMap
    table: LabelTable
    measures: Measures
    probabilities: Tensor | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def volumes_mm3(self) -> dict[str, float]:
        """Volume of every structure in the label map."""
        return self.measures.hard_mm3

    @property
    def soft_volumes_mm3(self) -> dict[str, float]:
        """Volume of every structure by its probabilities."""
        return self.measures.soft_mm3

    @property
    def quality(self) -> dict[str, float]:
        """Estimated Dice of every structure against a good reference, 0 to 1; 0 for those that were not found."""
        return self.measures.quality


@dataclass(frozen=True)
class Segmenter:
    """A network that is ready to segment images of any grid.

    device: where it is tried first. available_bytes: tells how much memory is left on a device.
    """

    network: nn.Module
    card: NetworkCard
    device: torch.device
    available_bytes: Callable[[torch.device], int] = available_bytes

    @classmethod
    def load(cls, model: str | Path, device: str = "auto") -> Segmenter:
        """The segmenter of a bundle file, of a run folder (its best model), or of a shipped model's name.

        Raises InputError when there is no such model, or when it is corrupt or too new.
        """
        path = find_model(model)
        return cls.from_model(Model.read(path), path, device)

    @classmethod
    def from_model(cls, model: Model, where: object = "model", device: str = "auto") -> Segmenter:
        """The segmenter of a bundle in memory; `where` names it in errors. Raises InputError as `load` does."""
        card = read_card(model, where)
        return cls(read_network(model, card, where), card, choose_device(device))

    def segment(self, image: Image, flips: bool = False, probabilities: bool = False, progress: Progress | None = None) -> Segmentation:
        """Segments an image, in any orientation and spacing.

        flips: averages the image and its left/right flip, in twice the time. probabilities: keeps them on the image's grid.
        progress: called with the number of windows done and in all. Raises InputError when the memory cannot suffice, and for
        flips of labels that have a side and no partner.
        """
        if flips:
            self.card.table.check_flips("segment without flips")
        grid = model_grid(image.grid, self.card.spacing_mm)
        _refuse_tiny(image.grid, grid)
        demand = self._demand(grid, image.grid, probabilities)
        volume = normalise_volume(resample_image(image, grid).data, *self.card.percentiles)
        posteriors, notes = self._predict(volume, demand, flips, progress)
        give_strays_away(posteriors, _most_probable(posteriors, range(len(posteriors))).cpu(), self.card.compact, grid.spacing_mm)
        quality = self._estimate_quality(posteriors, volume, grid)
        return self._on_own_grid(posteriors, grid, image.grid, probabilities, quality, notes)

    def _demand(self, grid: Grid, own: Grid, probabilities: bool) -> Demand:
        window = (*self.card.window, 1)[:3]
        padded = torch.Size(max(size, least) for size, least in zip(grid.shape, window, strict=True)).numel()
        own_voxels = torch.Size(own.shape).numel()
        return Demand(padded, own_voxels, len(self.card.table.labels), self.card.network, probabilities)

    def _predict(self, volume: Tensor, demand: Demand, flips: bool, progress: Progress | None) -> tuple[Tensor, list[str]]:
        """Probabilities (C, X, Y, Z) on the model's grid by the first plan that has the memory, and a note if that is not the first."""
        refused: list[str] = []
        for plan in plans(self.device, self.card.window, self.card.network.divisor):
            short = self._shortage(demand, plan)
            if short:
                refused.append(short)
                continue
            try:
                found = self._follow(plan, volume, flips, progress)
            except RuntimeError as error:
                if plan.device.type != "mps" and not is_out_of_memory(error):
                    raise
                refused.append(f"{plan.device} gave up ({str(error).splitlines()[0]})")
                continue
            return found, [f"Segmented in {plan}, because {refused[0]}."] if refused else []
        raise InputError("memory", refused[-1], "", "close other programs, leave out the probabilities, or use a smaller model")

    def _shortage(self, demand: Demand, plan: Plan) -> str:
        """What the plan lacks, in words; empty when it fits."""
        for device, needed in demand.bytes_on(plan).items():
            available = self.available_bytes(device)
            if needed > available:
                return f"{device} has {_gigabytes(available)} of memory left and {plan} need {_gigabytes(needed)}"
        return ""

    def _follow(self, plan: Plan, volume: Tensor, flips: bool, progress: Progress | None) -> Tensor:
        sliding = Sliding(plan.window, 0.5, plan.batch_size, flips, self.card.mirror, self.card.background)
        found = predict(self.network.to(plan.device), volume.to(plan.device), sliding, progress)
        return found.cpu() if plan.device.type == "mps" else found  # Apple's GPU cannot resample volumes

    def _estimate_quality(self, posteriors: Tensor, volume: Tensor, grid: Grid) -> dict[str, float]:
        table = self.card.table
        labels = _cleaned(_most_probable(posteriors, table.values).cpu(), table)
        return estimate_quality(posteriors, labels, volume, table, grid, self.card.usual)

    def _on_own_grid(self, posteriors: Tensor, grid: Grid, own: Grid, keep: bool, quality: dict[str, float], notes: list[str]) -> Segmentation:
        table = self.card.table
        labels = torch.empty(own.shape, dtype=torch.int32)
        kept = torch.empty(len(table.labels), *own.shape) if keep else None
        sums = torch.zeros(len(table.labels), dtype=torch.float64)
        for start, slab in _slabs(posteriors, grid, own, self.card.background):
            slices = slice(start, start + slab.shape[-1])
            labels[..., slices] = _most_probable(slab, table.values).cpu()
            sums += slab.sum((1, 2, 3)).double().cpu()
            if kept is not None:
                kept[..., slices] = slab.cpu()
        cleaned = _cleaned(labels, table)
        soft = {label.name: float(total) * own.voxel_mm3 for label, total in zip(table.labels, sums, strict=True) if label.value}
        measures = Measures(volumes_mm3(cleaned, table, own), soft, quality)
        return Segmentation(LabelMap(cleaned, own, table.name), table, measures, kept, notes)


def _refuse_tiny(own: Grid, grid: Grid) -> None:
    """Wrong units are the usual cause."""
    if max(grid.shape) < _LEAST_VOXELS:
        size, voxels = (" x ".join(f"{mm:.2g}" for mm in sizes) for sizes in (np.multiply(own.shape, own.spacing_mm), grid.spacing_mm))
        found = f"{size} mm, where the model's voxels are {voxels} mm"
        raise InputError("size", found, "a few centimetres at least", "are its voxel sizes really millimetres? mend its header")


def _cleaned(labels: Tensor, table: LabelTable) -> Tensor:
    whole = any(CEREBRUM & set(label.freesurfer) for label in table.foreground)
    kept = keep_near_the_largest(labels) if whole else labels
    return keep_largest_components(kept, [label.value for label in table.labels if label.largest_component])


def _slabs(posteriors: Tensor, grid: Grid, own: Grid, background: int) -> Iterable[tuple[int, Tensor]]:
    """Probabilities on the image's own grid, a few slices at a time; as they are where the grids are the same."""
    return [(0, posteriors)] if grid.matches(own, 1e-4) else resample_probabilities(posteriors, grid, own, background)


def _most_probable(probabilities: Tensor, values: Sequence[int]) -> Tensor:
    """The label value of the most probable class; the first of equals. (C, ...) -> (...) int32.

    Class by class, because `argmax` over the slowest axis takes twenty times as long on a CPU.
    """
    best = probabilities[0].clone()
    labels = torch.full(best.shape, values[0], dtype=torch.int32, device=best.device)
    for probability, value in zip(probabilities[1:], values[1:], strict=True):
        labels.masked_fill_(probability > best, value)
        torch.maximum(best, probability, out=best)
    return labels


def volumes_mm3(labels: Tensor, table: LabelTable, grid: Grid) -> dict[str, float]:
    """Volume of every structure of the table, in mm3, 0 for those that do not occur."""
    return {label.name: int((labels == label.value).count_nonzero()) * grid.voxel_mm3 for label in table.foreground}


def write_volumes_csv(path: str | Path, rows: Sequence[tuple[str, Measures]]) -> None:
    """Writes (name of the image, its measures) as comma-separated UTF-8 text, the whole file or nothing.

    Columns: `image`, and `<structure> (mm3)`, `<structure> soft (mm3)` and `<structure> quality` for every structure that any
    row has. Raises InputError when the disk refuses.
    """
    cells = [_cells(image, measures) for image, measures in rows]
    columns = dict.fromkeys(["image", *(column for row in cells for column in row)])
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(cells)
    write_text(Path(path), text.getvalue())


def _cells(image: str, measures: Measures) -> dict[str, str | float]:
    cells: dict[str, str | float] = {"image": image}
    for name, hard in measures.hard_mm3.items():
        cells |= {f"{name} (mm3)": round(hard, 3), f"{name} soft (mm3)": round(measures.soft_mm3[name], 3), f"{name} quality": round(measures.quality[name], 3)}
    return cells


def find_model(model: str | Path) -> Path:
    """The bundle that is meant: a shipped model, a file, or the best model of a run folder. What else has a shipped model's name is meant by `./NAME`.

    Raises InputError when there is none.
    """
    path, shipped = Path(model), names("Models", ".l2s")
    if str(model) in shipped:
        return resource("Models", f"{model}.l2s")
    if path.is_file():
        return path
    if path.is_dir():
        return _best_of_run(path)
    allowed = f"a .l2s file, a run folder, or a shipped model ({', '.join(shipped) or 'none is installed'})"
    raise InputError(model, "no such model", allowed, nearest(str(model), shipped) if shipped else "")


def _best_of_run(folder: Path) -> Path:
    best = folder / "best.l2s"
    if not best.is_file():
        raise InputError(folder, "a folder without best.l2s", "a run that finished or was stopped", "train it first, or give a .l2s file")
    return best


def _gigabytes(count: int) -> str:
    return f"{count / 2**30:.2f} GB"

"""Previews: the same draws at every step, so that what changes between two previews is what was learned."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..randomness import stream
from ..synthesis.sampling import SynthesisDraw
from ..synthesis.synthesizer import Maps
from ..volume.files import write_image, write_label_map
from ..volume.image import Grid, Image, LabelMap
from .data import Example
from .strategy import Strategy, Task
from .validation import segment_example

_SLICES = 6


def write_preview(strategy: Strategy, example: Example | None, folder: Path, step: int) -> dict[str, str]:
    """Writes volumes of one moment of the training and returns {what: file name in `folder`}.

    labels: the target; prior, learned: the same draws before and after the learned part; real, prediction: a validation scan.
    """
    task = strategy.task
    volumes: dict[str, Image | LabelMap] = {}
    shown = strategy.shown(_count(task)) or (_rendered(task) if task.label_maps else None)
    if shown:
        volumes |= _synthetic(task, *shown)
    if example is not None and example.image is not None:
        values = torch.tensor(task.target.values)
        volumes["real"] = Image(example.image, example.grid)
        volumes["prediction"] = LabelMap(values[segment_example(task, example)].int(), example.grid, task.target.name)
    folder.mkdir(exist_ok=True)
    paths = {what: f"step_{step:06d}_{what}.nii.gz" for what in volumes}
    for what, volume in volumes.items():
        if isinstance(volume, Image):
            write_image(volume, folder / paths[what])
        else:
            write_label_map(volume, folder / paths[what])
    return paths


@torch.no_grad()
def _rendered(task: Task) -> tuple[Tensor, Tensor, Tensor]:
    """Images by the prior and by the learned synthesis, in the same pose, so that one label map serves both; and their targets."""
    maps, drawn = preview_draws(task, learned=False)
    before, target = task.synthesizer.render(maps, drawn)
    after, _ = task.synthesizer.render(maps, [d.in_pose_of(prior) for d, prior in zip(preview_draws(task, learned=True)[1], drawn)])
    return before, after, target


def _synthetic(task: Task, before: Tensor, after: Tensor, target: Tensor) -> dict[str, Image | LabelMap]:
    """Slices side by side along the third axis, or one volume."""
    spacing = task.config.grid.spacing_mm
    affine = torch.diag(torch.tensor([*spacing, 1.0], dtype=torch.float64)).numpy()
    grid = Grid(tuple(_volume(target).shape), affine)  # type: ignore[arg-type]
    values = torch.tensor(task.target.values)
    return {
        "labels": LabelMap(values[_volume(target).cpu()].int(), grid, task.target.name),
        "prior": Image(_volume(before[:, 0]).cpu().float(), grid),
        "learned": Image(_volume(after[:, 0]).cpu().float(), grid),
    }


def preview_draws(task: Task, learned: bool) -> tuple[Maps, list[SynthesisDraw]]:
    """The windows and draws of every preview of this run; learned or not, they share what both choose at random."""
    rngs = [stream(task.config.seed, "preview", k) for k in range(_count(task))]
    maps = task.cutting.maps(task.label_maps, [task.cutting.place(task.label_maps, rng) for rng in rngs], task.device)
    return maps, [task.synthesizer.draw(rng, learned) for rng in rngs]


def _count(task: Task) -> int:
    """Slices, or volumes, of a preview."""
    return _SLICES if task.config.ndim == 2 else 1


def _volume(batch: Tensor) -> Tensor:
    """(B, X, Y) -> (X, Y, B); (1, X, Y, Z) -> (X, Y, Z)."""
    return batch.movedim(0, -1) if batch.ndim == 3 else batch[0]

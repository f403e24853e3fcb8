"""The `preview` verb: synthetic images as files to look at, each with the draw that makes it again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .config import RunConfig
from .errors import InputError
from .files import write_json
from .labels import LabelTable
from .learning.bundle import learned_synthesis, take_policy
from .learning.data import Cutting, Example, Place, Preparation, preparation_for
from .learning.factory import make_synthesizer
from .model import Model
from .pictures import Sheet, axial, coloured, grey, write_png
from .randomness import stream
from .synthesis.classes import TissueClasses
from .synthesis.sampling import SynthesisDraw
from .synthesis.synthesizer import Synthesizer
from .volume.cohort import Subject
from .volume.files import write_image, write_label_map
from .volume.image import Grid, Image, LabelMap

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Recipe:
    """What makes one synthetic image: the label map, where the window is cut, and the draw."""

    label_map: str
    place: Place
    draw: SynthesisDraw

    def to_json(self) -> dict[str, Any]:
        return {"label_map": self.label_map, "centre": list(self.place.centre), "level": self.place.level, "draw": asdict(self.draw)}

    @classmethod
    def read(cls, path: Path, previewer: Previewer) -> Recipe:
        """Raises InputError when the file is no recipe, its label map is not among the examples, or it was drawn with other settings."""
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            name, centre, level, draw = record["label_map"], tuple(record["centre"]), record["level"], record["draw"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(path, f"is not a draw ({error!r})", "a draw.json written by learn2synth preview") from error
        known = [example.name for example in previewer.examples]
        if name not in known:
            raise InputError(path, f"was drawn from the label map '{name}'", remedy="give that label map with --labels")
        recipe = cls(name, Place(known.index(name), centre, level), SynthesisDraw.from_json(draw, path))
        levels = range(previewer.examples[recipe.place.example].grid.shape[2])
        if _shape(recipe.to_json()) != _shape(previewer.recipe(0, 0, False).to_json()) or level not in levels:
            raise InputError(path, "was drawn with other settings", remedy="give --model, --preset, --set and --labels-ids as it was drawn with them")
        return recipe


@dataclass(frozen=True)
class Previewer:
    """A synthesizer with label maps to show."""

    synthesizer: Synthesizer
    preparation: Preparation
    examples: Sequence[Example]

    @property
    def cutting(self) -> Cutting:
        return Cutting(self.synthesizer.source_shape, self.synthesizer.window.shape)

    def recipe(self, seed: int, index: int, learned: bool) -> Recipe:
        """The index-th recipe of a seed."""
        rng = stream(seed, "preview", index)
        place = self.cutting.place(self.examples, rng)
        return Recipe(self.examples[place.example].name, place, self.synthesizer.draw(rng, learned))

    @torch.no_grad()
    def render(self, recipe: Recipe) -> tuple[Tensor, Tensor]:
        """Image and label values (X, Y, Z); a slice has Z = 1."""
        maps = self.cutting.maps(self.examples, [recipe.place], _CPU)
        image, target = self.synthesizer.render(maps, [recipe.draw])
        values = torch.tensor(self.preparation.target.values)[target[0]].int()
        return _three(image[0, 0]), _three(values)


def files_of(number: int, folder: Path) -> list[Path]:
    """Image, labels and draw of a preview."""
    return [folder / f"{number:03d}_{what}" for what in ("image.nii.gz", "labels.nii.gz", "draw.json")]


def write_previews(previewer: Previewer, recipes: Sequence[Recipe], learned: bool, folder: Path) -> list[Path]:
    """Writes image, labels and draw of every recipe, and a contact sheet; `learned`: what was learned is shown beside the prior."""
    table, rows, written = previewer.preparation.target, [], []
    for number, recipe in enumerate(recipes, start=1):
        image, labels = previewer.render(recipe)
        grid = Grid(tuple(image.shape), np.diag([*previewer.preparation.spacing_mm, 1.0]))  # type: ignore[arg-type]
        paths = files_of(number, folder)
        write_image(Image(image, grid), paths[0])
        write_label_map(LabelMap(labels, grid, table.name), paths[1])
        write_json(paths[2], recipe.to_json())
        before = previewer.render(replace(recipe, draw=replace(recipe.draw, learned=False)))[0] if learned else None
        rows.append(_row(labels, before, image, table))
        written += paths
    columns = ["label map", "prior", "learned"] if learned else ["label map", "synthetic image"]
    sheet = folder / "contact_sheet.png"
    write_png(Sheet(columns).draw(rows, [recipe.label_map for recipe in recipes]), sheet)
    return [*written, sheet]


def make_previewer(config: RunConfig, model: Model | None, subjects: Sequence[Subject]) -> Previewer:
    """`config` is that of the model when there is one; its learned synthesis is taken over. Raises InputError."""
    if model is None:
        preparation = preparation_for(config, [subject.table for subject in subjects])
    else:  # its card holds the table, of which the configuration knows the name
        preparation = Preparation(config.grid.spacing_mm, model.labels, TissueClasses(tuple(model.card["tissue_classes"])), config.synthesis.fluid_mm)
    synthesizer = make_synthesizer(config, preparation)
    if model is not None:
        synthesizer.load_state_dict(learned_synthesis(model), strict=False)
        take_policy(synthesizer, model)
    return Previewer(synthesizer, preparation, [preparation.example(subject) for subject in subjects])


def _shape(value: Any) -> Any:
    """How many numbers, or whether a text, a record has in each place."""
    if isinstance(value, Mapping):
        return {key: _shape(entry) for key, entry in value.items()}
    return [_shape(entry) for entry in value] if isinstance(value, (list, tuple)) else isinstance(value, (int, float))


def _row(labels: Tensor, before: Tensor | None, image: Tensor, table: LabelTable) -> list[np.ndarray]:
    level = labels.shape[2] // 2
    images = [image] if before is None else [before, image]
    return [coloured(axial(labels, level), table), *(grey(axial(picture, level)) for picture in images)]


def _three(volume: Tensor) -> Tensor:
    return volume[..., None] if volume.ndim == 2 else volume

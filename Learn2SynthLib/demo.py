"""The demo: the main job on real data that comes with two Python packages, in minutes on two CPU cores."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from . import charts, pictures
from .charts import LearnedRange
from .config import RunConfig, build_config
from .errors import InputError
from .labels import LabelTable, load_table
from .learning.data import Place, bounding_box, cut
from .learning.session import train_run
from .model import Model
from .previewing import Previewer, Recipe, make_previewer
from .randomness import stream
from .run import Run
from .segmentation.metrics import dice
from .segmentation.segmenter import Segmenter
from .volume.cohort import Cohort, build_cohort
from .volume.files import read_image, read_label_map, write_image, write_label_map
from .volume.geometry import resample_labels
from .volume.image import Image, LabelMap
from .volume.relabel import relabel

# Package: version, and where in it the data lies.
_PACKAGES = {
    "nilearn": ("0.14.1", "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"),
    "deepmriprep": ("0.3.0", "data/templates"),
}
_ROUNDS = {"randomised": "1/2 before: random images", "learn2synth": "2/2 after: learned images"}
_SETTINGS = (
    "target=brain-coarse", "grid.spacing_mm=2,2,2", "grid.shape=80,96", "network.features=8,16,32,64",
    "optimiser.lr=5e-3", "learn2synth.share=0.25", "learn2synth.lr=0.04",
)
_STEPS = 500
_LEVELS_MM = (-26.0, -4.0, 14.0)  # slices to show, in MNI space: cerebellum and hippocampus; putamen; thalamus and ventricles
_MOVED = 0.02  # of its bounds: a range that moved less is not shown


@dataclass(frozen=True)
class DemoData:
    """Files of the demo: a T1 image with its label map (FreeSurfer ids), and another label map (neuromorphometrics ids)."""

    image: Path
    labels: Path
    atlas: Path

    @classmethod
    def into(cls, folder: Path) -> DemoData:
        """Takes the data out of the packages, label maps on the image's grid. Raises InputError when a package is missing."""
        data = cls(folder / "mni152_T1w.nii.gz", folder / "mni152_dseg.nii.gz", folder / "atlas_dseg.nii.gz")
        template, atlases = (package_path(name) for name in _PACKAGES)
        image = read_image(template)
        if not data.image.is_file():
            write_image(image, data.image)
        for path, name, table in ((data.labels, "ibsr", "freesurfer"), (data.atlas, "neuromorphometrics", "neuromorphometrics")):
            if not path.is_file():
                write_label_map(resample_labels(read_label_map(atlases / f"{name}.nii.gz", table), image.grid), path)
        return data

    def cohort(self) -> Cohort:
        """The T1 with its labels as the real scan, the atlas as one more label map to draw images from."""
        maps, real = build_cohort(label_maps=[self.atlas], labels_table="neuromorphometrics"), build_cohort(real=[(self.image, self.labels)])
        return Cohort(maps.subjects + real.subjects)


def package_path(name: str) -> Path:
    """Where the demo's data lies in an installed package, which is not imported. Raises InputError when it is not there."""
    version, inside = _PACKAGES[name]
    spec = find_spec(name)
    path = Path(spec.origin or "").parent / inside if spec else None
    if path is None or not path.exists():
        wanted = " ".join(f"{package}=={release}" for package, (release, _) in _PACKAGES.items())
        command = f"{sys.executable} -m pip install --no-deps {wanted}"
        raise InputError("demo", f"the package {name} {version}, which holds its data, is not installed", remedy=f"install it: {command}")
    return path


@dataclass(frozen=True)
class _Scan:
    """The real scan: intensities, and the reference as values of the target table."""

    image: Image
    reference: Tensor
    target: LabelTable

    @classmethod
    def read(cls, data: DemoData, target: LabelTable) -> _Scan:
        labels = read_label_map(data.labels, "freesurfer")
        return cls(read_image(data.image), relabel(labels.data, load_table("freesurfer").mapping_to(target)), target)

    def dice(self, labels: LabelMap) -> dict[str, float]:
        """Of each scored structure, and 'mean' over them."""
        scored = {label.value: label.name for label in self.target.foreground if label.scored}
        scores = dice(labels.data, self.reference, scored)
        return {"mean": float(np.nanmean(list(scores.values()))), **{scored[value]: score for value, score in scores.items()}}


@dataclass(frozen=True)
class _Trained:
    """A finished training: its model, its segmentation of the real scan, and how good that is."""

    model: Model
    config: RunConfig
    labels: LabelMap
    dice: Mapping[str, float]

    @property
    def ranges(self) -> list[LearnedRange]:
        """What it learned of the synthesis, where that moved at all."""
        story = self.model.card["learned"]
        learned, prior = ({name: entry[when] for name, entry in story.items()} for when in ("learned", "prior"))
        return [range_ for range_ in charts.learned_ranges(learned, prior) if range_.change > _MOVED]


def run_demo(output: Path, device: str = "auto", steps: int = _STEPS) -> None:
    """Trains a network on random images and one on learned images, and shows what both make of a real scan.

    Leaves the data, both runs, both segmentations and `demo.png` in `output`; a demo that was interrupted goes on where it was.
    Raises InputError, and KeyboardInterrupt when it was interrupted.
    """
    start = time.monotonic()
    data = DemoData.into(output / "data")
    print(_INTRODUCTION.format(steps=steps), flush=True)
    configs = {name: _config(name, device, steps) for name in _ROUNDS}
    scan = _Scan.read(data, load_table(configs["randomised"].target))
    before, after = (_train(output / name, config, data, scan) for name, config in configs.items())
    for trained, when in ((before, "before"), (after, "after")):
        write_label_map(trained.labels, output / f"segmentation_{when}.nii.gz")
    pictures.write_png(_picture(before, after, scan, data), output / "demo.png")
    print(_summary(before, after, data, output, time.monotonic() - start))


_INTRODUCTION = """\
Two networks learn to segment the brain, {steps} steps each, from images drawn out of label maps; neither ever trains on a real image.
  before: intensities, noise, blur and bias fields are random
  after:  how they are drawn is learned, from how the network does on one real scan"""


def _config(strategy: str, device: str, steps: int) -> RunConfig:
    """Equal settings for both strategies."""
    rarely = dict.fromkeys(("validate_every", "preview_every"), steps)
    return build_config("quick-2d", _SETTINGS, strategy=strategy, device=device, steps=steps, **rarely)


def _train(folder: Path, config: RunConfig, data: DemoData, scan: _Scan) -> _Trained:
    run = Run(folder)
    with tqdm(total=config.steps, desc=_ROUNDS[config.strategy], unit="step", disable=not sys.stderr.isatty()) as bar:
        last = train_run(config, data.cohort(), run, lambda event: _show(bar, event))
    if last["event"] != "finished":
        raise KeyboardInterrupt
    if bar.disable:
        print(f"{_ROUNDS[config.strategy]}: {config.steps} steps, {last['seconds']:.0f} s", flush=True)
    model = Model.read(run.model_path)
    labels = Segmenter.from_model(model, run.model_path, config.device).segment(scan.image).labels
    return _Trained(model, config, labels, scan.dice(labels))


def _show(bar: tqdm, event: Mapping[str, Any]) -> None:
    if event["event"] in ("started", "step"):
        bar.update(event["step"] - bar.n)


# --- the picture


def _picture(before: _Trained, after: _Trained, scan: _Scan, data: DemoData) -> pictures.Picture:
    maps = build_cohort(label_maps=[data.atlas], labels_table="neuromorphometrics").subjects
    previewer = make_previewer(after.config, after.model, maps)
    rows = [[*_drawn(previewer, z_mm, k), *_segmented(scan, [before, after], z_mm, _extent(after.config))] for k, z_mm in enumerate(_LEVELS_MM)]
    sheet = pictures.Sheet(_COLUMNS, _GROUPS, magnify=1).draw(rows)
    score = f"Overlap with the reference (mean Dice; 1 is perfect) on this scan: {before.dice['mean']:.2f} before, {after.dice['mean']:.2f} after. {_CAVEAT}"
    legend = pictures.legend(scan.target, scan.target.values[1:], sheet.width)
    chart = charts.RangeChart(sheet.width).draw(after.ranges)
    return pictures.page(_TITLE, [_STORY.format(steps=after.config.steps), sheet, legend, score, _CHART, chart])


_TITLE = "Learn2Synth: learning to segment from images that no scanner ever took"
_GROUPS = (("What the networks learn from: images drawn out of label maps", 3), ("What they then make of a real scan", 4))
_COLUMNS = (
    "label map, bent at random", "image drawn from it, before learning", "the same draw after learning",
    "real scan", "segmented, before learning", "segmented, after learning", "reference labels",
)
_STORY = (
    "A label map is bent at random and every tissue gets an intensity; noise, blur and bias fields are added: an image whose true labels are known. "
    "Before learning, all of this is random. Learning changes how images are drawn, so that a network which trains on them does better on a real scan; "
    "the network itself never trains on that scan. Both networks here took {steps} steps."
)
_CAVEAT = (
    "This is the one scan that the synthesis learned from (MNI152, an average of 152 people), so the figure after learning is optimistic. "
    "To know how well a model does on other people, keep some annotated scans apart and give them as --validation."
)
_CHART = "What was learned. Every image draws each parameter anew, anywhere between the two ends of its bar; parameters that did not move are left out."


def _extent(config: RunConfig) -> tuple[int, int]:
    """Size of a training slice in mm, along left-right and back-front."""
    (x, y), spacing = config.grid.shape[:2], config.grid.spacing_mm
    return round(x * spacing[0]), round(y * spacing[1])


@torch.no_grad()
def _drawn(previewer: Previewer, z_mm: float, index: int) -> list[np.ndarray]:
    """Tiles, 1 mm a pixel: label map, and its image before and after learning, of one draw at one height of the atlas."""
    example, table = previewer.examples[0], previewer.preparation.target
    affine = example.grid.affine
    centre = tuple((low + high) // 2 for low, high in example.box[:2])
    place = Place(0, centre, round((z_mm - affine[2, 3]) / affine[2, 2]))
    recipe = Recipe(example.name, place, previewer.synthesizer.draw(stream(0, "demo", index)))
    before, labels = previewer.render(recipe)
    after, _ = previewer.render(replace(recipe, draw=replace(recipe.draw, learned=True)))
    tiles = [pictures.coloured(pictures.axial(labels, 0), table), *(pictures.grey(pictures.axial(image, 0)) for image in (before, after))]
    return [tile.repeat(round(affine[1, 1]), axis=0).repeat(round(affine[0, 0]), axis=1) for tile in tiles]


def _segmented(scan: _Scan, trained: Sequence[_Trained], z_mm: float, extent: tuple[int, int]) -> list[np.ndarray]:
    """Tiles, 1 mm a pixel: the scan at one height, its segmentations, the reference."""
    level = round(z_mm - scan.image.grid.affine[2, 3])
    box = bounding_box(scan.reference != 0)
    centre = [(low + high) // 2 for low, high in box[:2]]
    image, *labels = (cut(volume[:, :, level], centre, extent) for volume in (scan.image.data, *(t.labels.data for t in trained), scan.reference))
    grey = pictures.grey(pictures.upright(image), 0, float(scan.image.data.max()))
    return [grey, *(pictures.coloured(pictures.upright(values), scan.target) for values in labels)]


# --- the words at the end


def _summary(before: _Trained, after: _Trained, data: DemoData, output: Path, seconds: float) -> str:
    settings = " ".join(_SETTINGS)
    return "\n".join([
        "", f"{'Dice with the reference on the real scan':<40}{'before':>8}{'after':>8}", *_dice_lines(before, after),
        "", f"{'Learned synthesis, where it moved most':<42}{'before':<18}after", *_range_lines(after.ranges),
        "", textwrap.fill(_CAVEAT, 100),
        "", f"Done in {seconds / 60:.1f} minutes. Look at {output / 'demo.png'}. The same by hand:",
        f"  learn2synth train {output / 'my-run'} --labels {data.atlas} --labels-ids neuromorphometrics \\",
        f"    --real {data.image} {data.labels} --steps {after.config.steps} --set {settings}",
        f"  learn2synth segment {output / 'learn2synth'} {data.image} --output {output / 'my-segmentation.nii.gz'}",
    ])


def _dice_lines(before: _Trained, after: _Trained) -> list[str]:
    return [f"  {name:<38}{before.dice[name]:>8.3f}{after.dice[name]:>8.3f}" for name in after.dice]


def _range_lines(ranges: Sequence[LearnedRange], count: int = 8) -> list[str]:
    moved = sorted(ranges, key=lambda range_: range_.change, reverse=True)[:count]
    return [f"  {range_.title:<40}{charts.interval(range_.prior, range_.unit):<18}{charts.interval(range_.learned, range_.unit)}" for range_ in moved]

"""The demo: the main job on real data that comes with two Python packages, in minutes on two CPU cores."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from . import charts, pictures
from .config import RunConfig
from .demo_data import DemoData
from .labels import LabelTable, load_table
from .learned import LearnedRange, interval, learned_ranges
from .learning.data import Place, bounding_box, cut
from .model import Model
from .previewing import Previewer, Recipe, make_previewer
from .randomness import stream
from .run import Run
from .segmentation.device import choose_device
from .segmentation.metrics import dice
from .segmentation.segmenter import Segmenter
from .volume.cohort import build_cohort
from .volume.files import read_image, read_label_map, write_label_map
from .volume.geometry import model_grid, resample_image, resample_labels
from .volume.image import Image, LabelMap
from .volume.relabel import relabel

_ROUNDS = {"randomised": "before: random images", "learn2synth": "after: learned images"}
_SETTINGS = (
    "target=brain-coarse",
    "grid.spacing_mm=3,3,3",
    "grid.shape=56,72",
    "network.features=8,16,32,64",
    "optimiser.lr=4e-3",
    "synthesis.thick_slices=0",
    "synthesis.crop=0",
)
_STEPS = 1200
_LEVELS_MM = (-26.0, -4.0, 14.0)  # slices to show, in MNI space: cerebellum and hippocampus; putamen; thalamus and ventricles
_HERE = Path(__file__).resolve().parents[1]  # where the trainings find this package
_TOLD = ("cerebral white matter", "cerebral cortex", "thalamus", "ventricle", "cerebrospinal fluid", "blur", "noise level")
_MOVED = 0.02  # of its bounds: a range that moved less is not shown
# A session of its own, on Windows a group: Ctrl-C reaches the demo alone, which then asks both trainings to stop.
_APART: Any = {"start_new_session": True, "creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}


@dataclass(frozen=True)
class _Scan:
    """The real scan: intensities, and the reference as values of the target table."""

    image: Image
    reference: LabelMap
    target: LabelTable

    @classmethod
    def read(cls, data: DemoData, target: LabelTable) -> _Scan:
        labels = read_label_map(data.labels, "freesurfer")
        values = relabel(labels.data, load_table("freesurfer").mapping_to(target))
        return cls(read_image(data.image), LabelMap(values, labels.grid, target.name), target)

    def dice(self, labels: LabelMap) -> dict[str, float]:
        """Of each scored structure, and 'mean' over them."""
        scored = {label.value: label.name for label in self.target.foreground if label.scored}
        scores = dice(labels.data, self.reference.data, scored)
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
        return [range_ for range_ in learned_ranges(learned, prior) if range_.change > _MOVED]


def run_demo(output: Path, device: str = "auto", steps: int = _STEPS) -> None:
    """Trains a network on random images and one on learned images, and shows what both make of a real scan.

    Leaves the data, both runs, both segmentations and `demo.png` in `output`; a demo that was interrupted goes on where it was.
    Raises InputError, and KeyboardInterrupt when it was interrupted.
    """
    start = time.monotonic()
    choose_device(device)
    data = DemoData.into(output / "data")
    print(_INTRODUCTION.format(steps=steps), flush=True)
    _train_both(output, {name: _command(output, name, data, device, steps) for name in _ROUNDS})
    scan = _Scan.read(data, load_table(Run(output / "learn2synth").config()["target"]))
    before, after = (_result(Run(output / name), scan, device) for name in _ROUNDS)
    for trained, when in ((before, "before"), (after, "after")):
        write_label_map(trained.labels, output / f"segmentation_{when}.nii.gz")
    pictures.write_png(_picture(before, after, scan, data), output / "demo.png")
    print(_summary(before, after, output, time.monotonic() - start))
    print(_commands(output, data, device, steps))


_INTRODUCTION = """\
Two networks learn to segment the brain, {steps} steps each, from images drawn out of label maps; neither ever trains on a real image.
  before: intensities, noise, blur and bias fields are random
  after:  how they are drawn begins at the contrast measured in one real scan, and is learned from how the network does on it"""


def _command(output: Path, strategy: str, data: DemoData, device: str, steps: int) -> list[str]:
    """The command line of one training; both have equal settings but for the strategy."""
    rarely = (f"validate_every={steps}", f"preview_every={steps}")
    return [
        "train", str(output / strategy), "--strategy", strategy, "--labels", str(data.atlas), "--labels-ids", "neuromorphometrics",
        "--real", str(data.image), str(data.labels), "--steps", str(steps), "--device", device, "--set", *_SETTINGS, *rarely,
    ]


def _train_both(output: Path, commands: Mapping[str, Sequence[str]]) -> None:
    """Runs both trainings side by side, half of the cores each; what they say goes to a log beside each run.

    Raises KeyboardInterrupt when interrupted, after both have written their checkpoints, and RuntimeError when one fails.
    """
    threads = str(max(1, (os.cpu_count() or 2) // 2))
    path = os.pathsep.join(filter(None, [str(_HERE), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"OMP_NUM_THREADS": threads, "PYTHONPATH": path, "PYTHONUTF8": "1"}
    output.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        running = {}
        for name, command in commands.items():
            log = stack.enter_context(open(output / f"{name}.log", "w", encoding="utf-8"))
            running[name] = subprocess.Popen([sys.executable, "-m", __package__, *command], env=environment, stdout=log, stderr=log, **_APART)
        try:
            _follow(output, running)
        except KeyboardInterrupt:
            _stop(output, running)
            raise
        finally:
            codes = {name: process.wait() for name, process in running.items()}
    failed = [name for name, code in codes.items() if code]
    if failed:
        said = (output / f"{failed[0]}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no message"]
        raise RuntimeError(f"the training '{failed[0]}' failed: {said[-1]}")


def _stop(output: Path, running: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Asks until all have ended: a training that has only begun takes a stop for one of the last time, and one without a folder has nothing to lose."""
    while alive := {name: process for name, process in running.items() if process.poll() is None}:
        for name, process in alive.items():
            if (output / name).is_dir():
                Run(output / name).request_stop()
            else:
                process.terminate()
        time.sleep(0.5)


def _follow(output: Path, running: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Bars on a terminal for as long as a training runs."""
    hidden = not sys.stderr.isatty()
    bars = {name: tqdm(desc=f"{_ROUNDS[name]:<22}", unit="step", position=k, disable=hidden) for k, name in enumerate(running)}
    offsets = dict.fromkeys(running, 0)
    while any(process.poll() is None for process in running.values()):
        time.sleep(0.3)
        for name, bar in bars.items():
            events, offsets[name] = Run(output / name).events_from(offsets[name])
            for event in events:
                if event["event"] in ("started", "step"):
                    bar.total = event["steps"]
                    bar.update(event["step"] - bar.n)
    for bar in bars.values():
        bar.close()


def _result(run: Run, scan: _Scan, device: str) -> _Trained:
    """What a finished training made of the scan."""
    model = Model.read(run.model_path)
    labels = Segmenter.from_model(model, run.model_path, device).segment(scan.image).labels
    return _Trained(model, RunConfig.from_json(run.config(), run.config_path), labels, scan.dice(labels))


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
    "label map, bent at random",
    "image drawn from it, before learning",
    "the same draw after learning",
    "real scan",
    "segmented, before learning",
    "segmented, after learning",
    "reference labels",
)
_STORY = (
    "A label map is bent at random and every tissue gets an intensity; noise, blur and bias fields are added: an image whose true labels are known. "
    "Before learning, all of this is random. Learning begins at the contrast that is measured in a real scan, and goes on changing how images are drawn "
    "so that a network which trains on them does better there; "
    "the network itself never trains on that scan. Both networks here took {steps} steps."
)
_CAVEAT = (
    "This is the one scan that the synthesis learned from (MNI152, an average of 152 people), so the figure after learning is optimistic. "
    "To know how well a model does on other people, keep some annotated scans apart and give them as --validation."
)
_CHART = "What was measured and learned. Every image draws each parameter anew, between the two ends of its bar; parameters that did not move are left out."


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
    grid = model_grid(scan.image.grid, (1.0, 1.0, 1.0))
    image = resample_image(scan.image, grid).data
    *found, reference = (resample_labels(labels, grid).data for labels in (*(t.labels for t in trained), scan.reference))
    centre = [(low + high) // 2 for low, high in bounding_box(reference != 0)[:2]]
    level = round(z_mm - grid.affine[2, 3])
    shown, *maps = (pictures.upright(cut(volume[:, :, level], centre, extent)) for volume in (image, *found, reference))
    return [pictures.grey(shown, 0, float(image.max())), *(pictures.coloured(labels, scan.target) for labels in maps)]


# --- the words at the end


def _summary(before: _Trained, after: _Trained, output: Path, seconds: float) -> str:
    lines = [
        "", f"{'Dice with the reference on the real scan':<40}{'before':>8}{'after':>8}", *_dice_lines(before, after),
        "", f"{'Learned synthesis (more in the picture)':<42}{'before':<18}after", *_range_lines(after.ranges),
        "", textwrap.fill(_CAVEAT, 100),
        "", f"Done in {seconds / 60:.1f} minutes. Look at {output / 'demo.png'}",
    ]
    return "\n".join(lines)


def _commands(output: Path, data: DemoData, device: str, steps: int) -> str:
    """What the demo did, as command lines to repeat and to change."""
    train = _command(output, "learn2synth", data, device, steps)
    train[1] = str(output / "my-run")
    segment = ["segment", train[1], str(data.image), "--output", str(output / "my-segmentation.nii.gz")]
    return "\n".join(["The same by hand:", *(f"  learn2synth {_typed(command)}" for command in (train, segment))])


def _typed(command: Sequence[str]) -> str:
    """As it is typed: Windows' two shells have double quotes in common, and PowerShell takes a comma for its own."""
    if sys.platform != "win32":
        return shlex.join(command)
    return " ".join(word if re.fullmatch(r"[\w.:/\\=-]+", word) else f'"{word}"' for word in command)


def _dice_lines(before: _Trained, after: _Trained) -> list[str]:
    return [f"  {name:<38}{before.dice[name]:>8.3f}{after.dice[name]:>8.3f}" for name in after.dice]


def _range_lines(ranges: Sequence[LearnedRange]) -> list[str]:
    """Those that a newcomer can check against the scan; tissue that the scan does not show learns nothing that means anything."""
    told = [r for r in ranges if r.name in _TOLD and r.group in ("mean intensity", "whole image")]
    return [f"  {r.title:<40}{interval(r.prior, r.unit):<18}{interval(r.learned, r.unit)}" for r in told]

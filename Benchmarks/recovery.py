"""Are planted synthesis parameters found again by learning from images that carry them? The paper's synthetic experiment (Hu et al. 2025).

    python Benchmarks/recovery.py [--only NAME...] [--seeds 5] [--steps 500] [--data DIR] [--output Benchmarks/results/recovery.json]

"Real" images are rendered from label maps by a synthesizer whose parameters are planted. A second one, whose parameters are the same but for those
under test, which start at random values, learns from them as `learn2synth` does. Both draw T1-like class means with a jitter, and all else at random.
Every finished experiment is appended to the output, and not run again. Data: LEARN2SYNTH_DATA or ../shared/data (synthseg_label_maps).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from Learn2SynthLib.config import LEARNABLE, RunConfig, build_config
from Learn2SynthLib.learning.data import Example, Preparation, load_examples, preparation_for
from Learn2SynthLib.learning.factory import make_network, make_synthesizer
from Learn2SynthLib.learning.learn2synth import Learn2Synth
from Learn2SynthLib.learning.strategy import Task
from Learn2SynthLib.randomness import stream, stream_seed
from Learn2SynthLib.synthesis.synthesizer import Synthesizer
from Learn2SynthLib.volume.cohort import Subject

MAPS = 4
JITTER = 0.03
AVERAGED = 0.25  # part of the steps at the end whose iterates are averaged
NOISES, MEANS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15), (0.1, 0.3, 0.5, 0.7, 0.9)
# Values at which the hypergradient of a parameter is measured once the learning is over, and the seed for which it is.
MEASURED: dict[str, tuple[int, dict[str, tuple[float, ...]]]] = {
    "noise 0.0": (0, {"noise": NOISES}),
    "noise 0.1": (0, {"noise": NOISES}),
    "blur 0.0 mm": (3, {"blur_mm": (0.25, 0.5, 1.0, 2.0, 3.0, 4.0)}),
    "bias field (0.0, 0.5, 0.0)": (1, {f"bias.{scale}mm": (0.05, 0.25, 0.5, 0.75, 1.0) for scale in (160, 80, 40)}),
    "contrast": (1, {f"contrast_mean.{tissue}": MEANS for tissue in ("cerebral cortex", "thalamus", "cerebellar white matter")}),
}
# What everything that is not under test is planted at.
USUAL = {"contrast_spread": 0.04, "texture": 0.2, "gamma": 0.0, "bias": 0.1, "blur_mm": 1.0, "noise": 0.03}
POSE = ("flip", "rotation_degrees", "scaling", "shear", "translation_mm")
EXPERIMENTS: dict[str, dict[str, Any]] = {
    **{f"noise {level}": {"noise": level} for level in (0.0, 0.05, 0.1, 0.15, 0.2)},
    **{f"bias field {strengths}": {"bias": strengths} for strengths in ((0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.5), (0.3, 0.3, 0.3))},
    **{f"blur {width} mm": {"blur_mm": width} for width in (0.0, 4.0, 8.0)},
    **{f"gamma {exponent}": {"gamma": exponent} for exponent in (-0.3, 0.0, 0.3)},
    "contrast": {"contrast_mean": None},  # drawn anew for each seed
}
# Tissues whose mean is reported: the others fill few voxels of these coarse slices, or none.
LARGE = (".cerebral white matter", ".cerebral cortex", ".cerebellar cortex", ".cerebellar white matter", ".ventricle", ".thalamus", ".brain stem")


@dataclass(kw_only=True)
class PlantedTask(Task):
    """truth: renders what counts as real."""

    truth: Synthesizer

    @torch.no_grad()
    def lesson(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        maps, draws = self.synthetic(step, [True] * count, "planted")
        return self.truth.render(maps, draws)

    @torch.no_grad()
    def counterparts(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        """The anatomy and pose of the planted images, as with real scans; all else is drawn anew, so that no noise is shared."""
        maps, planted = self.synthetic(step, [True] * count, "planted")
        _, others = self.synthetic(step, [True] * count, "counterparts")
        posed = [replace(other, **{name: getattr(draw, name) for name in POSE}) for other, draw in zip(others, planted, strict=True)]
        return self.synthesizer.render(maps, posed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=list(EXPERIMENTS), choices=EXPERIMENTS, metavar="NAME")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LEARN2SYNTH_DATA", Path(__file__).parents[2] / "shared" / "data")))
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "recovery.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    record: dict[str, Any] = {"command": "python Benchmarks/recovery.py", "runs": []}
    if options.output.is_file():
        record = json.loads(options.output.read_text(encoding="utf-8"))
    done = {(run["experiment"], run["seed"], run["steps"]) for run in record["runs"]}
    config = make_config(options.steps)
    preparation = preparation_for(config, ["freesurfer"])
    paths = sorted((options.data / "synthseg_label_maps").glob("*.nii.gz"))[:MAPS]
    examples = load_examples([Subject(path.stem, "label_map", None, path) for path in paths], preparation)
    for name in options.only:
        for seed in range(options.seeds):
            if (name, seed, options.steps) in done:
                continue
            measured_with, levels = MEASURED.get(name, (None, {}))
            found = recover(config, preparation, examples, EXPERIMENTS[name], seed, levels if measured_with == seed else {})
            record["runs"].append({"experiment": name, "seed": seed, **found, "torch": torch.__version__, "python": platform.python_version()})
            options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            print(f"{name}, seed {seed}: {told(found)}", flush=True)


def told(found: Mapping[str, Any]) -> str:
    values = ((key, found["start"][key], found["learned"][key], planted) for key, planted in found["planted"].items())
    return ", ".join(f"{key} {start:.3f} -> {learned:.3f} (planted {planted:.3f})" for key, start, learned, planted in values)


def make_config(steps: int, *more: str) -> RunConfig:
    """A small network on coarse slices; every image teaches, at a rate that falls to 0 at the end."""
    return build_config(
        "quick-2d",
        [
            "grid.spacing_mm=[4,4,4]", "grid.shape=[48,48]", "batch_size=16", "network.features=[8,16,32]", "target=brain-coarse", "learn2synth.share=0",
            "learn2synth.begin=prior", "learn2synth.start=0", "learn2synth.duration=1", "learn2synth.lr=0.02", "learn2synth.learn=" + ",".join(LEARNABLE),
            "learn2synth.fixed=" + ",".join(name for name in LEARNABLE if name != "contrast_mean"),
            "synthesis.crop=0", "synthesis.warp_mm=[0,0]", "synthesis.thick_slices=0", "synthesis.skull_strip=1", "synthesis.rician=0", *more,
        ],
        steps=steps,
    )  # fmt: skip


def recover(
    config: RunConfig, preparation: Preparation, examples: Sequence[Example], planted: Mapping[str, Any], seed: int, levels: Mapping[str, Sequence[float]] = {}
) -> dict[str, Any]:
    """Learns the planted parameters from random beginnings. Their values at the start, over the steps, averaged over the last ones; `slopes` at levels."""
    truth, learner = (make_synthesizer(config, preparation) for _ in range(2))
    for synthesizer in (truth, learner):
        plant(synthesizer, {**USUAL, **planted})
        plant_contrast(synthesizer, seed)
    forget(learner, planted, seed)
    torch.manual_seed(stream_seed(seed, "weights") % 2**31)
    network = make_network(config, len(preparation.target.labels))
    optimiser = torch.optim.Adam(network.parameters(), lr=config.optimiser.lr)
    strategy = Learn2Synth(PlantedTask(config, preparation.target, network, optimiser, learner, examples, (), torch.device("cpu"), truth=truth))
    begun, curve = time.perf_counter(), [under_test(learner, planted)]
    for index in range(config.steps):
        strategy.step(index)
        curve.append(under_test(learner, planted))
    last = curve[-round(AVERAGED * config.steps) :]
    mean = {key: statistics.mean(values[key] for values in last) for key in last[0]}
    every = max(1, config.steps // 60)
    return {
        "steps": config.steps, "seconds": round(time.perf_counter() - begun, 1), "planted": under_test(truth, planted), "start": curve[0], "learned": mean,
        "slopes": slopes(strategy, truth, levels), "curve": {key: [round(values[key], 4) for values in curve[::every]] for key in mean}, "curve_every": every,
    }  # fmt: skip


def slopes(strategy: Learn2Synth, truth: Synthesizer, levels: Mapping[str, Sequence[float]], count: int = 40) -> list[dict[str, Any]]:
    """Mean and standard error of the hypergradient of each parameter at its levels, all others as planted, by the same draws, while the network trains on."""
    ranges, found = strategy.task.synthesizer.ranges, []
    strategy.rates = [0.0 for _ in strategy.rates]
    for key, values in levels.items():
        name, _, entry = key.partition(".")
        place = ranges.entries[name].index(entry and f".{entry}")
        for level in values:
            ranges.load_state_dict(truth.ranges.state_dict())
            plant(strategy.task.synthesizer, {name: level}, slice(place, place + 1))
            pulls = []
            for index in range(strategy.task.config.steps - count, strategy.task.config.steps):
                strategy.step(index)
                pulls.append(float(ranges.ends[name].grad[:, place].sum()))
            found.append({"parameter": key, "level": level, "mean": statistics.mean(pulls), "error": statistics.stdev(pulls) / math.sqrt(count)})
    return found


@torch.no_grad()
def plant(synthesizer: Synthesizer, values: Mapping[str, Any], entries: slice = slice(None)) -> None:
    """Puts values, in the parameters' units, into the learned ranges, which keep what jitter they have."""
    ranges = synthesizer.ranges
    for name, value in values.items():
        if value is not None:
            low, high = ranges.bounds[name]
            ends = ranges.ends[name][:, entries]
            ends.copy_(ends - ends.mean(0) + (torch.tensor(value) - low) / (high - low))


@torch.no_grad()
def plant_contrast(synthesizer: Synthesizer, seed: int) -> None:
    """Means of classes, drawn once, as those of one contrast."""
    ranges, rng = synthesizer.ranges, stream(seed, "contrast")
    means = torch.tensor([rng.uniform(0.1, 0.9) for _ in ranges.classes.names])
    ranges.ends["contrast_mean"].copy_(torch.stack([means - JITTER, means + JITTER]))


@torch.no_grad()
def forget(synthesizer: Synthesizer, tested: Mapping[str, Any], seed: int) -> None:
    """Random values for what is under test; all else is known and stays."""
    generator = torch.Generator().manual_seed(stream_seed(seed, "start") % 2**63)
    for name, ends in synthesizer.ranges.ends.items():
        ends.requires_grad_(name in tested)
        if name in tested:
            ends += torch.rand(ends.shape[1], generator=generator) - ends.mean(0)


def under_test(synthesizer: Synthesizer, tested: Mapping[str, Any]) -> dict[str, float]:
    """Each learned value in its unit; the middle where a range is learned."""
    ranges = synthesizer.ranges
    found: dict[str, float] = {}
    for name in tested:
        low, high = ranges.bounds[name]
        middles = low + (high - low) * ranges.ends[name].detach().double().mean(0)
        found |= {f"{name}{entry}": value for entry, value in zip(ranges.entries[name], middles.tolist()) if name != "contrast_mean" or entry in LARGE}
    return found


if __name__ == "__main__":
    main()

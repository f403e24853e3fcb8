"""What a step of learned synthesis costs against a plain step: time side by side in one process, peak memory in one process each.

Part of gradients.py, which has the command. Made-up label maps of realistic size; no wide draws, so that every image of the batch carries the
hypergradient. A plain step is the same strategy's before the synthesis begins to learn: synthesis, network, optimiser.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from Learn2SynthLib.config import RunConfig, build_config
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.learning.data import Example, Preparation, anchors, bounding_box, preparation_for
from Learn2SynthLib.learning.factory import make_network, make_synthesizer
from Learn2SynthLib.learning.learn2synth import Learn2Synth
from Learn2SynthLib.learning.strategy import Task
from Learn2SynthLib.randomness import stream_seed
from Learn2SynthLib.volume.image import Grid
from Learn2SynthLib.volume.relabel import relabel

MATCHING = ", matching"  # with the objective that compares scans with their counterparts; otherwise with the paper's
FORMS = ("plain", "exact", "one_sided", "central", f"one_sided{MATCHING}")
# A preset and what differs from it: the 3D preset's own window has 8 times the voxels, twice, too many for a core.
CASES = {"2d": ("quick-2d", []), "3d": ("standard-3d", ["grid.shape=[64,64,64]", "batch_size=1"])}
SIZE = (96, 112, 80)
EVERY = (1, 2, 4)
WARMING = 2  # rounds before the clock counts


def main() -> None:
    """Prints one form's peak memory: `memory` runs this file in a process for each."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("form", choices=FORMS)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("device")
    parser.add_argument("threads", type=int)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    strategy = make_strategy(options.form, options.case, torch.device(options.device))
    print(peak_allocated(strategy) if options.device == "cuda" else peak_resident(strategy))


def cost(case: str, device: torch.device, rounds: int) -> dict[str, Any]:
    """Time and memory of each form, and from the times what the steps of a whole run cost on average."""
    config = configuration("plain", case)
    time_of = times(case, device, rounds)
    return {
        "preset": CASES[case][0], "shape": config.grid.shape, "batch_size": config.batch_size, "features": config.network.features,
        "rounds": rounds, "time": time_of, "memory": memory(case, device),
        "computed_run_ratio": {form: whole_run(time_of[form]["ratio"], config.learn2synth.duration) for form in FORMS[1:]},
    }  # fmt: skip


def whole_run(ratio: float, duration: float) -> dict[str, float]:
    """Average step of a run against a plain one, computed: the synthesis learns in every k-th step during the part `duration` of the run."""
    return {f"every {k}": round(1 + duration * (ratio - 1) / k, 3) for k in EVERY}


def times(case: str, device: torch.device, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of a step (median) and its ratio to the plain step of the same round (median of the ratios)."""
    strategies = {form: make_strategy(form, case, device) for form in FORMS}
    taken = []
    for index in range(WARMING + rounds):
        taken.append({form: timed(strategy, index) for form, strategy in strategies.items()})
        print(f"{case} on {device.type}, round {index + 1} of {WARMING + rounds}: {seconds_told(taken[-1])}", flush=True)
    seconds = {form: [of_round[form] for of_round in taken[WARMING:]] for form in FORMS}
    ratios = {form: statistics.median(a / b for a, b in zip(values, seconds["plain"])) for form, values in seconds.items()}
    return {form: {"seconds": round(statistics.median(values), 4), "ratio": round(ratios[form], 2)} for form, values in seconds.items()}


def timed(strategy: Learn2Synth, index: int) -> float:
    """Seconds of one step, all that it asked of the device included."""
    device = strategy.task.device
    wait = torch.cuda.synchronize if device.type == "cuda" else torch.cpu.synchronize
    wait(device)
    start = time.perf_counter()
    strategy.step(index)
    wait(device)
    return time.perf_counter() - start


def seconds_told(seconds: dict[str, float]) -> str:
    return ", ".join(f"{form} {value:.3g} s" for form, value in seconds.items())


def memory(case: str, device: torch.device) -> dict[str, dict[str, float]]:
    """Rise of the peak memory (resident, or on the device allocated) over three steps, above what was held before, and its ratio to the plain step's."""
    found = {}
    for form in FORMS:
        command = [sys.executable, __file__, form, case, device.type, str(torch.get_num_threads())]
        found[form] = float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        print(f"{case} on {device.type}, memory of {form}: {found[form]:.0f} MB", flush=True)
    return {form: {"megabytes": round(value, 1), "ratio": round(value / found["plain"], 2)} for form, value in found.items()}


def peak_allocated(strategy: Learn2Synth) -> float:
    """Megabytes on the CUDA device."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    three_steps(strategy)
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def peak_resident(strategy: Learn2Synth) -> float:
    """Megabytes of the process."""
    with torch.no_grad():
        strategy.task.network(torch.zeros(1, 1, *[32] * strategy.task.config.ndim))  # what a first call loads is nobody's memory
    process, peak, done = psutil.Process(), [0], threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        while not done.wait(0.001):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    three_steps(strategy)
    done.set()
    watcher.join()
    return (peak[0] - before) / 2**20


def three_steps(strategy: Learn2Synth) -> None:
    for index in range(3):
        strategy.step(index)


def make_strategy(form: str, case: str, device: torch.device) -> Learn2Synth:
    config = configuration(form, case)
    preparation = preparation_for(config, ["freesurfer"])
    return Learn2Synth(make_task(config, preparation, [made_up_head(preparation, seed) for seed in range(3)], device))


def configuration(form: str, case: str) -> RunConfig:
    """Every step teaches the synthesis, with all images of the batch; for `plain` none does."""
    preset, changes = CASES[case]
    objective = "matching" if form.endswith(MATCHING) else "loss"
    teaching = [f"learn2synth.hypergradient={form.removesuffix(MATCHING)}", f"learn2synth.objective={objective}", "learn2synth.start=0"]
    teaching = ["learn2synth.start=1"] if form == "plain" else teaching
    return build_config(preset, [*changes, "learn2synth.share=0", "learn2synth.every=1", *teaching])


def make_task(config: RunConfig, preparation: Preparation, examples: Sequence[Example], device: torch.device) -> Task:
    """A task whose examples are both the label maps and the real scans."""
    torch.manual_seed(stream_seed(config.seed, "weights") % 2**31)
    network = make_network(config, len(preparation.target.labels)).to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=config.optimiser.lr)
    return Task(config, preparation.target, network, optimiser, make_synthesizer(config, preparation).to(device), examples, examples, device)


def made_up_head(preparation: Preparation, seed: int) -> Example:
    """A head of random blocks, on the model's grid."""
    rng = np.random.default_rng(seed)
    ids = rng.choice([2, 3, 4, 7, 8, 10, 11, 12, 13, 16, 17, 18], [size // 8 for size in SIZE]).repeat(8, 0).repeat(8, 1).repeat(8, 2)
    labels, table = torch.from_numpy(ids).int(), load_table("freesurfer")
    row = {label.value: index for index, label in enumerate(preparation.target.labels)}
    target = relabel(labels, {value: row[to] for value, to in table.mapping_to(preparation.target).items()}).to(torch.uint8)
    classes = relabel(labels, preparation.classes.mapping_from(table)).to(torch.uint8)
    image = torch.from_numpy(rng.random(SIZE)).float()
    grid = Grid(SIZE, np.diag([*preparation.spacing_mm, 1.0]))
    return Example(f"head {seed}", classes, target, image, grid, bounding_box(target), bounding_box(classes), bounding_box(classes), anchors(target))


if __name__ == "__main__":
    main()

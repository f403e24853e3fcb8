"""What a step of learned synthesis costs against a plain step: time side by side in one process, peak memory in one process each.

    python Benchmarks/hypergradient_cost.py [--rounds 12] [--output Benchmarks/results/hypergradient_cost.json]

Made-up label maps of realistic size; network and synthesis of the preset quick-2d, batch 8, no wide draws, so that every image
of the batch carries the hypergradient. A plain step is the same strategy's step without teaching: synthesis, network, optimiser.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from Learn2SynthLib.config import build_config
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.learning.data import Example, Preparation, anchors, bounding_box, preparation_for
from Learn2SynthLib.learning.factory import make_network, make_synthesizer
from Learn2SynthLib.learning.learn2synth import Learn2Synth
from Learn2SynthLib.learning.strategy import Task
from Learn2SynthLib.volume.image import Grid
from Learn2SynthLib.volume.relabel import relabel

FORMS = ("plain", "exact", "one_sided", "central")
SIZE = (96, 112, 48)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "hypergradient_cost.json")
    parser.add_argument("--memory-of", choices=FORMS, help="(used by the benchmark itself) print the peak memory of one form")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory_of:
        print(peak_megabytes(options.memory_of))
        return
    record = {
        "command": "python Benchmarks/hypergradient_cost.py", "torch": torch.__version__, "python": platform.python_version(), "machine": platform.machine(),
        "threads": options.threads, "rounds": options.rounds, "time": times(options.rounds), "memory": memory(options.threads),
    }  # fmt: skip
    options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


def times(rounds: int) -> dict[str, dict[str, float]]:
    """Seconds (median) and ratio to the plain step of the same round (median of the ratios)."""
    strategies = {form: make_strategy(form) for form in FORMS}
    seconds: dict[str, list[float]] = {form: [] for form in FORMS}
    for index in range(rounds + 2):
        for form, strategy in strategies.items():
            start = time.perf_counter()
            step(strategy, form, index)
            seconds[form].append(time.perf_counter() - start)
    kept = {form: values[2:] for form, values in seconds.items()}
    ratios = {form: statistics.median(a / b for a, b in zip(values, kept["plain"])) for form, values in kept.items()}
    return {form: {"seconds": round(statistics.median(values), 4), "ratio": round(ratios[form], 2)} for form, values in kept.items()}


def memory(threads: int) -> dict[str, dict[str, float]]:
    """Rise of the peak resident memory over three steps, above what the process held before, and its ratio to the plain step's."""
    found = {}
    for form in FORMS:
        command = [sys.executable, __file__, "--memory-of", form, "--threads", str(threads)]
        found[form] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {form: {"megabytes": round(value, 1), "ratio": round(value / found["plain"], 2)} for form, value in found.items()}


def peak_megabytes(form: str) -> float:
    strategy = make_strategy(form)
    with torch.no_grad():
        strategy.task.network(torch.zeros(1, 1, 16, 16))  # what a first call loads is nobody's memory
    process, peak, done = psutil.Process(), [0], threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        while not done.wait(0.001):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for index in range(3):
        step(strategy, form, index)
    done.set()
    watcher.join()
    return (peak[0] - before) / 2**20


def step(strategy: Learn2Synth, form: str, index: int) -> None:
    if form == "plain":
        strategy._follow(strategy._batch(index, teach=False))
    else:
        strategy.step(index)


def make_strategy(form: str) -> Learn2Synth:
    method = "exact" if form == "plain" else form
    config = build_config("quick-2d", [f"learn2synth.hypergradient={method}", "learn2synth.share=0", "learn2synth.start=0", "learn2synth.duration=1"])
    preparation = preparation_for(config, ["freesurfer"])
    torch.manual_seed(0)
    network = make_network(config, len(preparation.target.labels))
    examples = [example(preparation, seed) for seed in range(3)]
    optimiser = torch.optim.Adam(network.parameters(), lr=config.optimiser.lr)
    return Learn2Synth(Task(config, preparation.target, network, optimiser, make_synthesizer(config, preparation), examples, examples, torch.device("cpu")))


def example(preparation: Preparation, seed: int) -> Example:
    """A head of random blocks, on the model's grid."""
    rng = np.random.default_rng(seed)
    ids = rng.choice([2, 3, 4, 7, 8, 10, 11, 12, 13, 16, 17, 18], [size // 8 for size in SIZE]).repeat(8, 0).repeat(8, 1).repeat(8, 2)
    labels, table = torch.from_numpy(ids).int(), load_table("freesurfer")
    row = {label.value: index for index, label in enumerate(preparation.target.labels)}
    target = relabel(labels, {value: row[to] for value, to in table.mapping_to(preparation.target).items()}).to(torch.uint8)
    classes = relabel(labels, preparation.classes.mapping_from(table)).to(torch.uint8)
    image = torch.from_numpy(rng.random(SIZE)).float()
    return Example(f"head {seed}", classes, target, image, Grid(SIZE, np.diag([2.0, 2.0, 2.0, 1.0])), bounding_box(target), anchors(target))


if __name__ == "__main__":
    main()

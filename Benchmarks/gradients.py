"""Hypergradients: how right is each form over a training, and what does it cost?

    python Benchmarks/gradients.py [--only PART...] [--at 0 50 150 400 1000] [--at-3d 0 50 150] [--epsilon-at 150] [--coordinates 24] [--rounds 12]

Accuracy: a training of the preset quick-2d on real scans (accuracy-2d), and one of small volumes (accuracy-3d), is halted at some steps. There each form's
hypergradient of the loss on real scans (the paper's objective; that of matching is a difference of two such) is compared with central differences of what it
claims to be, in float64: one learned end is moved, images are rendered, the network makes its whole step with the optimiser's state of that moment, and the
loss is taken on a fixed batch of real scans. The part `epsilon` tries other lengths of the forms' own differences. Cost: see gradient_cost.py; cost-cuda
needs a CUDA device.

Each part replaces only itself in the output. Data: LEARN2SYNTH_DATA or ../shared/data (malf_t1_manual).
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gradient_cost import CASES, cost, make_task

from Learn2SynthLib.config import build_config
from Learn2SynthLib.files import write_text
from Learn2SynthLib.learning.data import load_examples, preparation_for
from Learn2SynthLib.learning.learn2synth import Learn2Synth
from Learn2SynthLib.learning.strategy import Task
from Learn2SynthLib.segmentation.losses import segmentation_loss
from Learn2SynthLib.volume.cohort import Subject

PARTS = ("accuracy-2d", "accuracy-3d", "epsilon", "cost-2d", "cost-3d", "cost-cuda")
GRIDS = {"2d": [], "3d": ["ndim=3", "grid.shape=[32,32,32]", "grid.spacing_mm=[4,4,4]", "batch_size=2"]}
EPSILONS = (1e-1, 1e-2, 1e-3, 1e-4)
STEP, CHECK = 1e-7, 1e-8  # of the reference, in widths of a parameter's bounds; how far the two agree is the reference's own error


def main() -> None:
    options = read_options()
    torch.set_num_threads(options.threads)
    for part in options.only:
        if part == "cost-cuda" and not torch.cuda.is_available():
            print("cost-cuda: there is no CUDA device")
            continue
        print(f"{part} ...", flush=True)
        write_part(options.output, part, measured(part, options), options.threads)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=PARTS, choices=PARTS, metavar="PART")
    parser.add_argument("--at", nargs="+", type=int, default=[0, 50, 150, 400, 1000])
    parser.add_argument("--at-3d", nargs="+", type=int, default=[0, 50, 150])
    parser.add_argument("--epsilon-at", type=int, default=150)
    parser.add_argument("--coordinates", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LEARN2SYNTH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")))
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "gradients.json")
    return parser.parse_args()


def measured(part: str, options: argparse.Namespace) -> Any:
    if part == "accuracy-2d":
        return accuracy(real_task("2d", options.data), options.at, options.coordinates)
    if part == "accuracy-3d":
        return accuracy(real_task("3d", options.data), options.at_3d, options.coordinates)
    if part == "epsilon":
        return accuracy(real_task("2d", options.data), [options.epsilon_at], options.coordinates, EPSILONS)
    if part == "cost-cuda":
        device = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
        return {**device, **{case: cost(case, torch.device("cuda"), options.rounds) for case in CASES}}
    return cost(part.removeprefix("cost-"), torch.device("cpu"), options.rounds)


def write_part(path: Path, part: str, result: Any, threads: int) -> None:
    """Puts one part into the record, `cost-2d` at record["cost"]["2d"]; what was measured before stays."""
    empty: dict[str, Any] = {"accuracy": {"2d": [], "3d": []}, "epsilon": [], "cost": {"2d": None, "3d": None, "cuda": None}}
    record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else empty
    *outer, last = part.split("-")
    (record[outer[0]] if outer else record)[last] = result
    surroundings = {
        "command": "python Benchmarks/gradients.py", "torch": torch.__version__, "python": platform.python_version(), "machine": platform.machine(),
        "threads": threads,
    }  # fmt: skip
    write_text(path, json.dumps(surroundings | {key: record[key] for key in empty}, indent=1) + "\n")


def real_task(grid: str, folder: Path) -> Task:
    """The task of the preset on annotated scans, whose label maps are also those to synthesise from."""
    wide = "learn2synth.any_contrast=0"  # images that follow the synthesis but do not teach it would differ in the reference alone
    config = build_config("quick-2d", ["optimiser.schedule=constant", wide, *GRIDS[grid]])
    table = "neuromorphometrics"
    preparation = preparation_for(config, [table])
    scans = sorted((folder / "malf_t1_manual" / "train").glob("*_T1w.nii.gz"))
    subjects = [Subject(scan.name, "real", scan, scan.with_name(scan.name.replace("_T1w", "_dseg")), table) for scan in scans]
    return make_task(config, preparation, load_examples(subjects, preparation), torch.device("cpu"))


def accuracy(task: Task, at: Sequence[int], count: int, epsilons: Sequence[float] = ()) -> list[dict[str, Any]]:
    """Comparisons over `count` learned ends before each step of `at`, on the way of an ordinary training."""
    strategy, found = Learn2Synth(task), []
    for index in range(max(at)):
        if index in at:
            found.append(comparison(task, index, count, epsilons))
        if index % 50 == 0:
            print(f"step {index}", flush=True)
        strategy.step(index)
    return [*found, comparison(task, max(at), count, epsilons)]


def comparison(task: Task, index: int, count: int, epsilons: Sequence[float]) -> dict[str, Any]:
    """Every form, in double precision and in the program's own, against the reference at one step. No `epsilons`: the default."""
    chosen = list(islice(effective(task, index), count))
    expected, check = (differences(task, index, chosen, step) for step in (STEP, CHECK))
    reference = {"norm": rounded(expected.norm()), **agreement(check, expected)}
    print(f"step {index}, reference: {reference}", flush=True)
    usual, found = task.config.learn2synth.epsilon, []
    for form, epsilon in [("exact", usual), *((form, epsilon) for form in ("one_sided", "central") for epsilon in epsilons or [usual])]:
        for dtype in (torch.float64, torch.float32):
            gradient = hypergradient(task, index, form, epsilon, dtype)[chosen].double()
            trial: dict[str, Any] = {"form": form, "epsilon": None if form == "exact" else epsilon, "precision": str(dtype).removeprefix("torch.")}
            found.append(trial | agreement(gradient, expected))
            print(f"step {index}: {found[-1]}", flush=True)
    return {"step": index, "coordinates": len(chosen), "reference": reference, "found": found}


def effective(task: Task, index: int) -> Iterator[int]:
    """Learned ends that the step's images depend on, in a random order that is the same at every step. Most slices lack most classes."""
    directions = unit_vectors(task)
    usual = rendered(moved(task, torch.zeros_like(directions[0])), index)
    for k in random.Random(0).sample(range(len(directions)), len(directions)):
        if not torch.equal(rendered(moved(task, STEP * directions[k]), index), usual):
            yield k


@torch.no_grad()
def rendered(task: Task, index: int) -> Tensor:
    return task.synthesizer.render(*task.synthetic(index, [True] * task.config.batch_size))[0]


def differences(task: Task, index: int, chosen: Sequence[int], step: float) -> Tensor:
    """Central differences of the stepped network's real loss along each of the chosen ends (n,)."""
    shifts = step * unit_vectors(task)[chosen]
    losses = [[stepped_loss(moved(task, side * shift), index) for side in (1, -1)] for shift in shifts]
    ahead, behind = torch.tensor(losses, dtype=torch.float64).mT
    return (ahead - behind) / (2 * step)


def unit_vectors(task: Task) -> Tensor:
    return torch.eye(sum(ends.numel() for ends in task.synthesizer.ranges.parameters()), dtype=torch.float64)


def moved(task: Task, shift: Tensor) -> Task:
    """The task in float64, its learned ends moved by `shift` (n,), and never to learn them."""
    task = twin(task, torch.float64, start=1.0)
    ends = list(task.synthesizer.ranges.parameters())
    vector_to_parameters(parameters_to_vector(ends) + shift, ends)
    return task


def stepped_loss(task: Task, index: int) -> float:
    """What a hypergradient differentiates: the loss on the step's real scans after the network's step."""
    Learn2Synth(task).step(index)
    images, target = task.lesson(index, task.config.batch_size)
    with torch.no_grad():
        return float(segmentation_loss(task.network(images), target))


def hypergradient(task: Task, index: int, form: str, epsilon: float, dtype: torch.dtype) -> Tensor:
    """What one step sends to the learned ends (n,), as the strategy takes it."""
    task = twin(task, dtype, objective="loss", hypergradient=form, epsilon=epsilon, start=0.0, duration=1.0, every=1)
    ends = list(task.synthesizer.ranges.parameters())
    arrived: dict[int, Tensor] = {}
    for k, part in enumerate(ends):
        part.register_hook(lambda gradient, k=k: arrived.update({k: gradient.clone()}))
    Learn2Synth(task).step(index)
    return torch.cat([arrived[k].flatten() for k in range(len(ends))])


def twin(task: Task, dtype: torch.dtype, **settings: Any) -> Task:
    """The same moment of the training in another precision, with other settings of learn2synth; the examples are shared."""
    network, optimiser, synthesizer = copy.deepcopy((task.network, task.optimiser, task.synthesizer))
    for part in (network, synthesizer):
        part.to(dtype)
    optimiser.load_state_dict(optimiser.state_dict())  # gives the moments the precision of the weights
    here = replace(task.config.learn2synth, begin="prior", **settings)  # or a new strategy would begin its learning once more
    return replace(task, config=replace(task.config, learn2synth=here), network=network, optimiser=optimiser, synthesizer=synthesizer)


def agreement(found: Tensor, expected: Tensor) -> dict[str, float]:
    """Cosine similarity of two vectors, and the length of their difference in lengths of the expected one."""
    return {"cosine": rounded(torch.cosine_similarity(found, expected, 0), 9), "error": rounded((found - expected).norm() / expected.norm())}


def rounded(number: Tensor, digits: int = 4) -> float:
    return float(f"{float(number):.{digits}g}")


if __name__ == "__main__":
    main()

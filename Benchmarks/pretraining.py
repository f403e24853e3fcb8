"""Pre-training on several data sets, for `--pretrained` (Med3D: Chen, Ma & Zheng 2019): in turn each teaches one network, with a last layer of its own.

    python Benchmarks/pretraining.py MODEL.l2s [--lessons synthseg nichart] [--steps 3000] [--preset quick-2d] [--set KEY=VALUE...] [--seed 0]

The network is that of trials.py, unless it is set. The data sets keep their own label tables, because all weights but those of the last layer are shared. The
model that is written has the last layer of the first lesson. Beside it lies a checkpoint: the same command resumes a pre-training that was stopped, to the same
weights. Data: LEARN2SYNTH_DATA or ../shared/data.

Who is taught: by default SynthSeg's label maps, rendered at random, and NiChart's older people (T1 and FLAIR). The crops of MSD's hippocampi are a lesson
too (`hippocampus`), but not by default: they fill a twentieth of a window. So are the six people of the MICCAI 2012 challenge (`malf`), but transfer.py gives
their scans, and refuses a model that has seen them. The people of `malf` that measure are no lesson.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import trials
from hippocampus import TABLE as HIPPOCAMPUS
from people import hippocampi, malf, nichart, synthseg

from Learn2SynthLib.config import RunConfig, build_config
from Learn2SynthLib.files import written_aside
from Learn2SynthLib.learning.bundle import make_model
from Learn2SynthLib.learning.data import load_examples, preparation_for
from Learn2SynthLib.learning.factory import make_network, make_synthesizer
from Learn2SynthLib.learning.strategies import STRATEGIES
from Learn2SynthLib.learning.strategy import Strategy, Task
from Learn2SynthLib.model import Model
from Learn2SynthLib.randomness import stream_seed
from Learn2SynthLib.volume.cohort import Cohort, Subject

EVERY = 100  # steps between checkpoints


@dataclass(frozen=True)
class Lesson:
    """A data set: the strategy that learns from it, the table of its last layer, its people."""

    strategy: str
    target: str
    people: Callable[[], Sequence[Subject]]


LESSONS = {
    "synthseg": Lesson("randomised", "brain-sided", synthseg),
    "nichart": Lesson("supervised", "muse", nichart),
    "hippocampus": Lesson("supervised", str(HIPPOCAMPUS), lambda: list(chain(*hippocampi(str(HIPPOCAMPUS))))),
    "malf": Lesson("supervised", "brain", lambda: malf("train")),
}


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    people = [LESSONS[name].people()[: options.people] for name in options.lessons]
    configs = [config_of(LESSONS[name], options) for name in options.lessons]
    strategies = shared_strategies(configs, people, options.seed)
    settings = {"steps": options.steps, "people": options.people, "lessons": options.lessons, "configs": [config.to_json() for config in configs]}
    teach(strategies, options.steps, Checkpoint(options.output.with_suffix(".checkpoint.pt"), settings))
    write(strategies[0], Cohort(tuple(chain(*people))), options.lessons, options.output)
    print(f"written: {options.output}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, metavar="MODEL.l2s")
    parser.add_argument("--lessons", nargs="+", default=["synthseg", "nichart"], choices=LESSONS)
    parser.add_argument("--people", type=int, metavar="N", help="the first of each lesson only, to try it")
    parser.add_argument("--steps", type=int, default=3000, help="of all lessons together")
    parser.add_argument("--preset", default="quick-2d")
    parser.add_argument("--set", nargs="+", action="extend", default=[], dest="assignments", metavar="KEY=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def config_of(lesson: Lesson, options: argparse.Namespace) -> RunConfig:
    own = {"strategy": lesson.strategy, "target": lesson.target, "steps": options.steps, "seed": options.seed, "device": "cpu"}
    return build_config(options.preset, [trials.NETWORK, *options.assignments], **own)


def shared_strategies(configs: Sequence[RunConfig], people: Sequence[Sequence[Subject]], seed: int) -> list[Strategy]:
    """A strategy for each lesson; their networks share all weights but those of the last layer, and one optimiser."""
    torch.manual_seed(stream_seed(seed, "weights") % 2**31)
    preparations = [preparation_for(config, [subject.table for subject in subjects]) for config, subjects in zip(configs, people)]
    networks = [make_network(config, len(preparation.target.labels)) for config, preparation in zip(configs, preparations)]
    for network in networks[1:]:
        share_body(networks[0], network)
    weights = {id(weight): weight for network in networks for weight in network.parameters()}
    optimiser = torch.optim.Adam(weights.values(), lr=configs[0].optimiser.lr)
    strategies = []
    for config, subjects, preparation, network in zip(configs, people, preparations, networks):
        examples, synthesizer = load_examples(subjects, preparation), make_synthesizer(config, preparation)
        task = Task(config, preparation.target, network, optimiser, synthesizer, examples, examples, torch.device("cpu"))
        strategies.append(STRATEGIES[config.strategy](task))
    return strategies


def share_body(first: torch.nn.Module, other: torch.nn.Module) -> None:
    """Puts the weights of `first` in the place of all of the other's but those of the last layer."""
    for name, weight in first.named_parameters():
        owner, _, leaf = name.rpartition(".")
        if "head" not in owner.split("."):
            setattr(other.get_submodule(owner), leaf, weight)


@dataclass(frozen=True)
class Checkpoint:
    """The newest state of a pre-training with these settings."""

    path: Path
    settings: Mapping[str, Any]

    def read(self, strategies: Sequence[Strategy]) -> int:
        """Puts the state back; returns the steps that are done."""
        if not self.path.is_file():
            return 0
        state = torch.load(self.path, weights_only=True)
        if state["settings"] != self.settings:
            sys.exit(f"{self.path} is of a pre-training with other settings: choose another model's name, or delete it")
        for strategy, weights in zip(strategies, state["networks"]):
            strategy.task.network.load_state_dict(weights)
        strategies[0].task.optimiser.load_state_dict(state["optimiser"])
        return state["step"]

    def write(self, strategies: Sequence[Strategy], step: int) -> None:
        networks = [strategy.task.network.state_dict() for strategy in strategies]
        with written_aside(self.path) as aside:
            torch.save({"settings": self.settings, "step": step, "networks": networks, "optimiser": strategies[0].task.optimiser.state_dict()}, aside)


def teach(strategies: Sequence[Strategy], steps: int, checkpoint: Checkpoint) -> None:
    """One step of each lesson in turn, the rate falling as in a run."""
    optimiser = strategies[0].task.optimiser
    losses: list[float] = []
    for step in range(checkpoint.read(strategies), steps):
        for group in optimiser.param_groups:
            group["lr"] = strategies[0].task.config.optimiser.lr * 0.5 * (1 + math.cos(math.pi * step / steps))
        strategy = strategies[step % len(strategies)]
        losses += strategy.step(step // len(strategies)).values()
        if (step + 1) % EVERY == 0 or step + 1 == steps:
            checkpoint.write(strategies, step + 1)
            print(f"step {step + 1} of {steps}: loss {statistics.fmean(losses):.3f}", flush=True)
            losses = []


def write(first: Strategy, cohort: Cohort, lessons: Sequence[str], path: Path) -> None:
    """The model, which tells all people that taught it."""
    model = make_model(first, cohort.to_json(), None, first.task.config.steps)
    provenance = model.card["provenance"] | {"lessons": lessons}
    Model(model.card | {"name": "pre-trained", "provenance": provenance}, model.weights).write(path)


if __name__ == "__main__":
    main()

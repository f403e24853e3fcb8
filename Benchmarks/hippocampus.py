"""Hippocampi: does augmentation that a search found serve better than our defaults? On data like those of the paper of `policy_search` (Xu, Li, Zhu 2020).

    python Benchmarks/hippocampus.py --runs FOLDER [--methods NAME...] [--people 4 12] [--seeds 0 1 2] [--steps 1000]

A trial is one training: a method, a number of annotated people, a seed, a number of steps; volumes of 1 mm, one small network. Trials that
Benchmarks/results/hippocampus.jsonl holds are not run again; a trial that was stopped is resumed from FOLDER; the same command started twice shares the work.
The found policy is that of the model in FOLDER which the search of the same people, seed and steps left. Data: LEARN2SYNTH_DATA or ../shared/data.

Medical Segmentation Decathlon, task 4 (T1 cropped about one hippocampus, manual labels of its anterior and posterior part): 36 people, two cases each, both
sides. Every third person may be given, the 24 others measure every trial. A search scores policies by a quarter of the cases: whole people, because their
number is a multiple of four. Dice and 95 % Hausdorff distance of each structure in every case, at the last step.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))

import trials
from people import hippocampi
from trials import Method

from Learn2SynthLib import __version__
from Learn2SynthLib.computer import keep_freed_memory
from Learn2SynthLib.config import RunConfig, build_config
from Learn2SynthLib.learning.data import Example, load_examples, preparation_for
from Learn2SynthLib.learning.session import train_run
from Learn2SynthLib.model import Model
from Learn2SynthLib.run import Run
from Learn2SynthLib.segmentation.segmenter import Segmenter
from Learn2SynthLib.volume.cohort import Cohort, Subject

RESULTS, TABLE = HERE.parent / "results" / "hippocampus.jsonl", HERE.with_suffix(".json")
STEPS, PEOPLE, SEEDS = 1000, (4, 12), (0, 1, 2)
EVERY = 3  # every third person may be given
SETTINGS = (  # a window holds nearly every case whole
    *("grid.spacing_mm=[1,1,1]", "grid.shape=[40,56,40]", "network.name=patched-unet", "network.features=[16,32,64]", "optimiser.lr=0.005"),
    *("validate_every=1000000", "preview_every=1000000"),
)
UNTOUCHED = (  # without it, real scans are still deformed
    *("supervised.augmentation=false", "synthesis.flip=0", "synthesis.crop=0"),
    *(f"synthesis.{name}_chance=0" for name in ("rotation", "scaling", "warp")),
    *(f"synthesis.{name}=[0,0]" for name in ("shear", "translation_mm")),
)
SEARCH, DEFAULT, FOUND, RANDOM = "policy search", "supervised, default augmentation", "supervised, found policy", "random policies"
METHODS = {
    "supervised, not augmented": Method("supervised", UNTOUCHED),
    DEFAULT: Method("supervised"),
    SEARCH: Method("policy_search"),
    FOUND: Method("supervised", after=SEARCH),
    RANDOM: Method("policy_search", ("policy_search.start=1",)),  # as the search begins: nothing is ever compared
}


@dataclass(frozen=True)
class Trial:
    method: str
    people: int
    seed: int
    steps: int

    @property
    def name(self) -> str:
        return f"hippocampus-{trials.in_file_name(self.method)}_{self.people}_{self.seed}_{self.steps}"

    @property
    def before(self) -> Trial | None:
        """The trial whose model this one needs."""
        method = METHODS[self.method].after
        return replace(self, method=method) if method else None

    def config(self, runs: Path | None = None) -> RunConfig:
        """runs: where the model lies whose preset is used; None: as if it had found nothing."""
        preset = str(Run(runs / self.before.name).model_path) if runs and self.before else "low-memory"
        method = METHODS[self.method]
        fixed = {"target": str(TABLE), "strategy": method.strategy, "steps": self.steps, "seed": self.seed}
        return build_config(preset, [*SETTINGS, *method.settings], **fixed)

    def cohort(self) -> Cohort:
        """Both sides of some people, others for every seed while there are any. Validation, once at the end, chooses nothing."""
        people, strangers = parted()
        chosen = [people[(self.seed * self.people + k) % len(people)] for k in range(self.people)]
        return Cohort((*(side for person in chosen for side in person), *(replace(side, role="validation") for side in strangers[0])))


def parted() -> tuple[list[list[Subject]], list[list[Subject]]]:
    """People who may be given, and those who measure."""
    people = hippocampi(str(TABLE))
    return people[::EVERY], [person for k, person in enumerate(people) if k % EVERY]


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    for trial in chosen(options):
        run = Run(options.runs / trial.name)
        if trial in finished() or run.in_use():
            continue
        if trial.before and not (trial.before in finished() and Run(options.runs / trial.before.name).model_path.is_file()):
            print(f"{trial.name} waits for {trial.before.name} in {options.runs}", flush=True)
            continue
        print(f"{trial.name} ...", flush=True)
        record = measured(trial, run)
        if trial not in finished():  # by another process that began to measure the finished run when this one did
            trials.keep(record, RESULTS)
        print(f"{trial.name}: {told(record)}", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="NAME", help=", ".join(METHODS))
    parser.add_argument("--people", nargs="+", type=int, choices=(4, 8, 12), default=PEOPLE)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def chosen(options: argparse.Namespace) -> Iterator[Trial]:
    """Seed by seed, so that a table is whole early."""
    for seed in options.seeds:
        for people in options.people:
            yield from (Trial(method, people, seed, options.steps) for method in options.methods)


def read_results(path: Path = RESULTS) -> list[dict[str, Any]]:
    """Every record whose method is still made as it was then."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [record for line in lines if still_made(record := json.loads(line))]


def still_made(record: Mapping[str, Any]) -> bool:
    """Whether the trial would be run with the settings of then; a policy that was found is not compared."""
    trial = Trial(**record["trial"])
    if trial.method not in METHODS:
        return False
    found = {"synthesis"} if trial.before else set()
    return trials.holds(settings(trial.config()), {key: value for key, value in record["config"].items() if key not in found})


def settings(config: RunConfig) -> dict[str, Any]:
    """What decides the trial, as it reads on every machine."""
    return trials.relevant(config.to_json())


def finished() -> set[Trial]:
    return {Trial(**record["trial"]) for record in read_results()}


def measured(trial: Trial, run: Run) -> dict[str, Any]:
    """Trains the trial, or what is left of it, and measures its network on the people who are never given."""
    config, cohort = trial.config(run.folder.parent), trial.cohort()
    last = train_run(config, cohort, run, lambda event: None)
    if last["event"] != "finished":
        sys.exit(f"{trial.name} was stopped; the same command resumes it")
    segmenter, entries = Segmenter.load(run.model_path), Model.read(run.model_path).card["learned"]
    return {
        "trial": asdict(trial),
        "config": settings(config),
        "given": [subject.name for subject in cohort.of("real")],
        "seconds": seconds_of(run),
        "cases": {case.name: trials.scores(segmenter, case, True, str(TABLE)) for case in strangers()},
        **{kind: {name: round(entry[kind], 5) for name, entry in entries.items()} for kind in ("learned", "prior")},
        "versions": {"learn2synth": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }


@lru_cache(maxsize=1)
def strangers() -> list[Example]:
    """Both sides of everybody who measures, on the model's grid."""
    config = Trial(DEFAULT, PEOPLE[0], SEEDS[0], STEPS).config()
    return load_examples([side for person in parted()[1] for side in person], preparation_for(config, [str(TABLE)]))


def seconds_of(run: Run) -> float:
    """Of training, over all sessions of a run that may have been stopped and resumed."""
    sessions: list[float] = []
    for event in run.events():
        if event["event"] == "started":
            sessions.append(0.0)
        elif "seconds" in event:
            sessions[-1] = event["seconds"]
    return round(sum(sessions), 1)


def told(record: Mapping[str, Any]) -> str:
    """Mean Dice and distance of all cases."""
    dice = statistics.fmean(case["dice"]["mean"] for case in record["cases"].values())
    found = [case["hd95_mm"]["mean"] for case in record["cases"].values() if "mean" in case["hd95_mm"]]
    distance = f"{statistics.fmean(found):.2f} mm" if found else "nothing found"
    return f"Dice {dice:.3f}, {distance} ({record['seconds']:.0f} s)"


if __name__ == "__main__":
    main()

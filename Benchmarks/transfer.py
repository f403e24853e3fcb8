"""Transfer: how many steps are saved by beginning with pretrained weights, and how much better is the end, given few real scans?

    python Benchmarks/transfer.py MODEL.l2s --runs FOLDER [--methods supervised learn2synth] [--scans 1 3 5] [--seeds 0] [--steps 1500]

Each trial is one training as in trials.py, with the same people and the same network, once begun at random and once with MODEL (pretraining.py writes one that
fits). Four other people measure it every 50 steps. Results are appended to Benchmarks/results/transfer.jsonl; what that holds is not run again, a trial that
was stopped is resumed from FOLDER, and the same command started twice shares the work. Data: LEARN2SYNTH_DATA or ../shared/data.

The 1, 3 or 5 scans, and the label maps, are those of six people of the MICCAI 2012 challenge, the scans that measure those of four others. A model that has
seen a file of any of the ten, by the checksums in its card, is refused. Of SynthSeg's label maps it is not known whom they show.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))

import trials

from Learn2SynthLib import __version__
from Learn2SynthLib.config import RunConfig
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.learning.session import train_run
from Learn2SynthLib.model import Model
from Learn2SynthLib.run import Run
from Learn2SynthLib.volume.cohort import Cohort, file_digest

RESULTS = HERE.parent / "results" / "transfer.jsonl"
METHODS = {"supervised": "supervised, augmented", "learn2synth": trials.OURS}  # as trials.py names them
EVERY = 50  # steps between two points of a curve


@dataclass(frozen=True)
class Transfer:
    """A trial, begun with the model of that checksum, which those data sets taught (pretraining.py names them); "": at random."""

    trial: trials.Trial
    model: str = ""
    lessons: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.trial.name}_{self.model[:8] or 'scratch'}"

    def config(self, path: Path) -> RunConfig:
        config = self.trial.config(Path())
        network = replace(config.network, pretrained=str(path) if self.model else "")
        return replace(config, network=network, validate_every=EVERY, patience=self.trial.steps)


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    try:
        model, digest = Model.read(options.model), file_digest(options.model)
    except InputError as error:
        sys.exit(f"error: {error}")
    lessons = tuple(model.card["provenance"].get("lessons", ()))
    for trial in chosen(options):
        refuse_acquaintances(model, trial.cohort(options.runs))
        scratch, begun = Transfer(trial), Transfer(trial, digest, lessons)
        for transfer in (scratch, begun):
            run = Run(options.runs / transfer.name)
            if transfer not in finished() and not run.in_use():
                trials.keep(measured(transfer, options.model, run), RESULTS)
        print(f"{trial.name}: {told(scratch, begun)}", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL.l2s")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--scans", nargs="+", type=int, default=[1, 3, 5])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=trials.STEPS[0])
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def chosen(options: argparse.Namespace) -> Iterator[trials.Trial]:
    for seed in options.seeds:
        for scans in options.scans:
            yield from (trials.Trial(METHODS[method], scans, seed, options.steps) for method in options.methods)


def refuse_acquaintances(model: Model, cohort: Cohort) -> None:
    """Ends the program where the model has seen somebody of the cohort."""
    seen = {subject[kind] for subject in model.data for kind in ("image", "labels") if subject.get(kind)}
    known = [subject.name for subject in cohort.subjects if seen & {file_digest(path) for path in subject.files.values()}]
    if known:
        sys.exit(f"the model has seen {', '.join(known)}: pre-train it without them")


def measured(transfer: Transfer, model: Path, run: Run) -> dict[str, Any]:
    """Trains, or what is left of it, and reads the curve of its validations."""
    config = transfer.config(model)
    last = train_run(config, transfer.trial.cohort(run.folder.parent), run, lambda event: None)
    if last["event"] != "finished":
        sys.exit(f"{transfer.name} was stopped; the same command resumes it")
    events = run.events()
    curve = {event["step"]: event["dice"]["mean"] for event in events if event["event"] == "validated"}
    began = next(event["pretrained"] for event in events if event["event"] == "started")
    settings = trials.relevant(replace(config, network=replace(config.network, pretrained=model.name if transfer.model else "")).to_json())
    versions = {"learn2synth": __version__, "torch": torch.__version__}
    return {"transfer": asdict(transfer), "pretrained": began, "config": settings, "curve": sorted(curve.items()), "versions": versions}


def finished(path: Path = RESULTS) -> dict[Transfer, list[tuple[int, float]]]:
    """The curve, (step, mean Dice), of all that was measured."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {read_transfer(**record["transfer"]): [tuple(point) for point in record["curve"]] for record in map(json.loads, lines)}


def read_transfer(trial: dict[str, Any], model: str, lessons: list[str]) -> Transfer:
    return Transfer(trials.Trial(**trial), model, tuple(lessons))


def told(scratch: Transfer, begun: Transfer) -> str:
    """Dice at the end of both, and the step at which the one that was begun with the model first was as good as the other at its end."""
    curves = finished()
    if not {scratch, begun} <= curves.keys():
        return "another process is at it"
    end = {transfer: curves[transfer][-1][1] for transfer in (scratch, begun)}
    reached = next((f"at step {step}" for step, dice in curves[begun] if dice >= end[scratch]), "never")
    return f"{end[scratch]:.3f} from scratch, {end[begun]:.3f} with pretrained weights; as good {reached}"


if __name__ == "__main__":
    main()

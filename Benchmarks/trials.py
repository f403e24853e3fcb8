"""Real scans: every way of training side by side, on the same people, network and budget, measured where it was taught and where it was not.

    python Benchmarks/trials.py --runs FOLDER [--study main] [--methods NAME...] [--scans 1 2 3 5] [--seeds 0 1 2] [--steps 1500]

A trial is one training: a method, a number of annotated scans, a seed, a number of steps. Trials that Benchmarks/results/trials.jsonl holds are not run
again; a trial that was stopped is resumed from FOLDER; the same command started twice shares the work. Data: LEARN2SYNTH_DATA or ../shared/data.

Six people (MICCAI 2012 challenge, skull-stripped T1, manual labels) are the label maps of every trial; the scans of some of them are given, others for every
seed. Four other people measure it, as they are and shifted (shifts.py), and six older people of another site (NiChart, T1 and FLAIR, automatic labels), brain
only. Dice and 95 % Hausdorff distance on the model's 2 mm grid, at the last step.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))

from people import ELDERS, IN_DOMAIN, delineated, elders, given, malf, scenes, synthseg

from Learn2SynthLib import __version__
from Learn2SynthLib.completing import completed, with_known_anatomy
from Learn2SynthLib.computer import keep_freed_memory
from Learn2SynthLib.config import LEARNABLE, SEARCHABLE, STRATEGIES, RunConfig, build_config
from Learn2SynthLib.console import Console
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.learning.data import Example
from Learn2SynthLib.learning.session import train_run
from Learn2SynthLib.run import Run
from Learn2SynthLib.segmentation.evaluation import evaluate
from Learn2SynthLib.segmentation.segmenter import Segmenter
from Learn2SynthLib.volume.checks import check_cohort
from Learn2SynthLib.volume.cohort import Cohort
from Learn2SynthLib.volume.image import Image, LabelMap

RESULTS = HERE.parent / "results" / "trials.jsonl"
STEPS, SCANS, SEEDS = (1500, 4000), (1, 2, 3, 5), (0, 1, 2)
NETWORK = "network.features=[8,16,32,64]"
PROTOCOL = 2  # of what is measured now; in the first, labels were up to half a voxel of 1 mm beside their image


@dataclass(frozen=True)
class Method:
    """A way of training: strategy and settings.

    scans: whether it is given any; one that is not has 0 of them, whatever the number asked for. fewest: how many it cannot do without. maps: how many of
    the six people's label maps, first the people whose scans are given. more_maps: how many of SynthSeg's are added. given: the row that its scans are of:
    the six people's own scans as they are or shifted, or scans of other people, whose label maps are then added. table: the target, a file beside this one, and
    all that the scans have labels of; `brain` and everything where it is empty. unlabelled: the people whose scans are not
    given give theirs without labels, in place of their label maps. after: a method that is trained before, its model's path is `{model}` in the settings.
    """

    strategy: str
    settings: tuple[str, ...] = ()
    scans: bool = True
    fewest: int = 1
    maps: int = 6
    more_maps: int = 0
    given: str = IN_DOMAIN
    table: str = ""
    unlabelled: bool = False
    after: str | None = None


def _taught(*settings: str, **more: Any) -> Method:
    return Method("learn2synth", tuple(f"learn2synth.{setting}" for setting in settings), **more)


OURS = "learn2synth"
REST = [name for name in SEARCHABLE if name not in LEARNABLE]  # what no gradient reaches
LONG_AND_FAST = ("lr=0.02", "duration=0.94")  # what a synthesis needs that has everything to learn
MAIN = {
    "supervised": Method("supervised", ("supervised.augmentation=false",)),
    "supervised, augmented": Method("supervised"),
    "policy search": Method("policy_search", fewest=2),
    "policy search, synthetic": Method("policy_search", ("policy_search.images=synthetic",)),
    "mixed, side by side": Method("mixed", ("mixed.synthetic_from=0",)),
    "mixed": Method("mixed"),
    "fine-tuned": Method("fine_tuned"),
    "cooperative": Method("cooperative"),
    "cooperative, half synthetic": Method("cooperative", ("cooperative.share=0.5",)),
    "learned transforms": Method("learned_transforms", unlabelled=True),
    "randomised": Method("randomised", scans=False),
    "randomised, T1 prior": Method("randomised", ("synthesis.contrast=t1",), scans=False),
    OURS: Method("learn2synth"),
    "learn2synth, nothing wide": _taught("share=0"),
    "learn2synth, network": _taught("enhancement=network"),
    "learn2synth, both": _taught("enhancement=both"),
}
PARTS = {f"learn2synth, {name} alone": _taught(f"learn=[{json.dumps(name)}]") for name in LEARNABLE}
ABLATIONS = {
    "learn2synth, nothing learned": _taught("lr=0"),
    "learn2synth, nothing wide, nothing learned": _taught("share=0", "lr=0"),
    "learn2synth, begun at the prior": _taught("begin=prior"),
    "learn2synth, begun at the prior, learning long and fast, nothing wide, memory 0.95": _taught("begin=prior", "share=0", "memory=0.95", *LONG_AND_FAST),
    "learn2synth, as in the paper": _taught("objective=loss", "begin=prior", "share=0", *LONG_AND_FAST),
    "learn2synth, exact": _taught("hypergradient=exact"),
    **{f"learn2synth, {part} of the wide images in contrast alone": _taught(f"any_contrast={part}") for part in (0.0, 0.5, 1.0)},
    "learn2synth, any scanner": _taught("any_scanner=0.5"),
    "learn2synth, nothing wide, any scanner": _taught("share=0", "any_scanner=0.5"),
    **{f"learn2synth, share {share}": _taught(f"share={share}") for share in (0.25, 0.375, 0.75)},
    "learn2synth, share 0.375, 1.0 of the wide images in contrast alone": _taught("share=0.375", "any_contrast=1"),
    "learn2synth, share 0.375, any scanner": _taught("share=0.375", "any_scanner=0.5"),
    **{f"learn2synth, wide from {part} of the run on": _taught(f"wide_from={part}") for part in (0.0, 0.5)},
    **{f"learn2synth, outer rate {rate}": _taught(f"lr={rate}") for rate in (0.001, 0.01, 0.03)},
    **{f"learn2synth, every {every} steps": _taught(f"every={every}") for every in (1, 5, 10)},
    **{f"learn2synth, learning for {part} of the run": _taught(f"duration={part}") for part in (0.1, 0.2, 0.94)},
    "learn2synth, sgd": Method("learn2synth", ("optimiser.name=sgd", "optimiser.lr=0.05")),
    "learn2synth, bfloat16": Method("learn2synth", ("optimiser.precision=bfloat16",)),
    "learn2synth, its synthesis used again": _taught("begin={model}", "lr=0", after=OURS),
    "learn2synth, pretrained": Method("learn2synth", ("network.pretrained={model}",), after="randomised"),  # of as many steps
    **{f"learn2synth, {maps} label maps": Method("learn2synth", maps=maps) for maps in (1, 2, 3)},
    **{f"randomised, {maps} label maps": Method("randomised", scans=False, maps=maps) for maps in (1, 2, 3)},
    "learn2synth, 26 label maps": Method("learn2synth", more_maps=20),
    "randomised, 26 label maps": Method("randomised", scans=False, more_maps=20),
    "learned transforms, not augmented": Method("learned_transforms", ("supervised.augmentation=false",), unlabelled=True),
    "learned transforms, coupled": Method("learned_transforms", ("learned_transforms.coupled=true",), unlabelled=True),
}
# Around another learn2synth: batches hold wide images from the first step on, three eighths of each, two of these three wide in contrast alone.
WIDE_EARLY = tuple(f"learn2synth.{setting}" for setting in ("share=0.375", "wide_from=0", "any_contrast=0.5"))
FROM_THE_START = "wide from the start"
EARLY = {
    f"{name}, {FROM_THE_START}": replace(method, settings=(*WIDE_EARLY, *method.settings))
    for name, method in {
        **{name: MAIN[name] for name in (OURS, "learn2synth, network", "learn2synth, both")},
        **{f"learn2synth, {name}": ABLATIONS[f"learn2synth, {name}"] for name in ("nothing learned", "begun at the prior", "outer rate 0.001", "share 0.75")},
        **{f"learn2synth, {name}": ABLATIONS[f"learn2synth, {name}"] for name in ("1.0 of the wide images in contrast alone", "pretrained")},
        "learn2synth, 1.0 of the wide images in contrast alone, share 0.25": _taught("any_contrast=1", "share=0.25"),
        "learn2synth, memory 0.95": _taught("memory=0.95"),
        "learn2synth, the paper's objective": _taught("objective=loss"),
        "learn2synth, begun at the prior, learning long and fast": _taught("begin=prior", *LONG_AND_FAST),
        "learn2synth, and a search of the rest": _taught(f"search={json.dumps(REST)}"),
    }.items()
}
KNOWN = MAIN | ABLATIONS | EARLY
# Scans that differ from the six people's in more than can be measured in them: noisy ones, and those of another site and contrast.
IN_PART = ", annotated in part"
ELSEWHERE = {
    f"{method}, {told}": replace(KNOWN[method], given=row)
    for row, told in {"noise": "noisy scans", "NiChart FLAIR": "scans of elders"}.items()
    for method in (
        *("supervised, augmented", "mixed, side by side", "randomised"),
        *(f"learn2synth, nothing learned, {FROM_THE_START}", f"{OURS}, {FROM_THE_START}", OURS),
    )
    if KNOWN[method].scans or row in ELDERS.values()
} | {
    f"{name}{IN_PART}": replace(method, table="deep.json")
    for name, method in {
        "supervised, augmented": MAIN["supervised, augmented"],
        "mixed": MAIN["mixed"],
        "randomised": Method("randomised", ("synthesis.real_label_maps=false",)),  # by the label maps that the others have
        "learn2synth, not completed": Method("learn2synth", ("synthesis.complete=false",)),
        OURS: Method("learn2synth"),
        "learn2synth, nothing wide": MAIN["learn2synth, nothing wide"],
        "learn2synth, no label maps": Method("learn2synth", maps=3),
    }.items()
}
STUDIES = {"main": MAIN, "parts": PARTS, "ablations": ABLATIONS, "early": EARLY, "elsewhere": ELSEWHERE}
METHODS = KNOWN | PARTS | ELSEWHERE


@dataclass(frozen=True)
class Trial:
    method: str
    scans: int
    seed: int
    steps: int

    @property
    def name(self) -> str:
        return f"{in_file_name(self.method)}_{self.scans}_{self.seed}_{self.steps}"

    def config(self, runs: Path) -> RunConfig:
        method = METHODS[self.method]
        model = json.dumps(str(Run(runs / self.of(method.after).name).model_path)) if method.after else ""
        settings = [setting.replace("{model}", model) for setting in method.settings]
        rare = ("validate_every=1000000", "preview_every=1000000")
        return build_config("quick-2d", [NETWORK, *rare, *settings], strategy=method.strategy, steps=self.steps, seed=self.seed, target=table_of(method))

    def of(self, method: str) -> Trial:
        """The same by another method."""
        return replace(self, method=method, scans=self.scans if METHODS[method].scans else 0)

    def cohort(self, runs: Path) -> Cohort:
        """The label maps; of `scans` people the image too, others for every seed. Validation, once at the end, chooses nothing."""
        method, people = METHODS[self.method], malf("train")
        turned = [people[(self.seed + k) % len(people)] for k in range(method.maps)]
        others = elders(method.given) if method.given in ELDERS.values() else []
        taught_by = [given(person, method.given, runs / "given") for person in (others or turned)[: self.scans]]
        if method.table:
            taught_by = [delineated(person, table_of(method), runs / "given") for person in taught_by]
        rest = [person for person in (*turned, *others) if person.name not in {who.name for who in taught_by}]
        shown = [replace(person, role="unlabelled", labels=None) if method.unlabelled else replace(person, role="label_map", image=None) for person in rest]
        return Cohort((*taught_by, *shown, *synthseg()[: method.more_maps], *(replace(person, role="validation") for person in malf("val"))))


def table_of(method: Method) -> str:
    return str(HERE.parent / method.table) if method.table else "brain"


def in_file_name(method: str) -> str:
    return "".join(letter if letter.isalnum() or letter == "." else "-" for letter in method).replace("--", "-")


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    for trial in trials(options):
        run = Run(options.runs / trial.name)
        if trial in finished() or run.in_use():
            continue
        print(f"{trial.name} ...", flush=True)
        record = measured(trial, run)
        keep(record, RESULTS)
        print(f"{trial.name}: {told(record)}", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--study", choices=STUDIES, default="main")
    parser.add_argument("--methods", nargs="+", choices=METHODS, metavar="NAME", help="these, of any study")
    parser.add_argument("--scans", nargs="+", type=int, default=SCANS)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--steps", nargs="+", type=int, default=STEPS[:1])
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def trials(options: argparse.Namespace) -> Iterator[Trial]:
    """Seed by seed, so that a table is whole early; once only where the number of scans makes no difference."""
    for steps in options.steps:
        for seed in options.seeds:
            for scans in options.scans:
                for method in options.methods or STUDIES[options.study]:
                    if scans >= METHODS[method].fewest if METHODS[method].scans else scans == options.scans[0]:
                        yield Trial(method, scans, seed, steps).of(method)


def keep(record: Mapping[str, Any], path: Path) -> None:
    """Appends a line of results."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def read_results(path: Path = RESULTS) -> list[dict[str, Any]]:
    """Every record whose method is still made as it was then."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [record for line in lines if still_made(record := json.loads(line))]


def still_made(record: Mapping[str, Any]) -> bool:
    """Whether the trial would be run with the settings of then; settings that have come since do not count."""
    trial = Trial(**record["trial"])
    return trial.method in METHODS and holds(relevant(trial.config(Path()).to_json()), relevant(record["config"]))


def relevant(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without the settings that change nothing: those of other strategies, and of wide images where there are none.

    `supervised` says how all of them augment real scans, `policy_search` how any searches.
    """
    ours = config.get("learn2synth", {})
    others = STRATEGIES.keys() - {config["strategy"], "supervised", *(["policy_search"] if ours.get("search") else [])}
    idle = () if ours.get("share") or ours.get("any_scanner") else ("any_contrast", "wide_from")
    changed = config | {"learn2synth": {key: value for key, value in ours.items() if key not in idle}, "target": Path(config["target"]).name}
    return {key: value for key, value in changed.items() if key not in others}


def holds(now: Any, then: Any) -> bool:
    """Whether all settings of then are settings of now; lists and numbers as they are."""
    if isinstance(then, dict):
        return all(key in now and holds(now[key], value) for key, value in then.items())
    return now == then


def finished() -> set[Trial]:
    return {Trial(**record["trial"]) for record in read_results() if protocol(record) == PROTOCOL}


def protocol(record: Mapping[str, Any]) -> int:
    """By which of the protocols a trial was measured; records say so since the second."""
    return record.get("protocol", 1)


def measured(trial: Trial, run: Run) -> dict[str, Any]:
    """Trains the trial, or what is left of it, and measures its network on every row, by people that it knows nothing of."""
    before = METHODS[trial.method].after
    if before:
        train(trial.of(before), Run(run.folder.parent / trial.of(before).name))
    cohort, last = train(trial, run)
    segmenter = Segmenter.load(run.model_path)
    known = {_person(subject.name) for subject in cohort.subjects if subject.role != "validation"}
    table = table_of(METHODS[trial.method])
    strangers = {row: [scan for scan in scans if _person(scan.name) not in known] for row, scans in scenes(table).items()}
    return {
        "trial": asdict(trial),
        "protocol": PROTOCOL,
        "config": relevant(trial.config(Path()).to_json()),
        "seconds": last["seconds"],
        "rows": {row: {scan.name: scores(segmenter, scan, row == IN_DOMAIN, table) for scan in scans} for row, scans in strangers.items()},
        "versions": {"learn2synth": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }


def train(trial: Trial, run: Run) -> tuple[Cohort, dict[str, Any]]:
    """The cohort, and the last event of the run; one that has finished is not trained again."""
    config = trial.config(run.folder.parent)
    cohort = with_known_anatomy(config, trial.cohort(run.folder.parent), run)
    run.check(config.to_json(), cohort.to_json())
    if METHODS[trial.method].table and not run.exists():
        cohort = completed(config, cohort, check_cohort(cohort, load_table(config.target)), run, Console(as_json=False))
    ended = run.exists() and run.status() == "finished"
    last = run.events()[-1] if ended else train_run(config, cohort, run, lambda event: None)
    if last["event"] != "finished":
        sys.exit(f"{trial.name} was stopped; the same command resumes it")
    return cohort, last


def _person(scan: str) -> str:
    """Scans are named `person_contrast`."""
    return scan.split("_")[0]


def scores(segmenter: Segmenter, scan: Example, structures: bool, table_file: str = "") -> dict[str, dict[str, float]]:
    """Dice, and 95 % Hausdorff distance in mm: the mean, and, if asked for, every structure that has one (no distance where it was missed).

    table_file: the segmenter's table, where it is none of ours.
    """
    assert scan.image is not None
    table = segmenter.card.table
    found = replace(segmenter.segment(Image(scan.image, scan.grid)).labels, table=table_file or table.name)
    reference = LabelMap(torch.tensor(table.values)[scan.target.long()].int(), scan.grid, found.table)
    measures = evaluate(found, reference, table)
    kept = {metric: measures[metric] if structures else {"mean": measures[metric]["mean"]} for metric in ("dice", "hd95_mm")}
    return {metric: {name: round(v, 4) for name, v in values.items() if v is not None} for metric, values in kept.items()}


def told(record: Mapping[str, Any]) -> str:
    """Mean Dice of every row."""
    means = {row: statistics.fmean(scan["dice"]["mean"] for scan in scans.values()) for row, scans in record["rows"].items()}
    return ", ".join(f"{row} {mean:.3f}" for row, mean in means.items()) + f" ({record['seconds']:.0f} s)"


if __name__ == "__main__":
    main()

"""The report of a brain segmentation model: what it is worth on scans that it never saw, how much it minds what scans may be like, and what it costs.

    python Benchmarks/report.py MODEL [--only PART...] [--scans N] [--pictures FOLDER] [--output Benchmarks/results/brain.json]
    python Benchmarks/report.py --page Docs/brain.md

MODEL: a .l2s file, a run's folder, or the name of a shipped model; its table is `brain` or `brain-sided`. Parts: accuracy, robustness, repeat, user_scans,
speed; the first lines of their files in Benchmarks/reporting say what they measure. Every measurement is written at once; the same command goes on where it
was stopped, and measures nothing twice as long as the model's file is the same. What lies beside the output under its name and another word, as
brain-randomised.json, is of models to compare with, and stands on its page, as do remarks by hand in brain-remarks.md. --scans: of every data set the first N
people alone, to try it. --pictures: where scans without labels are drawn; what of these may be published is said in reporting/user_scans.py. --page draws the
page from the output alone (needs matplotlib). Data: LEARN2SYNTH_DATA or ../shared/data.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))

from reporting import accuracy, repeat, robustness, speed, user_scans
from reporting.record import Record, Task, measure, read
from reporting.scans import known_people, rows

from Learn2SynthLib import __version__
from Learn2SynthLib.computer import describe_computer
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.files import write_text
from Learn2SynthLib.model import Model
from Learn2SynthLib.segmentation.segmenter import Segmenter, find_model
from Learn2SynthLib.volume.cohort import file_digest

PARTS = ("accuracy", "robustness", "repeat", "user_scans", "speed")
ALL = 1000  # people; more than there are


def main() -> None:
    options = parse()
    if options.model:
        try:
            path = find_model(options.model)
            measure(tasks(path, options), Record(options.output, head(path)))
        except InputError as error:
            sys.exit(f"error: {error}")
    if options.page:
        write_page(options.output, options.page)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", metavar="MODEL")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--scans", type=int, default=ALL, metavar="N")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    parser.add_argument("--output", type=Path, default=HERE.parent / "results" / "brain.json")
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    if not (options.model or options.page):
        parser.error("give a MODEL to measure, or --page to draw what was measured")
    if options.model and "user_scans" in options.only and not outside(options.pictures):
        parser.error("user_scans needs --pictures, a folder outside of the checkout, because some of these scans may not be published")
    return options


def outside(folder: Path | None) -> bool:
    return folder is not None and HERE.parents[1] not in (folder.resolve(), *folder.resolve().parents)


def head(path: Path) -> dict[str, Any]:
    """The model, who of the measured people was in its training, and the machine that measured last."""
    model = Model.read(path)
    card = {key: model.card[key] for key in ("name", "ndim", "network", "spacing_mm", "shape")}
    provenance = model.card["provenance"]
    people = [person for row in rows(ALL).values() for person in row]
    return {
        "model": {
            **card, "table": model.labels.name, "sha256": file_digest(path), "bytes": path.stat().st_size,
            "steps": provenance["step"], "pretrained": bool(provenance.get("pretrained")), "known_people": known_people(people, model),
        },
        "versions": {"learn2synth": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": next(iter(describe_computer().devices.values())),
    }  # fmt: skip


def tasks(path: Path, options: argparse.Namespace) -> Iterator[Task]:
    segmenter = Segmenter.load(path)
    of_parts = {
        "accuracy": lambda: accuracy.tasks(segmenter, options.scans),
        "robustness": lambda: robustness.tasks(segmenter, options.scans),
        "repeat": lambda: repeat.tasks(segmenter, options.scans),
        "user_scans": lambda: user_scans.tasks(segmenter, options.scans, options.pictures),
        "speed": lambda: speed.tasks(path),
    }
    for part in PARTS:
        if part in options.only:
            yield from of_parts[part]()


def write_page(results: Path, output: Path) -> None:
    """One section, whose title is the page's."""
    from sections import brain

    rivals = {path.stem.removeprefix(f"{results.stem}-").replace("-", " "): read(path) for path in sorted(results.parent.glob(f"{results.stem}-*.json"))}
    remarks = results.with_name(f"{results.stem}-remarks.md")
    told = remarks.read_text(encoding="utf-8").strip() if remarks.is_file() else ""
    section = brain.section(read(results), output.with_suffix(""), rivals, told)
    write_text(output, "\n\n".join([f"# {section.title}", section.summary, *section.blocks]) + "\n")
    print(f"written: {output}")


if __name__ == "__main__":
    main()

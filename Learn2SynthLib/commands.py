"""What each verb of the command line does. One function a verb; each returns an exit code."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from .config import RunConfig, build_config
from .console import Console, counted, scores
from .errors import InputError
from .files import try_place
from .labels import load_table
from .randomness import stream
from .resources import settled
from .run import Run
from .volume.checks import check_cohort
from .volume.cohort import Cohort, build_cohort, verify_files
from .volume.population import population_findings
from .volume.reports import Report, format_reports

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


def train(options: argparse.Namespace) -> int:
    """Checks everything, then trains; nothing is written before the checks have passed."""
    from .completing import completed, with_known_anatomy
    from .computer import keep_freed_memory
    from .learning.needs import check_needs, named_files
    from .learning.session import train_run
    from .segmentation.device import check_precision, choose_device

    run = Run(options.run)
    if not (run.exists() or options.labels or options.real):
        raise InputError(run.folder, "holds no run that could be resumed, and no data are given", remedy="check its name, or add --labels and --real")
    resumed = run.exists() and not (options.labels or options.real or options.validation or options.unlabelled)
    stored = Cohort.from_json(run.cohort(), run.folder) if run.exists() else None
    if stored and resumed:  # before its settings are read, which may name files that are gone
        verify_files(run.cohort(), run.folder, stored)
    pretrained = [f"network.pretrained={json.dumps(options.pretrained)}"] if options.pretrained else []
    config = build_config(
        options.preset or (str(run.config_path) if resumed else "quick-2d"),
        [*options.assignments, *pretrained],
        strategy=options.strategy,
        steps=options.steps,
        seed=options.seed,
        target=options.target,
        device=options.device,
    )
    check_precision(config.optimiser.precision, choose_device(config.device))
    cohort = stored if stored and resumed else with_known_anatomy(config, _cohort(options), run)
    check_needs(config, cohort, run.checkpoint_path.is_file())
    if not resumed:
        cohort = replace(cohort, files=named_files(config, cohort))
        if stored:
            verify_files(run.cohort(), run.folder, cohort)
    console = Console(options.json)
    if run.in_use():
        raise InputError(run.folder, f"is in use by {run.holder()}", remedy="stop that run first, or choose a new folder")
    run.check(config.to_json(), cohort.to_json())
    if not options.check:
        try_place(run.config_path)
        run.clear_stop()  # of the last time; from here on one is meant for this training
    reports = _refuse_bad_data(config, cohort, console) if options.check or not run.exists() else []
    if options.check:
        return DONE
    if run.status() == "finished":
        console.show(run.events()[-1])
        return DONE
    keep_freed_memory()
    cohort = completed(config, cohort, reports, run, console)
    try:
        last = train_run(config, cohort, run, console.show)
    except FloatingPointError:  # that it diverges has been told, with what to do
        return FAILED
    return DONE if last["event"] == "finished" else INTERRUPTED


def _cohort(options: argparse.Namespace) -> Cohort:
    real, validation = _scans("--real", options.real), _scans("--validation", options.validation)
    labels_ids, real_ids = (settled("Labels", ".json", table) for table in (options.labels_ids, options.real_ids))
    return build_cohort(options.labels, real, validation, options.unlabelled, labels_ids, real_ids)


def _scans(option: str, groups: Sequence[Sequence[str]]) -> list[Any]:
    """Each use of the option: one folder, or an image and its labels."""
    for group in groups:
        if len(group) > 2:
            raise InputError(option, f"{len(group)} paths in a row", "a folder, or an image and its labels", f"repeat {option} for every scan")
    return [group[0] if len(group) == 1 else tuple(group) for group in groups]


def _refuse_bad_data(config: RunConfig, cohort: Cohort, console: Console) -> list[Report]:
    """What the check found of every subject. Raises InputError when one cannot be used."""
    target = load_table(config.target)
    reports = check_cohort(cohort, target, console.checking)
    findings = population_findings(reports)
    console.report(format_reports(reports, findings), {"subjects": [r.to_json() for r in reports], "findings": [asdict(f) for f in findings]})
    bad = [report for report in reports if not report.ok]
    if bad:
        first = next(finding.message for finding in bad[0].findings if finding.level == "error")
        more = f" (and {len(bad) - 1} more, listed above)" if len(bad) > 1 else ""
        raise InputError(f"{bad[0].role} '{bad[0].name}'", f"{first}{more}", remedy="mend or leave out what the check refuses")
    return reports


def segment(options: argparse.Namespace) -> int:
    from .segmentation.segmenter import Segmenter, find_model
    from .segmenting import check_outputs, destinations, segment_images
    from .volume.files import read_grid

    places = destinations(options.images, options.output, options.probabilities)
    volumes = Path(options.volumes) if options.volumes else None
    for image in options.images:  # what cannot be read is told before hours of work, not after
        read_grid(image)
    check_outputs(places, volumes, [*options.images, find_model(options.model)])
    segmenter = Segmenter.load(options.model, options.device or "auto")
    segment_images(segmenter, places, volumes, options.flips, Console(options.json))
    return DONE


def evaluate(options: argparse.Namespace) -> int:
    from .segmentation.evaluation import evaluate_paths

    record = evaluate_paths(Path(options.prediction), Path(options.reference), options.prediction_ids, options.reference_ids)
    print(json.dumps(record, indent=1) if options.json else scores(record))
    return DONE


def preview(options: argparse.Namespace) -> int:
    from .learning.bundle import learned_synthesis, trained_by
    from .model import Model
    from .previewing import Recipe, files_of, make_previewer, write_previews
    from .segmentation.segmenter import find_model
    from .volume.files import keep_inputs

    if options.count < 1:
        raise InputError("--count", str(options.count), "at least 1")
    model = Model.read(find_model(options.model)) if options.model else None
    if model and (options.preset or options.assignments):
        raise InputError("--model", "together with --preset or --set", "one or the other", "a model brings its own configuration")
    config = RunConfig.from_json(trained_by(model, options.model), options.model) if model else build_config(options.preset or "quick-2d", options.assignments)
    learned = model is not None and bool(learned_synthesis(model))
    subjects = build_cohort(options.labels, labels_table=options.labels_ids).subjects
    shown = subjects if options.draw else stream(options.seed, "preview subjects").sample(subjects, min(options.count, len(subjects)))
    previewer = make_previewer(config, model, shown)
    if options.draw:
        recipes = [Recipe.read(Path(options.draw), previewer)]
    else:
        recipes = [previewer.recipe(options.seed, index, learned) for index in range(options.count)]
    outputs = [path for number, _ in enumerate(recipes, start=1) for path in files_of(number, Path(options.output))]
    keep_inputs(outputs, [*(subject.path for subject in subjects), *([options.draw] if options.draw else [])])
    written = write_previews(previewer, recipes, learned, Path(options.output))
    print(f"{counted(len(recipes), 'synthetic image')} in {options.output}; look at {written[-1]}")
    return DONE


def inspect(options: argparse.Namespace) -> int:
    from .story import tell

    print(tell(options.model))
    return DONE


def environment(options: argparse.Namespace) -> int:
    from .computer import describe_computer

    computer = describe_computer()
    print(json.dumps({"event": "environment", **computer.to_json()}) if options.json else computer.report())
    return DONE


def demo(options: argparse.Namespace) -> int:
    from .demo import run_demo

    run_demo(Path(options.output), options.device or "auto")
    return DONE

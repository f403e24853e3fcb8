"""Completing scans that are annotated in part: where a user delineated a few structures, the shipped model says what the rest of the brain is.

Without it nothing is known of all that lies about these structures: neither could its intensities be measured, nor an image of the head be rendered. The
segmentations never become targets, which are the user's labels alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .config import STRATEGIES, RunConfig
from .console import Console
from .doubt import probably_failed
from .resources import resource
from .run import Run
from .segmentation.segmenter import Segmenter
from .volume.cohort import Cohort, Subject, file_digest
from .volume.files import read_image, write_label_map
from .volume.population import in_part
from .volume.reports import Report

MODEL = "brain"  # a shipped one, whose labels are numbered as in ANATOMY_TABLE


def with_known_anatomy(config: RunConfig, cohort: Cohort, run: Run) -> Cohort:
    """The cohort with the segmentations that the run's folder holds already: of the same images, whatever their paths."""
    if not (_is_of_use(config) and run.anatomy.is_dir()):
        return cohort
    return _with_anatomy(cohort, [subject for subject in cohort.of("real") if _place(subject, run).is_file()], run)


def completed(config: RunConfig, cohort: Cohort, reports: Sequence[Report], run: Run, console: Console) -> Cohort:
    """The cohort with segmentations, made now, of all real scans that its check found to be annotated in part; without those that probably failed.

    Raises KeyboardInterrupt between two scans when a stop is requested; what is segmented by then is kept.
    """
    names = {report.name for report in in_part(reports)} if _is_of_use(config) else set()
    wanted = [subject for subject in cohort.of("real") if subject.name in names and subject.anatomy is None]
    if not wanted:
        return cohort
    segmenter, taken = Segmenter.load(resource("Models", f"{MODEL}.l2s"), config.device), []  # not what is called so where we are
    for done, subject in enumerate(wanted):
        if run.stop_requested():
            run.clear_stop()
            raise KeyboardInterrupt
        run.append("completing", done=done, count=len(wanted))
        if _segmented(subject, segmenter, run, console):
            taken.append(subject)
    return _with_anatomy(cohort, taken, run)


def _is_of_use(config: RunConfig) -> bool:
    """Whether the strategy renders label maps, those of real scans too."""
    return config.synthesis.complete and "label_map" in STRATEGIES[config.strategy].needs


def _segmented(subject: Subject, segmenter: Segmenter, run: Run, console: Console) -> bool:
    assert subject.image is not None, "a real scan has an image"
    with console.segmenting(str(subject.image)) as progress:
        result = segmenter.segment(read_image(subject.image), progress=progress)
    if probably_failed(result.quality):
        console.refused(str(subject.image), f"'{MODEL}' probably failed: what has no label stays unknown")
        return False
    write_label_map(result.labels, _place(subject, run), result.table)
    return True


def _place(subject: Subject, run: Run) -> Path:
    assert subject.image is not None, "a real scan has an image"
    return Path(run.anatomy) / f"{subject.name}_{file_digest(subject.image)[:8]}.nii.gz"


def _with_anatomy(cohort: Cohort, segmented: Sequence[Subject], run: Run) -> Cohort:
    subjects = [replace(subject, anatomy=Path(os.path.abspath(_place(subject, run)))) if subject in segmented else subject for subject in cohort.subjects]
    return replace(cohort, subjects=tuple(subjects))

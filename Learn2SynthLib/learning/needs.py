"""Whether all is there that a configuration asks for, told before anything is trained; and which scans learn, are rendered, or measure."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from statistics import median

import torch

from ..config import ANY_CONTRAST, MEASURED, PRIOR, RunConfig
from ..config import STRATEGIES as FACTS
from ..errors import InputError
from ..labels import is_brain, load_table
from ..resources import names
from ..segmentation.pretrained import Pretrained
from ..segmentation.segmenter import find_model
from ..synthesis.classes import TissueClasses
from ..synthesis.contrast import check_contrast
from ..volume.cohort import Cohort, Subject, by_person
from ..volume.population import USUAL_MM3, annotated_in_part
from .bundle import take_synthesis
from .data import Example, preparation_for, tissue_classes
from .factory import make_network, make_synthesizer
from .strategies import STRATEGIES

_HUBS = ("freesurfer", "neuromorphometrics", "muse")  # a table of contrast may name tissues that these label maps lack


def check_needs(config: RunConfig, cohort: Cohort, begun: bool = False) -> None:
    """Raises InputError when a role that the strategy needs is empty, or a file that the configuration names is not what it should be.

    begun: whether there is a checkpoint; it holds what was made of pretrained weights, and their file may be gone.
    """
    words = {
        "label_map": ("label maps", "--labels PATH"),
        "real": ("annotated real scans", "--real DIR or --real IMAGE LABELS"),
        "unlabelled": ("unlabelled scans", "--unlabelled IMAGE"),
    }
    for role in FACTS[config.strategy].needs:
        if not _given(role, config, cohort):
            noun, option = words[role]
            raise InputError(f"strategy '{config.strategy}'", f"no {noun} given", remedy=f"add {option}, or choose another strategy")
    STRATEGIES[config.strategy].check(config, len(split_real(config, cohort)[0]), _given("label_map", config, cohort))
    _check_flips(config)
    preparation = preparation_for(config, cohort.tables)
    check_contrast(config.synthesis.contrast, {*preparation.classes.names, *tissue_classes(_HUBS).names})
    if _begins_with_a_model(config):
        take_synthesis(make_synthesizer(config, preparation), config.learn2synth.begin)
    if config.network.pretrained and not begun:
        with torch.device("meta"):  # shapes are enough
            network = make_network(config, len(preparation.target.labels))
        Pretrained.read(config.network.pretrained).fitting(network, preparation.target)


def _check_flips(config: RunConfig) -> None:
    """Raises InputError where flips would leave labels of the target on the wrong side."""
    search = {"policy_search": config.policy_search.search, "learn2synth": config.learn2synth.search}.get(config.strategy, ())
    searched = "flip" in search
    if searched or config.synthesis.flip > 0:
        load_table(config.target).check_flips("choose a strategy that does not search flips" if searched else "set synthesis.flip=0")


def _begins_with_a_model(config: RunConfig) -> bool:
    return config.strategy == "learn2synth" and config.learn2synth.begin not in (MEASURED, PRIOR)


def named_files(config: RunConfig, cohort: Cohort) -> tuple[Path, ...]:
    """The user's own files that decide a run beside its scans: label tables, a table of contrast, a model whose synthesis is used again.

    Raises InputError where there is no such model.
    """
    named = {config.target, *(subject.table for subject in cohort.subjects)} - set(names("Labels", ".json"))
    named |= {config.synthesis.contrast} - {ANY_CONTRAST, *names("Contrasts", ".json")}
    if _begins_with_a_model(config):
        named.add(str(find_model(config.learn2synth.begin)))
    return tuple(Path(os.path.abspath(name)) for name in sorted(named) if os.path.isfile(name))


def _given(role: str, config: RunConfig, cohort: Cohort) -> bool:
    """Whether somebody plays that role; the label maps of real scans are label maps too, unless they are kept out."""
    return bool(cohort.of(role)) or (role == "label_map" and config.synthesis.real_label_maps and bool(cohort.of("real")))


def split_real(config: RunConfig, cohort: Cohort) -> tuple[list[Subject], list[Subject], bool]:
    """Real scans to learn from, scans to validate on, and whether the two are independent.

    Without validation scans, all scans of a quarter of the people are held out once there are three; with fewer, the same scans serve both.
    """
    real, scans = list(cohort.of("real")), list(cohort.of("validation"))
    if scans:
        return real, scans, True
    if "real" not in FACTS[config.strategy].needs:
        return real, real, not config.synthesis.real_label_maps
    people = by_person(real)
    held = len(people) // 4 or (1 if len(people) >= 3 else 0)
    return ([*chain(*people[:-held])], [*chain(*people[-held:])], True) if held else (real, real, False)


def with_partial_marked(scans: Sequence[Example], maps: Sequence[Example], tissue: TissueClasses) -> list[Example]:
    """The same scans, marked as `partial` whose labels leave out much of the brain."""
    expected = median(_brain_mm3(each, tissue) for each in maps) if maps else USUAL_MM3
    return [replace(scan, partial=annotated_in_part(_brain_mm3(scan, tissue), math.prod(scan.grid.shape) * scan.grid.voxel_mm3, expected)) for scan in scans]


def _brain_mm3(example: Example, tissue: TissueClasses) -> float:
    counts = torch.bincount(example.classes.flatten(), minlength=len(tissue.names)).tolist()
    return sum(count for name, count in zip(tissue.names, counts, strict=True) if is_brain(name)) * example.grid.voxel_mm3


def synthesis_pool(config: RunConfig, maps: Sequence[Example], real: Sequence[Example]) -> list[Example]:
    """The examples to synthesise from: the label maps, and those of the real scans as often as `synthesis.real_share` asks, at least once each.

    Contrast can be learned, anatomy and pose cannot: few real scans among many label maps would teach the synthesis to make up for
    heads that it never renders. Scans that are annotated in part are left out: what has no label would be rendered as if it were air.
    """
    whole = [scan for scan in real if not scan.partial] or ([] if maps else list(real))  # better such images than none
    if not config.synthesis.real_label_maps or not whole:
        return list(maps)
    share = config.synthesis.real_share
    return [*maps, *whole * max(1, round(share / (1 - share) * len(maps) / len(whole)))]

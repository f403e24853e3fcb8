"""The story of a run or a model in one screen: what it is, what it learned from, how well it does."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .config import RunConfig
from .console import begun_with
from .learned import interval, learned_ranges
from .model import Model
from .run import Run
from .segmentation.segmenter import find_model

_ROLES = {  # one, several
    "label_map": ("label map", "label maps"),
    "real": ("annotated scan", "annotated scans"),
    "validation": ("scan that only measured", "scans that only measured"),
    "unlabelled": ("scan without labels", "scans without labels"),
}
_MOVED = 0.005  # of the bounds' width: two figures behind the point show it


def tell(name: str) -> str:
    """Raises InputError when there is neither a run nor a model of that name."""
    run = Run(name)
    if run.exists() and not run.model_path.is_file():
        return "\n".join(_run_lines(run))
    path = find_model(name)
    card = Model.read(path).card
    again = [f"preset    train by what was learned, without learning it again: --preset {path}"] if card.get("preset") else []
    return "\n".join([*(_run_lines(run) if run.exists() else ()), *_model_lines(card), *again])


def _run_lines(run: Run) -> list[str]:
    config, events = RunConfig.from_json(run.config(), str(run.config_path)), run.events()
    step = max((event.get("step", 0) for event in events), default=0)
    lines = [f"run       {run.folder}: {run.status()}, step {step} of {config.steps}"]
    failed = [event for event in events[-1:] if event["event"] == "failed"]
    lines += [f"          {event['error']}: {event['message']}; {event['advice']}" for event in failed]
    scores = [(event["step"], event["dice"]["mean"]) for event in events if event["event"] == "validated"]
    if scores:
        lines.append("Dice      " + ", ".join(f"{score:.3f} at {at}" for at, score in scores[-6:]))
    return lines


def _model_lines(card: dict[str, Any]) -> list[str]:
    provenance = card.get("provenance") or {}
    config = provenance.get("config") or {}
    by = f"{config.get('strategy', '?')}, step {provenance.get('step', '?')}, seed {config.get('seed', '?')}"
    spacing = " x ".join(f"{s:g}" for s in card["spacing_mm"])
    labels = [f"{label['value']} {label['name']}" for label in card["labels"]["labels"] if label["value"]]
    lines = [
        f"model     {card.get('name')}: {card['network']['name']} of {card['ndim']} dimensions, {spacing} mm, features {card['network']['features']}",
        f"labels    {len(labels)} of '{card['labels']['name']}': {', '.join(labels)}",
        f"made by   learn2synth {provenance.get('learn2synth', '?')}: {by}",
        *([f"begun     {begun_with(provenance['pretrained'])}"] if provenance.get("pretrained") else []),
        f"data      {_data(provenance.get('data') or [])}",
        f"licence   {card.get('licence')}",
    ]
    return [*lines, *_validation(card.get("validation")), *_learned(card.get("learned") or {})]


def _data(subjects: list[dict[str, Any]]) -> str:
    taught = {subject.get("image") for subject in subjects if subject["role"] == "real"}
    counts = Counter(subject["role"] for subject in subjects if subject["role"] != "validation" or subject.get("image") not in taught)
    return ", ".join(f"{count} {_ROLES.get(role, (role, role))[count > 1]}" for role, count in counts.items()) or "not recorded"


def _validation(validation: dict[str, Any] | None) -> list[str]:
    if not validation:
        return ["Dice      not validated"]
    scores = "".join(f"\n          {name:<28} {value:.3f}" for name, value in validation["dice"].items())
    return [f"Dice      {validation['note']}{scores}"]


def _learned(learned: dict[str, dict[str, float]]) -> list[str]:
    now, before = ({name: entry[when] for name, entry in learned.items()} for when in ("learned", "prior"))
    ranges = learned_ranges(now, before)
    moved = [r for r in ranges if r.change >= _MOVED]
    width = max((len(r.title) for r in moved), default=0)
    rows = [f"          {r.title:<{width}} {interval(r.learned, r.unit):<20} prior {interval(r.prior, r.unit)}" for r in moved]
    rows += [f"          {len(ranges) - len(moved)} others as in the prior"] if len(moved) < len(ranges) else []
    return ["learned   synthesis parameters, drawn between two ends", *rows] if rows else []

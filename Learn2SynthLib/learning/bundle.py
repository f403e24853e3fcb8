"""From a training to a model bundle: the weights and their story."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from .. import __version__
from ..config import RunConfig, SynthesisConfig
from ..errors import InputError
from ..model import SCHEMA, SYNTHESIS, Model
from ..segmentation.segmenter import find_model
from ..settings import from_json
from ..synthesis import contrast
from ..synthesis.synthesizer import Synthesizer
from ..volume.cohort import FILES
from ..volume.intensity import HIGH, LOW
from .policy import as_settings
from .strategy import Strategy
from .usual import usual_intensity, usual_mm3

CITATION = (
    "Hu X, Zeng X, Puonti O, Iglesias JE, Fischl B, Balbastre Y. "
    "Learn2Synth: learning optimal data synthesis using hypergradients for brain image segmentation. ICCV 2025."
)


def make_model(
    strategy: Strategy, cohort: dict[str, Any], validation: dict[str, Any] | None, step: int, pretrained: dict[str, Any] | None = None
) -> Model:
    """The bundle of the strategy's network as it is now; `validation`: its last `validated` event, `pretrained`: what its weights began with, if any."""
    task, config = strategy.task, strategy.task.config
    tensors = task.network.state_dict() | {f"{SYNTHESIS}{name}": tensor for name, tensor in strategy.synthesis_state().items()}
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    card = {
        "schema": SCHEMA,
        "name": f"{config.strategy} {config.ndim}D",
        "ndim": config.ndim,
        "network": {"name": config.trained_network.name, "features": list(config.trained_network.features)},
        "labels": task.target.to_json(),
        "spacing_mm": list(config.grid.spacing_mm),
        "orientation": "RAS",
        "shape": list(config.grid.shape),
        "intensity": {"rule": "percentiles", "low": LOW, "high": HIGH},
        "usual_mm3": usual_mm3([*task.label_maps, *task.real], task.target),
        "usual_intensity": usual_intensity(strategy.familiar, task.target),
        "validation": validation,
        "tissue_classes": list(task.synthesizer.classes.names),
        "learned": {name: {"learned": value, "prior": strategy.prior().get(name)} for name, value in strategy.learned().items()},
        "preset": strategy.preset(),
        "provenance": {"learn2synth": __version__, "step": step, "config": _told(config), "data": _data(cohort), "pretrained": pretrained},
        "licence": "that of the training data",
        "citation": CITATION,
    }
    return Model(card, safetensors.torch.save(weights))


def _told(config: RunConfig) -> dict[str, Any]:
    """The configuration; of files that it names only the names: models are shared, and where their maker keeps files is nobody's business.

    A table of contrast is told whole, for the prior is drawn by it; the target's labels have their own place in the card.
    """
    told = config.to_json()
    for record, key in ((told, "target"), (told["network"], "pretrained"), (told["learn2synth"], "begin")):
        record[key] = Path(record[key]).name
    told["synthesis"]["contrast"] = contrast.told(config.synthesis.contrast)
    return told


def learned_synthesis(model: Model) -> dict[str, Tensor]:
    """The state of the synthesizer that the model was trained by."""
    weights = safetensors.torch.load(model.weights)
    return {name.removeprefix(SYNTHESIS): weight for name, weight in weights.items() if name.startswith(SYNTHESIS)}


def take_synthesis(synthesizer: Synthesizer, name: str) -> None:
    """Gives `synthesizer` the learned synthesis of a model: a file, the best one of a run, or a shipped one.

    Raises InputError when there is none, or when it was learned for other tissue classes or other parameters.
    """
    model = Model.read(find_model(name))
    learned, wanted = learned_synthesis(model), synthesizer.state_dict()
    same_classes = model.card.get("tissue_classes") == list(synthesizer.classes.names)
    if not same_classes or {n: w.shape for n, w in learned.items()} != {n: w.shape for n, w in wanted.items()}:
        raise InputError(
            name, "has learned another synthesis than this run's", "the same tissue classes and learned parameters", "train with its settings and tables"
        )
    synthesizer.load_state_dict(learned)
    take_policy(synthesizer, model)


def trained_by(model: Model, where: object) -> dict[str, Any]:
    """The configuration of the model's training. Raises InputError where the model does not say; `where` names it."""
    config = (model.card.get("provenance") or {}).get("config")
    if not config or "tissue_classes" not in model.card:
        raise InputError(where, "does not say how it was trained", "a model as learn2synth wrote it")
    return config


def take_policy(synthesizer: Synthesizer, model: Model) -> None:
    """Gives learned draws what the model's training has searched, as its expected policy; nothing where it searched nothing.

    Where flips are forbidden they stay so: the target may have a structure of one side without partner.
    """
    learned = as_settings({name: entry["learned"] for name, entry in (model.card.get("learned") or {}).items()})
    kept = {*synthesizer.ranges.ends, *(["flip"] if synthesizer.ranges.config.flip == 0 else [])}
    searched = {name: value for name, value in learned.items() if name not in kept}
    checked = from_json(SynthesisConfig, searched, "what the model has learned")
    synthesizer.ranges.adopt({name: getattr(checked, name) for name in searched})


def _data(cohort: dict[str, Any]) -> list[dict[str, Any]]:
    """What was trained on, by name and checksum: a model that is passed on carries no paths of the machine it was made on."""
    return [_told_subject(subject) for subject in cohort.get("subjects", [])]


def _told_subject(subject: dict[str, Any]) -> dict[str, Any]:
    files = {kind: subject[kind]["sha256"] for kind in FILES if subject.get(kind)}
    return subject | files | {"table": Path(subject["table"]).name}

"""What a bundle says of its network, checked at the door: shapes, names and numbers before any of them is used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ..config import NetworkConfig
from ..errors import InputError
from ..labels import LabelTable, load_table
from ..model import SYNTHESIS, Model
from ..settings import from_json
from .networks import build_network
from .quality import Usual

_BROKEN = "export or copy the model again"


@dataclass(frozen=True)
class NetworkCard:
    """How a network wants its images, and what its outputs mean.

    table: its k-th row is the network's class k. spacing_mm: voxel size along right, anterior, superior. window: voxels along
    x, y, z, or x, y for a network of axial slices. percentiles: of the intensities, moved to 0 and 1. usual: what it knows
    of its structures.
    """

    name: str
    network: NetworkConfig
    table: LabelTable
    spacing_mm: tuple[float, float, float]
    window: tuple[int, ...]
    percentiles: tuple[float, float]
    usual: Usual = field(default_factory=Usual)

    @property
    def background(self) -> int:
        """The class whose label has value 0."""
        return self.table.values.index(0)

    @property
    def mirror(self) -> tuple[int, ...]:
        """Class k of an image is class mirror[k] of its left/right flip."""
        mirrored, values = self.table.mirrored(), self.table.values
        return tuple(values.index(mirrored[value]) for value in values)

    @property
    def compact(self) -> tuple[int, ...]:
        """Classes of brain structures of one side: each is one piece, or pieces nearby. Lesions are not, nor are structures of both sides."""
        known = {label.freesurfer[0] for label in load_table("brain-sided").foreground if label.side != "both"}
        return tuple(k for k, label in enumerate(self.table.labels) if label.side != "both" and known.intersection(label.freesurfer[:1]))


def read_card(model: Model, where: object) -> NetworkCard:
    """Raises InputError, naming the key, for a card that no network can follow."""
    card = model.card
    ndim = card["ndim"]
    if ndim not in (2, 3):
        raise InputError(where, f"ndim {ndim!r}", "2 or 3", _BROKEN)
    if card["orientation"] != "RAS":
        raise InputError(where, f"orientation {card['orientation']!r}", "RAS", _BROKEN)
    network = from_json(NetworkConfig, card["network"], f"{where}, network")
    table = LabelTable.from_json(card["labels"], f"{where}, labels")
    spacing = _numbers(card["spacing_mm"], 3, f"{where}, spacing_mm", 0.05, 50)
    window = tuple(int(size) for size in _numbers(card["shape"], ndim, f"{where}, shape", 1, 4096))
    percentiles = _percentiles(card["intensity"], where)
    return NetworkCard(str(card.get("name", "")), network, table, spacing, window, percentiles, _usual(card, where))  # type: ignore[arg-type]


def read_network(model: Model, card: NetworkCard, where: object) -> nn.Module:
    """The network with its weights, float32, on the CPU, in evaluation mode.

    Raises InputError for weights that are corrupt, not finite, or another network's.
    """
    with torch.device("meta"):  # shapes without numbers: nothing is drawn at random only to be overwritten
        network = build_network(card.network, len(card.window), 1, len(card.table.labels))
    divisor = card.network.divisor
    if any(size % divisor for size in card.window):
        raise InputError(f"{where}, shape", f"{list(card.window)}", f"multiples of {divisor}", _BROKEN)
    weights = _weights(model.weights, where)
    _check_weights(network.state_dict(), weights, where)
    network.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, assign=True)
    return network.eval().requires_grad_(False)


def _weights(content: bytes, where: object) -> dict[str, Tensor]:
    """The network's own; the learned synthesis, which may travel along, is left out."""
    try:
        weights = safetensors.torch.load(content)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(where, f"weights.safetensors is corrupt ({error})", remedy=_BROKEN) from error
    return {name: weight for name, weight in weights.items() if not name.startswith(SYNTHESIS)}


def _check_weights(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], where: object) -> None:
    """Same names, same shapes, finite numbers; the first fault of each kind is named."""
    for kind, names in (("lack", expected.keys() - found.keys()), ("have an unknown", found.keys() - expected.keys())):
        if names:
            fault = f"the weights {kind} '{min(names)}' ({len(names)} in all)"
            raise InputError(where, fault, "those of the network in model.json", _BROKEN)
    for name, tensor in found.items():
        shape = tuple(expected[name].shape)
        if tuple(tensor.shape) != shape:
            raise InputError(where, f"the weights '{name}' have shape {tuple(tensor.shape)}", f"{shape} by model.json", _BROKEN)
        if not torch.isfinite(tensor).all():
            raise InputError(where, f"the weights '{name}' are not finite", "finite numbers", _BROKEN)


def _usual(card: Mapping[str, Any], where: object) -> Usual:
    """Models made before there were any have none."""
    return Usual(*(_by_name(card.get(key, {}), f"{where}, {key}", high) for key, high in (("usual_mm3", 1e9), ("usual_intensity", 1))))


def _by_name(values: Any, where: str, high: float) -> dict[str, float]:
    if not isinstance(values, Mapping):
        raise InputError(where, f"{values!r} is not an object", "numbers by name", _BROKEN)
    return dict(zip(values, _numbers(list(values.values()), len(values), where, 0, high)))


def _percentiles(rule: Any, where: object) -> tuple[float, float]:
    if not isinstance(rule, Mapping) or rule.get("rule") != "percentiles":
        example = '{"rule": "percentiles", "low": 0.5, "high": 99.5}'
        raise InputError(f"{where}, intensity", f"{rule!r}", example, "update Learn2Synth to use this model")
    low, high = _numbers([rule.get("low"), rule.get("high")], 2, f"{where}, intensity", 0, 100)
    if low >= high:
        raise InputError(f"{where}, intensity", f"low {low:g} and high {high:g}", "low below high", _BROKEN)
    return low, high


def _numbers(values: Any, count: int, where: str, low: float, high: float) -> tuple[float, ...]:
    right = isinstance(values, (list, tuple)) and len(values) == count
    if not right or not all(isinstance(v, (int, float)) and math.isfinite(v) and low <= v <= high for v in values):
        raise InputError(where, f"{values!r}", f"{count} numbers from {low:g} to {high:g}", _BROKEN)
    return tuple(float(value) for value in values)

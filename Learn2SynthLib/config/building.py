"""Configurations from presets, files and what is set by hand.

Defaults live in the records, presets under Resources/Presets/ state only what differs, `--set KEY=VALUE` comes last.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..errors import InputError, nearest
from ..model import Model
from ..resources import read_named, settled
from ..settings import describe, from_json
from .run import RunConfig
from .strategies import MEASURED, PRIOR
from .synthesis import ANY_CONTRAST

# Settings that may name a file, and where those that come with the package lie.
_FILES = {
    "target": ("Labels", ".json"),
    "synthesis.contrast": ("Contrasts", ".json"),
    "network.pretrained": ("Models", ".l2s"),
    "learn2synth.begin": ("Models", ".l2s"),
}


def build_config(preset: str = "quick-2d", assignments: Iterable[str] = (), **overrides: Any) -> RunConfig:
    """A configuration: defaults, then a preset (name or JSON file), then `overrides` of top-level keys, then KEY=VALUE texts."""
    values = read_preset(preset)
    for key in _FILES:
        _settle(values, key)
    for key, value in overrides.items():
        if value is not None:
            values[key] = _settled(key, value)
    for assignment in assignments:
        _assign(values, assignment)
    return RunConfig.from_json(values, "configuration")


def read_preset(name_or_path: str) -> dict[str, Any]:
    """The settings of a preset by name, of a JSON file (a run's config.json will do), or of a model that has learned some (`policy_search`)."""
    if name_or_path.endswith(".l2s"):
        values, where = _learned_preset(Model.read(name_or_path), name_or_path), name_or_path
    else:
        values, path = read_named("Presets", name_or_path, "--preset")
        where = str(path)
    from_json(RunConfig, values, where)
    return values


def _learned_preset(model: Model, where: str) -> dict[str, Any]:
    """The settings of the model's own run, with those in their place that it has learned; neither the weights that it began with nor its device."""
    learned, told = model.card.get("preset"), (model.card.get("provenance") or {}).get("config") or {}
    if not isinstance(learned, dict) or "synthesis" not in learned:
        raise InputError(where, "has learned no settings", "a model of policy_search", "use again what another strategy has learned with learn2synth.begin")
    network = {key: value for key, value in told.get("network", {}).items() if key != "pretrained"}
    own = {key: value for key, value in told.items() if key != "device"} | {"network": network}
    return own | learned | {"synthesis": told.get("synthesis", {}) | learned["synthesis"]}


def explain_settings() -> str:
    """One line per setting: key, default, meaning."""
    rows = [(key, json.dumps(default), meaning) for key, default, meaning in describe(RunConfig)]
    width = max(len(key) for key, _, _ in rows)
    return "\n".join(f"  {key:<{width}}  {default}  {meaning}" for key, default, meaning in rows)


def _assign(values: dict[str, Any], assignment: str) -> None:
    """Puts the text KEY=VALUE into nested `values`; VALUE is JSON, or a bare word, or words separated by commas."""
    key, separator, text = assignment.partition("=")
    if not separator or not key:
        raise InputError("--set", f"'{assignment}'", "KEY=VALUE, for example optimiser.lr=1e-3")
    *parents, last = key.split(".")
    _check_key(key)
    for parent in parents:
        values = values.setdefault(parent, {})
    values[last] = _settled(key, _parse(text))


def _settle(values: dict[str, Any], key: str) -> None:
    """Settles what nested `values` have under that key."""
    *parents, last = key.split(".")
    for parent in parents:
        values = values.get(parent, {})
    if last in values:
        values[last] = _settled(key, values[last])


def _settled(key: str, value: Any) -> Any:
    """A setting as it was given, but that a path is absolute: a run may be resumed from another folder."""
    is_word = key not in _FILES or not isinstance(value, str) or value in (ANY_CONTRAST, MEASURED, PRIOR)
    return value if is_word else settled(*_FILES[key], value)


def _check_key(key: str) -> None:
    known = [name for name, _, _ in describe(RunConfig)]
    if key not in known:
        raise InputError("--set", f"unknown key '{key}'", remedy=nearest(key, known))


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return [_parse(part) for part in text.split(",")] if "," in text else text

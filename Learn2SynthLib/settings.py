"""Records of settings: dataclasses whose fields carry their meaning, unit and limits, read strictly from JSON.

One mechanism serves configuration files, presets, `--set KEY=VALUE` and the help text, so each limit is written once.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from .errors import InputError, nearest

Record = TypeVar("Record")


def setting(default: Any, meaning: str, **limits: Any) -> Any:
    """A dataclass field. limits: unit (text), choices (tuple), low and high (inclusive), sizes (allowed lengths of a tuple)."""
    return dataclasses.field(default=default, metadata={"meaning": meaning, **limits})


def record_setting(kind: type) -> Any:
    """A dataclass field that is itself a record of settings."""
    return dataclasses.field(default_factory=kind)


def from_json(kind: type[Record], values: Any, where: str) -> Record:
    """A record of `kind`: `values` over the defaults.

    Raises InputError for an unknown key (naming the nearest), a wrong type, a value outside its limits, and what the record itself refuses.
    """
    if not isinstance(values, Mapping):
        raise InputError(where, f"{values!r} is not an object", "an object of settings")
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    changes = {}
    for key, value in values.items():
        if key not in fields:
            raise InputError(where, f"unknown key '{key}'", remedy=nearest(str(key), fields))
        changes[key] = _convert(value, hints[key], fields[key].metadata, f"{where}, {key}")
    try:
        return kind(**changes)
    except InputError as error:
        raise InputError(f"{where}, {error.where}", error.found, error.allowed, error.remedy) from error


def to_json(record: Any) -> dict[str, Any]:
    """Every setting, defaults written out, as plain JSON values."""
    return json.loads(json.dumps(dataclasses.asdict(record)))


def describe(kind: type, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """(dotted key, default, meaning with unit and limits) of every setting, records flattened."""
    hints, defaults = get_type_hints(kind), kind()
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from describe(hints[field.name], f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, getattr(defaults, field.name), _meaning(field.metadata)


def _meaning(metadata: Mapping[str, Any]) -> str:
    unit = f" [{metadata['unit']}]" if "unit" in metadata else ""
    choices = f" ({', '.join(map(str, metadata['choices']))})" if "choices" in metadata else ""
    return f"{metadata['meaning']}{unit}{choices}"


def _convert(value: Any, kind: Any, limits: Mapping[str, Any], where: str) -> Any:
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return from_json(kind, value, where)
    if get_origin(kind) is tuple:
        return _convert_tuple(value, get_args(kind)[0], limits, where)
    return _convert_scalar(value, kind, limits, where)


def _convert_tuple(value: Any, kind: Any, limits: Mapping[str, Any], where: str) -> tuple[Any, ...]:
    items = value if isinstance(value, (list, tuple)) else [value]
    sizes = limits.get("sizes")
    if sizes and len(items) not in sizes:
        raise InputError(where, f"{len(items)} values", f"{' or '.join(map(str, sizes))} values")
    converted = tuple(_convert_scalar(item, kind, limits, where) for item in items)
    if limits.get("interval") and converted[0] > converted[1]:
        raise InputError(where, f"{list(converted)} runs backwards", "[low, high] with low <= high")
    return converted


def _convert_scalar(value: Any, kind: Any, limits: Mapping[str, Any], where: str) -> Any:
    accepted = {float: (int, float), int: (int,), bool: (bool,), str: (str,)}[kind]
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)  # 1e3
    endless = isinstance(value, (int, float)) and not abs(value) <= sys.float_info.max  # nor NaN
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool) or endless:
        words = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
        raise InputError(where, f"{json.dumps(value)}", words[kind])
    if "choices" in limits and value not in limits["choices"]:
        raise InputError(where, f"'{value}'", ", ".join(map(str, limits["choices"])), nearest(str(value), map(str, limits["choices"])))
    low, high = limits.get("low"), limits.get("high")
    if (low is not None and value < low) or (high is not None and value > high):
        raise InputError(where, str(value), f"from {low} to {high}" if None not in (low, high) else f"at least {low}" if high is None else f"at most {high}")
    return kind(value)

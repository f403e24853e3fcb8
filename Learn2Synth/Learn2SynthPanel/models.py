"""Models that the user can choose from, and what each of them is, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.files import is_there
from Learn2SynthLib.learned import interval, learned_ranges
from Learn2SynthLib.model import Model
from Learn2SynthLib.resources import names, resource

from .translation import tr as _


def shipped() -> list[str]:
    """Names of the models that come with the extension."""
    return names("Models", ".l2s")


def offered() -> list[str]:
    """Those of them that are made for users: one whose name ends in -tiny is for tests."""
    return [name for name in shipped() if not name.endswith("-tiny")]


def bundle_of(model: str) -> Path:
    """The file of a shipped model's name, of a run folder, or of a bundle. Raises InputError when there is none."""
    named = resource("Models", f"{model}.l2s") if model in shipped() else Path(model)
    path = next(filter(is_there, (named, named / "best.l2s")), None) if model else None
    if path is None:
        remedy = _("choose another model, import one, or train one")
        raise InputError(model or _("model"), _("there is no such model") if model else _("no model is chosen"), remedy=remedy)
    return path


def title(model: str) -> str:
    """A short name for a list: a shipped model's name, a file's, or a run folder's."""
    path = Path(model)
    return path.parent.name if path.name == "best.l2s" else path.stem if path.suffix == ".l2s" else path.name


def summary(card: dict[str, Any]) -> str:
    """One line: how many structures, dimensions, how well it does, licence."""
    structures = sum(1 for label in card["labels"]["labels"] if label["value"])
    spacing = " x ".join(f"{s:g}" for s in card["spacing_mm"])
    parts = [_("{count} structures").format(count=structures), _("{ndim}D network, {spacing} mm").format(ndim=card["ndim"], spacing=spacing)]
    validation = card.get("validation")
    parts.append(_("mean Dice {dice:.2f}, {note}").format(dice=validation["dice"]["mean"], note=validation["note"]) if validation else _("not validated"))
    return "; ".join(parts)


def read_card(model: str) -> dict[str, Any]:
    """The card of a model. Raises InputError when it is missing, damaged or too new."""
    path = bundle_of(model)
    state = path.stat()
    return _card(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _card(path: Path, _changed_ns: int, _size: int) -> dict[str, Any]:
    """The sections ask after every click, and to unpack the weights, to see that they are whole, takes a while."""
    return Model.read(path).card


def card_html(card: dict[str, Any]) -> str:
    """The whole card for a text view."""
    facts = {_("Model"): str(card.get("name", "")), _("In short"): summary(card), **_provenance(card.get("provenance") or {})}
    facts |= {_("Licence"): str(card.get("licence", _("none given"))), _("Please cite"): str(card.get("citation", ""))}
    sections = [_table([(name, fact) for name, fact in facts.items() if fact])]
    if card.get("validation"):
        rows = [(name, f"{value:.3f}") for name, value in card["validation"]["dice"].items()]
        sections.append(_heading(_("Dice on real scans")) + _table(rows))
    learned = card.get("learned") or {}
    after, before = ({name: entry[when] for name, entry in learned.items()} for when in ("learned", "prior"))
    ranges = [(r.title, interval(r.learned, r.unit), _("was {range}").format(range=interval(r.prior, r.unit))) for r in learned_ranges(after, before)]
    if ranges:
        sections.append(_heading(_("Learned synthesis")) + _table(ranges))
    return "".join(sections)


def _provenance(provenance: dict[str, Any]) -> dict[str, str]:
    config, data = provenance.get("config") or {}, provenance.get("data") or []
    words = {"label_map": _("label maps"), "real": _("annotated scans"), "validation": _("scans to measure on"), "unlabelled": _("scans without labels")}
    roles = Counter(words.get(subject["role"], subject["role"]) for subject in data)
    made = _("Learn2Synth {version}, strategy {strategy}, step {step}").format(
        version=provenance.get("learn2synth", "?"), strategy=config.get("strategy", "?"), step=provenance.get("step", "?")
    )
    begun = (provenance.get("pretrained") or {}).get("file", "")
    return {_("Made by"): made, _("Begun with"): begun, _("Data"): ", ".join(f"{count} {role}" for role, count in roles.items())}


def _heading(text: str) -> str:
    return f"<p><b>{escape(text)}</b></p>"


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    cells = ("".join(f"<td style='padding-right: 12px'>{escape(cell)}</td>" for cell in row) for row in rows)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"

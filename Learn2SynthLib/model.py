"""A model bundle: one `.l2s` file that holds a trained network and its story, and never executes anything when read."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InputError
from .files import ODD_NAMES, is_there, written_aside
from .labels import LabelTable

SCHEMA = 1
SYNTHESIS = "synthesis."  # begins the names of the weights that are the learned synthesis's, not the network's
_CARD, _WEIGHTS = "model.json", "weights.safetensors"
_MOST_BYTES = {_CARD: 2**24, _WEIGHTS: 2**31}  # more than any model needs
_REQUIRED = ("schema", "ndim", "network", "labels", "spacing_mm", "orientation", "shape", "intensity")


@dataclass(frozen=True)
class Model:
    """card: what `model.json` holds (schema, name, ndim, network, labels, spacing_mm, orientation, shape, intensity, usual_mm3, usual_intensity,
    validation, learned synthesis against its prior, preset, provenance, licence, citation). weights: the bytes of a safetensors file."""

    card: dict[str, Any]
    weights: bytes

    @property
    def labels(self) -> LabelTable:
        """The label table whose k-th row is the network's k-th output."""
        return LabelTable.from_json(self.card["labels"], "labels of the model")

    @property
    def data(self) -> list[dict[str, Any]]:
        """Whom its weights know: the subjects of its training, and those of the one whose weights that began with."""
        provenance = self.card.get("provenance") or {}
        return [*(provenance.get("data") or []), *((provenance.get("pretrained") or {}).get("data") or [])]

    def write(self, path: Path) -> None:
        """Writes the bundle, whole or not at all; equal models make equal files."""
        with written_aside(path) as aside, zipfile.ZipFile(aside, "w") as bundle:
            for name, content in ((_CARD, json.dumps(self.card, indent=1, ensure_ascii=False).encode(errors=ODD_NAMES)), (_WEIGHTS, self.weights)):
                bundle.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)

    @classmethod
    def read(cls, path: str | Path) -> Model:
        """Raises InputError when the file is missing, no bundle, corrupt, or made by a newer version."""
        path = Path(path)
        if not is_there(path):
            raise InputError(path, "no such model", remedy="give a .l2s file, the folder of a run, or the name of a shipped model")
        try:
            with zipfile.ZipFile(path) as bundle:
                card = json.loads(_content(bundle, _CARD, path))
                weights = _content(bundle, _WEIGHTS, path)
        except InputError:
            raise
        except KeyError as error:
            raise InputError(path, f"is not a model bundle ({error.args[0]})", f"a zip of {_CARD} and {_WEIGHTS}") from error
        except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError, RuntimeError, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
            kind = "is corrupt" if zipfile.is_zipfile(path) else "is not a model bundle"
            raise InputError(path, f"{kind} ({error})", "a .l2s file written by learn2synth", "copy or export it again") from error
        _check_card(card, path)
        return cls(card, weights)


def _content(bundle: zipfile.ZipFile, name: str, path: Path) -> bytes:
    """A file of the bundle, of no more bytes than it says: a small zip can unpack to more than the memory holds."""
    size, most = bundle.getinfo(name).file_size, _MOST_BYTES[name]
    if size > most:
        raise InputError(path, f"{name} has {size} bytes", f"at most {most}", "get the model from where you trust it")
    with bundle.open(name) as file:
        return file.read(size)


def _check_card(card: Any, path: Path) -> None:
    if not isinstance(card, dict):
        raise InputError(path, f"{_CARD} is not an object", remedy="export the model again")
    if isinstance(card.get("schema"), int) and card["schema"] > SCHEMA:
        raise InputError(path, f"has schema {card['schema']}", f"up to {SCHEMA}", "update Learn2Synth to use this model")
    missing = [key for key in _REQUIRED if key not in card]
    if missing:
        raise InputError(path, f"{_CARD} lacks {', '.join(missing)}", remedy="export the model again")
    LabelTable.from_json(card["labels"], f"{path}, labels")

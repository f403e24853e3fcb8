"""Models in words: found by name, file or run; a line, a card; what is wrong with a file that is none."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from Learn2SynthPanel import models

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.model import Model

TARGET = load_table("brain-coarse")
BARE: dict[str, Any] = {
    "schema": 1,
    "ndim": 2,
    "network": {},
    "labels": json.loads(json.dumps(TARGET.to_json())),
    "spacing_mm": [2.0, 2.0, 1.5],
    "orientation": "RAS",
    "shape": [16, 16],
    "intensity": {},
}
NASTY = "<b>x</b> & <script>"
FULL: dict[str, Any] = BARE | {
    "name": NASTY,
    "validation": {"step": 9, "dice": {"mean": 0.876, NASTY: 0.5}, "scans": {}, "note": f"measured on 1 scan {NASTY}"},
    "learned": {"noise.low": {"learned": 0.01, "prior": 0.0}, "noise.high": {"learned": 0.05, "prior": 0.08}, NASTY: {"learned": 1.0, "prior": None}},
    "provenance": {
        "learn2synth": "1.2.3",
        "step": 40,
        "config": {"strategy": "mixed"},
        "data": [{"role": "label_map"}, {"role": "label_map"}, {"role": "real"}],
    },
    "licence": NASTY,
    "citation": "Hu et al. (2025)",
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a model."""
    folder = tmp_path / "Läufe, viele" / "a.b c"
    Model(FULL, b"weights").write(folder / "best.l2s")
    return folder


def test_a_model_is_a_file_or_a_run(run: Path) -> None:
    for model in (str(run), str(run / "best.l2s")):
        assert models.bundle_of(model) == run / "best.l2s" and models.read_card(model) == FULL and models.title(model) == "a.b c"
    assert models.title(str(run.parent / "größer 3D.l2s")) == "größer 3D"


def test_a_shipped_model_goes_by_its_name(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "names", lambda folder, suffix: ["brain-2d"] if (folder, suffix) == ("Models", ".l2s") else [])
    monkeypatch.setattr(models, "resource", lambda *parts: run if parts == ("Models", "brain-2d.l2s") else Path("nowhere"))
    assert models.shipped() == ["brain-2d"] and models.title("brain-2d") == "brain-2d" and models.bundle_of("brain-2d") == run / "best.l2s"


def test_a_model_for_tests_is_there_but_not_offered() -> None:
    assert "brain" in models.offered() and "brain-tiny" not in models.offered() and models.bundle_of("brain-tiny").is_file()


def test_no_model_is_told_as_such(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)  # a model that happens to lie where Slicer was started is not meant
    with pytest.raises(InputError, match="no model is chosen; choose another model, import one, or train one"):
        models.bundle_of("")


@pytest.mark.parametrize("missing", ["gone.l2s", "empty folder", "no such name"])
def test_a_model_that_is_gone_is_told(tmp_path: Path, missing: str) -> None:
    (tmp_path / "empty folder").mkdir()
    with pytest.raises(InputError, match=f"{missing}: there is no such model; choose another"):
        models.read_card(str(tmp_path / missing))


def test_a_model_that_nobody_may_look_at_is_told(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look = os.stat

    def refusing(path: Any, **options: Any) -> Any:
        if str(path).startswith(str(run)):
            raise PermissionError(13, "Permission denied")
        return look(path, **options)

    monkeypatch.setattr("os.stat", refusing)
    with pytest.raises(InputError, match="there is no such model"):
        models.bundle_of(str(run))


def test_a_damaged_model_is_told(run: Path) -> None:
    content = (run / "best.l2s").read_bytes()
    for damaged in (b"", b"no zip", content[: len(content) // 2], content.replace(b"weights.safetensors", b"weights.notthere.xx")):
        (run / "best.l2s").write_bytes(damaged)
        with pytest.raises(InputError, match="best.l2s: is (not a model bundle|corrupt)"):
            models.read_card(str(run))


def test_a_model_that_was_written_anew_is_read_anew(run: Path) -> None:
    assert models.read_card(str(run)) == FULL
    Model(BARE, Model.read(run / "best.l2s").weights).write(run / "best.l2s")
    assert models.read_card(str(run)) == BARE


def test_a_line_says_what_it_is() -> None:
    assert models.summary(BARE) == f"{len(TARGET.foreground)} structures; 2D network, 2 x 2 x 1.5 mm; not validated"
    assert models.summary(FULL).endswith(f"mean Dice 0.88, measured on 1 scan {NASTY}")


def test_the_card_says_all() -> None:
    text = models.card_html(FULL)
    for words in ("Learn2Synth 1.2.3, strategy mixed, step 40", "2 label maps, 1 annotated scans", "Hu et al. (2025)", "0.876", "noise level", "0.01", "was 0"):
        assert words in text, words


def test_markup_in_a_card_is_only_text() -> None:
    text = models.card_html(FULL)
    assert "<script>" not in text and "<b>x</b>" not in text and text.count("&lt;b&gt;x&lt;/b&gt; &amp; &lt;script&gt;") == 4


def test_a_card_of_little_is_shown_too() -> None:
    text = models.card_html(BARE)
    assert "not validated" in text and "none given" in text and "Learned synthesis" not in text and "Dice on real scans" not in text

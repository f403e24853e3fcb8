import json
import zipfile
from pathlib import Path

import pytest

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.model import Model

CARD = json.loads(
    json.dumps(
        {
            "schema": 1,
            "ndim": 2,
            "network": {},
            "labels": load_table("brain").to_json(),
            "spacing_mm": [2, 2, 2],
            "orientation": "RAS",
            "shape": [16, 16],
            "intensity": {},
            "invented": "by a later version",
        }
    )
)


def test_a_bundle_survives_the_disk_and_equal_models_make_equal_files(tmp_path: Path) -> None:
    model = Model(CARD, b"weights")
    for name in ("a.l2s", "b é.l2s"):
        model.write(tmp_path / name)
    assert Model.read(tmp_path / "a.l2s") == model and model.labels == load_table("brain")
    assert (tmp_path / "a.l2s").read_bytes() == (tmp_path / "b é.l2s").read_bytes()


def test_a_newer_schema_asks_for_an_update(tmp_path: Path) -> None:
    Model(CARD | {"schema": 2}, b"").write(tmp_path / "m.l2s")
    with pytest.raises(InputError, match="update Learn2Synth"):
        Model.read(tmp_path / "m.l2s")


def test_a_card_that_lacks_something_is_named(tmp_path: Path) -> None:
    Model({key: value for key, value in CARD.items() if key != "spacing_mm"}, b"").write(tmp_path / "m.l2s")
    with pytest.raises(InputError, match="lacks spacing_mm"):
        Model.read(tmp_path / "m.l2s")


def test_another_zip_is_no_bundle(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.l2s", "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(InputError, match="is not a model bundle"):
        Model.read(tmp_path / "m.l2s")


def test_every_truncation_and_a_flipped_bit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.l2s"
    Model(CARD, bytes(range(256)) * 40).write(path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for content in (whole[:10], whole[: len(whole) // 2], whole[:-30], bytes(flipped)):
        path.write_bytes(content)
        with pytest.raises(InputError, match="m.l2s"):
            Model.read(path)

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


def test_a_bundle_that_unpacks_to_more_than_any_model_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.l2s"
    Model(CARD | {"name": "n" * 2**24}, b"").write(path)
    with pytest.raises(InputError, match=r"model\.json has 1\d{7} bytes; allowed: at most 16777216"):
        Model.read(path)
    monkeypatch.setattr("Learn2SynthLib.model._MOST_BYTES", {"model.json": 2**24, "weights.safetensors": 9})
    Model(CARD, b"0123456789").write(path)
    with pytest.raises(InputError, match=r"weights\.safetensors has 10 bytes"):
        Model.read(path)


@pytest.mark.parametrize("change", [{"value": 10**12}, {"freesurfer": ["x"]}, {"freesurfer": [[1]]}, {"freesurfer": [2**31]}])
def test_labels_that_no_label_map_can_hold_are_refused(change: dict, tmp_path: Path) -> None:
    table = load_table("brain").to_json()
    labels = [*table["labels"][:-1], table["labels"][-1] | change]
    Model(CARD | {"labels": table | {"labels": labels}}, b"").write(tmp_path / "m.l2s")
    with pytest.raises(InputError, match="whole numbers") as caught:
        Model.read(tmp_path / "m.l2s")
    assert "\n" not in str(caught.value)

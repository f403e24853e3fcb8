"""Tables of contrast: a narrower prior for the classes that they name."""

import json
from pathlib import Path

import pytest

from Learn2SynthLib.config import SynthesisConfig
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.resources import names
from Learn2SynthLib.synthesis.classes import TissueClasses
from Learn2SynthLib.synthesis.contrast import read_contrast
from Learn2SynthLib.synthesis.ranges import Ranges


def test_a_table_replaces_the_prior_of_its_classes_and_of_no_other(tmp_path: Path, classes: TissueClasses) -> None:
    table = tmp_path / "mine.json"
    table.write_text(json.dumps({"mean": {"cerebral cortex": [0.5, 0.6]}}))
    prior = Ranges(SynthesisConfig(contrast=str(table)), classes, learn=("contrast_mean", "contrast_spread")).prior_summary()
    special = {"contrast_mean.cerebral cortex.low": 0.5, "contrast_mean.cerebral cortex.high": 0.6}
    assert prior == Ranges(SynthesisConfig(), classes, learn=("contrast_mean", "contrast_spread")).prior_summary() | special


@pytest.mark.parametrize("name", names("Contrasts", ".json"))
def test_every_shipped_table_names_known_classes(name: str) -> None:
    known = {label.generation for table in ("freesurfer", "neuromorphometrics", "muse") for label in load_table(table).labels}
    for rows in read_contrast(name).values():
        assert rows and set(rows) <= known


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"means": {}}', "is no table of contrast"),
        ('{"mean": [0, 1]}', "is no table of contrast"),
        ('{"spread": {}, "mean": null}', "is no table of contrast"),
        ('{"mean": {"thalamus": [0.7, 0.6]}}', "mean of thalamus: .*low <= high"),
        ('{"spread": {"thalamus": "dark"}}', "spread of thalamus"),
        ("[", "cannot be read as JSON"),
    ],
)
def test_a_wrong_table_is_told(content: str, message: str, tmp_path: Path) -> None:
    table = tmp_path / "mine.json"
    table.write_text(content)
    with pytest.raises(InputError, match=message):
        read_contrast(str(table))


def test_an_unknown_name_names_the_tables_that_there_are() -> None:
    with pytest.raises(InputError, match="t1"):
        read_contrast("t9")

"""Terminology of the structures that the shipped models segment."""

from __future__ import annotations

import pytest
import slicer
from Learn2SynthPanel.scene.terminology import terminology

from Learn2SynthLib.labels import Label, load_table

TABLES = ("brain", "brain-sided", "brain-coarse")
LABELS = [label for name in TABLES for label in load_table(name).foreground]
GROUPS = {"deep grey", "hippocampus amygdala"}  # no code means exactly these, nor anything that contains just them


def type_of(label: Label) -> str:
    return terminology(label).split("~")[2]


@pytest.fixture
def parsed():
    """What Slicer's own parser makes of a string."""
    logic = slicer.vtkSlicerTerminologiesModuleLogic()

    def parse(text: str) -> slicer.vtkSlicerTerminologyEntry:
        entry = slicer.vtkSlicerTerminologyEntry()
        assert logic.DeserializeTerminologyEntry(text, entry)
        return entry

    return parse


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.name)
def test_slicer_reads_each_structure_and_its_side(parsed, label: Label):
    entry = parsed(terminology(label))
    modifier = entry.GetTypeModifierObject()
    assert (modifier.GetCodeMeaning() or "").lower() == (label.side if label.side != "both" else "")
    assert entry.GetTypeObject().GetCodeValue().isdigit() and entry.GetTypeObject().GetCodeMeaning()
    assert entry.GetCategoryObject().GetCodeMeaning() == ("Tissue" if label.name in GROUPS else "Anatomical Structure")


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.name)
def test_slicer_writes_the_same_string(parsed, label: Label):
    assert slicer.vtkSlicerTerminologiesModuleLogic.SerializeTerminologyEntry(parsed(terminology(label))) == terminology(label)


@pytest.mark.parametrize("table", TABLES)
def test_structures_differ(table: str):
    coded = [label for label in load_table(table).foreground if label.name not in GROUPS]
    assert len({terminology(label) for label in coded}) == len(coded)


def test_both_sides_are_the_same_structure():
    sided = load_table("brain-sided").foreground
    for left in (label for label in sided if label.side == "left"):
        right = next(label for label in sided if label.name == left.name.replace("left", "right"))
        assert type_of(left) == type_of(right) != terminology(left).split("~")[3]
        assert terminology(left).split("~")[3] == "SCT^7771000^Left" and terminology(right).split("~")[3] == "SCT^24028007^Right"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("thalamus", "SCT^42695009^Thalamus"),
        ("cerebral cortex", "SCT^40146001^Cerebral cortex"),
        ("ventral diencephalon", "DCM^110700^Ventral Diencephalon"),
        ("third and fourth ventricle", "SCT^35764002^Brain ventricle"),
    ],
)
def test_known_codes(name: str, code: str):
    assert type_of(next(label for label in LABELS if label.name == name)) == code


def test_the_cerebellum_is_not_taken_for_its_cortex():
    assert type_of(next(label for label in LABELS if label.name == "cerebellum")) == "SCT^113305005^Cerebellum"


@pytest.mark.parametrize("label", [Label(1, "cyst", (1, 2, 3)), Label(1, "everything", (1, 2, 3), freesurfer=(2, 3), side="left")])
def test_unknown_structures_are_tissue_and_no_invented_code(parsed, label: Label):
    entry = parsed(terminology(label))
    assert entry.GetTypeObject().GetCodeValue() == entry.GetCategoryObject().GetCodeValue() == "85756007"

"""What a structure is called in SNOMED CT and DICOM, so that segments keep their meaning in other programs and in DICOM files.

Sources of the codes in Resources/Terminology/brain.json: DICOM PS3.16, context group CID 7140 (Brain Structure for Volumetric Measurement);
where 3D Slicer's DICOM master list has another code or spelling (thalamus, brain ventricle, left, right, tissue), that one, so that Slicer's
own chooser finds the entry.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from Learn2SynthLib.labels import Label
from Learn2SynthLib.resources import read_named

_TYPES = "Segmentation category and type - DICOM master list"
_REGIONS = "Anatomic codes - DICOM master list"
_STRUCTURE = ("SCT", "123037004", "Anatomical Structure")
_TISSUE = ("SCT", "85756007", "Tissue")
_NOTHING = ("", "", "")


def terminology(label: Label) -> str:
    """The serialised terminology entry of a label, for vtkSegment.SetTerminology.

    Its type is the smallest known structure that contains all FreeSurfer ids of the label. A group of structures that no known one contains,
    and a label without FreeSurfer ids, is 'Tissue' and nothing closer: no code is better than a wrong one.
    """
    known = [entry for entry in _codes()["structures"] if label.freesurfer and set(label.freesurfer) <= set(entry["freesurfer"])]
    if not known:
        return _serialised(_TISSUE, _TISSUE, _NOTHING)
    structure = min(known, key=lambda entry: len(entry["freesurfer"]))
    return _serialised(_STRUCTURE, structure["type"], _codes().get(label.side, _NOTHING))


@lru_cache(maxsize=1)
def _codes() -> dict[str, Any]:
    return read_named("Terminology", "brain", "terminology")[0]


def _serialised(category: Any, kind: Any, side: Any) -> str:
    """Slicer's form: context, category, type and its modifier, then the anatomic region, which brain structures do not need."""
    codes = ["^".join(code) for code in (category, kind, side)]
    return "~".join([_TYPES, *codes, _REGIONS, "^".join(_NOTHING), "^".join(_NOTHING)])

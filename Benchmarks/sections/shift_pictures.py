"""A sheet of the shifts: one slice of a scan that may be shown, as it is and as each of them makes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from people import DATA
from shifts import SHIFTS
from torch import Tensor

from Learn2SynthLib.config import build_config
from Learn2SynthLib.learning.data import Example, preparation_for
from Learn2SynthLib.pictures import Sheet, axial, grey, page, write_png
from Learn2SynthLib.volume.cohort import Subject

COLUMNS = 5
SHAPE = (96, 80)


def draw(path: Path) -> None:
    """The scans that are measured may not be passed on; NiiVue's demo image may (BSD-2-Clause)."""
    table, folder = "freesurfer", DATA / "niivue_t1_freesurfer"
    preparation = preparation_for(build_config("quick-2d"), [table])
    example = preparation.example(Subject("niivue", "real", folder / "sub-niivue_T1w.nii.gz", folder / "sub-niivue_dseg.nii.gz", table))
    assert example.image is not None
    images = {"as it is": example.image, **{name: shift(example, preparation.classes) for name, shift in SHIFTS.items()}}
    tiles = {name: tile(example, image) for name, image in images.items()}
    names = list(tiles)
    sheets = [Sheet(names[k : k + COLUMNS]).draw([[tiles[name] for name in names[k : k + COLUMNS]]]) for k in range(0, len(names), COLUMNS)]
    write_png(page("The shifts", sheets), path)


def tile(example: Example, image: Tensor) -> np.ndarray:
    """The axial slice that shows most of the brain, about its middle."""
    level = int((example.target > 0).sum((0, 1)).argmax())
    pixels, brain = axial(image, level), axial(example.target, level)
    corner = [round(where.mean()) - size // 2 for where, size in zip(brain.nonzero(), SHAPE)]
    padded = np.pad(pixels, [(size, size) for size in SHAPE])
    return grey(padded[tuple(slice(start + size, start + 2 * size) for start, size in zip(corner, SHAPE))])

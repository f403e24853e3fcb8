"""Scans as users have them, without labels: T1, T2, FLAIR, PD, DICOM, thick slices. Segmented, measured and drawn, so that a person can look.

For each scan `NAME.png` is drawn into the folder of --pictures, and all of them together on two sheets, by what may be done with them:

    user-scans-free.png              licences that let pictures be published with credit: open_ms_data (CC BY, Lesjak et al. 2016), brainchop (MIT)
    user-scans-not-to-publish.png    all others: non-commercial (niivue-chris_PDw) or terms that are not known for certain (the DICOM series of TCIA)

No picture of the second sheet may be committed, so the folder must lie outside of the checkout. The page shows the first sheet once somebody has looked at it
and copied it into the page's folder.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from people import DATA

from Learn2SynthLib.segmentation.segmenter import Segmenter
from Learn2SynthLib.volume.files import read_image, stem

from .record import Measured, Task
from .scans import merged, merged_volumes
from .sheets import draw_scan, draw_sheet

FOLDER = DATA / "user_scans"
FREE = {"ms-patient01-study1": "open_ms_data, CC BY, Lesjak et al. 2016", "brainchop-t1crop": "brainchop, MIT"}
FREE_SHEET, OTHER_SHEET = "user-scans-free.png", "user-scans-not-to-publish.png"


def tasks(segmenter: Segmenter, count: int, pictures: Path) -> Iterator[Task]:
    scans = [*sorted(FOLDER.glob("*.nii.gz")), *sorted(FOLDER.glob("*.zip"))][:count]
    blocks = {path: pictures / f"{name_of(path)}.png" for path in scans}
    for path, block in blocks.items():
        yield Task(("user_scans", name_of(path)), partial(measured, segmenter, path, blocks), (block,))


def measured(segmenter: Segmenter, path: Path, blocks: dict[Path, Path]) -> Measured:
    """Its grid, and the volume of every structure in mm3; draws the scan, and the sheets anew."""
    with as_image(path) as file:
        image = read_image(file)
    found = segmenter.segment(image)
    draw_scan(name_of(path), image, merged(found.labels), blocks[path])
    for sheet, free in ((FREE_SHEET, True), (OTHER_SHEET, False)):
        drawn = [block for scan, block in blocks.items() if is_free(scan) is free and block.is_file()]
        if drawn:
            draw_sheet(drawn, listed_credits() if free else "Not to be published.", blocks[path].with_name(sheet))
    grid = {"shape": image.grid.shape, "spacing_mm": [round(s, 3) for s in image.grid.spacing_mm], "orientation": image.grid.orientation}
    return {**grid, "volumes_mm3": merged_volumes(found.volumes_mm3, found.table)}


@contextmanager
def as_image(path: Path) -> Iterator[Path]:
    """What the program is given: the file, or the unpacked folder of a DICOM series."""
    if path.suffix != ".zip":
        yield path
        return
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as packed:
        packed.extractall(folder)
        yield Path(folder)


def name_of(path: Path) -> str:
    return path.stem if path.suffix == ".zip" else stem(path)


def is_free(path: Path) -> bool:
    return path.name.startswith(tuple(FREE))


def listed_credits() -> str:
    return "Scans: " + "; ".join(FREE.values()) + "."

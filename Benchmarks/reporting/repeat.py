"""How alike the volumes of one person are when nothing but the scan differs: the same head in other positions, and T1 against FLAIR of one session.

Volumes in mm3 of the structures of `brain`: `hard` by the label map's voxels, `soft` by the probabilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import torch
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from Learn2SynthLib.segmentation.segmenter import Segmenter
from Learn2SynthLib.volume.cohort import Subject
from Learn2SynthLib.volume.files import read_image
from Learn2SynthLib.volume.image import Grid, Image

from .record import Measured, Task
from .scans import FLAIR, T1, VALIDATION, merged_volumes, person_of, rows

# Degrees about, and voxels along, the axes of the image. The first one is where the head was.
POSES = (
    ((0, 0, 0), (0, 0, 0)), ((0, 0, 0), (0.5, 0.5, 0.5)), ((5, 0, 0), (0.3, -0.2, 0.4)), ((0, 5, 0), (-0.4, 0.3, 0.2)), ((0, 0, 5), (0.2, 0.4, -0.3)),
    ((-3, 4, -2), (-0.1, -0.5, 0.5)),
)  # fmt: skip
MARGIN = 12  # voxels around the image, so that no part of the head leaves it


def tasks(segmenter: Segmenter, count: int) -> Iterator[Task]:
    measured = rows(count)
    for row in (VALIDATION, T1):
        for person in measured[row]:
            yield Task(("repeat", "moved", row, person.name), partial(moved_about, segmenter, person))
    for t1, flair in zip(measured[T1], measured[FLAIR], strict=True):
        yield Task(("repeat", "T1 and FLAIR", person_of(t1.name)), partial(two_contrasts, segmenter, t1, flair))


def moved_about(segmenter: Segmenter, person: Subject) -> Measured:
    assert person.image is not None
    image = read_image(person.image)
    return volumes(segmenter, (moved(image, *pose) for pose in POSES))


def two_contrasts(segmenter: Segmenter, t1: Subject, flair: Subject) -> Measured:
    assert t1.image is not None and flair.image is not None
    return volumes(segmenter, (read_image(path) for path in (t1.image, flair.image)))


def volumes(segmenter: Segmenter, images: Iterable[Image]) -> Measured:
    """For each structure its volume in every image, in their order."""
    found = [segmenter.segment(image) for image in images]
    hard, soft = ([merged_volumes(kind, f.table) for kind, f in zip(kinds, found)] for kinds in zip(*((f.volumes_mm3, f.soft_volumes_mm3) for f in found)))
    return {f"{kind}_mm3": {name: [of_image[name] for of_image in same] for name in same[0]} for kind, same in (("hard", hard), ("soft", soft))}


def moved(image: Image, degrees: tuple[float, ...], voxels: tuple[float, ...]) -> Image:
    """The head turned about the image's centre and shifted, as a scanner would see it: interpolated with cubic splines, which hardly smooth."""
    spacing = np.array(image.grid.spacing_mm)
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    back = np.linalg.inv(np.diag(1 / spacing) @ turn @ np.diag(spacing))  # turned in mm, counted in voxels
    centre = (np.array(image.grid.shape) - 1) / 2
    offset = centre - back @ (centre + MARGIN + voxels)
    shape = tuple(size + 2 * MARGIN for size in image.grid.shape)
    seen = affine_transform(image.data.numpy(), back, offset, shape, order=3, mode="constant", cval=float(image.data.min()))
    affine = image.grid.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ np.full(3, MARGIN)
    low, high = float(image.data.min()), float(image.data.max())  # splines overshoot at edges
    return Image(torch.from_numpy(seen.clip(low, high)), Grid((shape[0], shape[1], shape[2]), affine))

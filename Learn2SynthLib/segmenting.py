"""The `segment` verb: what cannot be written is told before any work, and a bad image stops no other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .console import Console
from .errors import InputError
from .files import try_place
from .segmentation.segmenter import Segmentation, Segmenter, write_volumes_csv
from .volume.discovery import is_label_name
from .volume.files import keep_inputs, read_image, stem, volume_suffix, write_label_map, write_probabilities
from .volume.formats import GUESS, WRITABLE_SUFFIXES, is_placed_by_guess
from .volume.image import Image


@dataclass(frozen=True)
class Destination:
    """The files of one image; probabilities: None where nobody asks for them."""

    image: str
    labels: Path
    probabilities: Path | None

    def write(self, result: Segmentation) -> None:
        write_label_map(result.labels, self.labels, result.table)
        if self.probabilities is not None and result.probabilities is not None:
            write_probabilities(result.probabilities, result.labels.grid, self.probabilities)


def destinations(images: Sequence[str], output: str, probabilities: bool) -> list[Destination]:
    """Of each image: `output` itself, or files in the folder that it names. Raises InputError for a file that cannot hold them."""
    suffix = volume_suffix(output)
    if suffix and len(images) > 1:
        raise InputError("--output", f"one file for {len(images)} images", "a folder", "name a folder instead")
    if suffix and suffix not in WRITABLE_SUFFIXES:
        raise InputError("--output", f"cannot write '{suffix}'", ", ".join(WRITABLE_SUFFIXES), "end the name in .nii.gz")
    other = Path(output).suffix
    if len(images) == 1 and not suffix and other[1:].isalpha() and not os.path.isdir(output):
        found = f"'{Path(output).name}' is no folder yet, and no file that can be written"
        raise InputError("--output", found, f"a file in {', '.join(WRITABLE_SUFFIXES)}, or a folder", f"make the folder first if '{other}' belongs to its name")
    labels = [Path(output) if suffix else Path(output) / f"{stem(image)}_dseg.nii.gz" for image in images]
    of_labels = [path.with_name(f"{stem(path)}_probabilities.nii.gz") if probabilities else None for path in labels]
    return [Destination(*files) for files in zip(images, labels, of_labels, strict=True)]


def check_outputs(places: Sequence[Destination], volumes: Path | None, inputs: Sequence[str | Path]) -> None:
    """Raises InputError when two outputs are one file, one is an input, or one cannot be written. The inputs are there; nothing is written."""
    outputs = [path for place in places for path in (place.labels, place.probabilities) if path] + ([volumes] if volumes else [])
    names = [str(path).casefold() for path in outputs]  # Windows and macOS do not tell names apart that differ in case alone
    twice = sorted({path.name for path, name in zip(outputs, names, strict=True) if names.count(name) > 1})
    if twice:
        raise InputError("--output", f"several results would be written to {', '.join(twice)}", remedy="write them to different files or folders")
    keep_inputs(outputs, inputs)
    for path in outputs:
        try_place(path)


def segment_images(segmenter: Segmenter, places: Sequence[Destination], volumes: Path | None, flips: bool, console: Console) -> None:
    """One image after another; the table of volumes is written anew after each, so that nothing that is done is lost.

    Raises InputError at the end for images that cannot be segmented, and at once where results cannot be written.
    """
    refused, rows = [], []
    for place in places:
        try:
            with console.segmenting(place.image) as progress:
                image = read_image(place.image)
                result = segmenter.segment(image, flips, place.probabilities is not None, progress)
        except InputError as error:
            refused.append(error if error.where == str(Path(place.image)) else InputError(place.image, str(error)))
            if console.as_json or len(places) > 1:  # of a single image the last line says all
                console.refused(place.image, str(refused[-1]))
            continue
        place.write(result)
        rows.append((place.image, result.measures))
        if volumes:
            write_volumes_csv(volumes, rows)
        console.segmented(place.image, place.labels, [*_doubts(place.image, image), *result.notes], result.volumes_mm3, result.quality)
    if refused:
        reasons = "; ".join(map(str, refused)) if console.as_json else "for the reasons above"
        raise refused[0] if len(places) == 1 else InputError(f"{len(refused)} of {len(places)} images not segmented", reasons)


def _doubts(path: str, image: Image) -> list[str]:
    """What makes one doubt that the image is what it is taken for."""
    guessed = [f"Its header does not say {GUESS}."] if is_placed_by_guess(Path(path), volume_suffix(path)) else []
    named = ["By its name it is a label map, no image."] if is_label_name(path) else []
    return [*guessed, *named, *([f"{image.note}."] if image.note else [])]

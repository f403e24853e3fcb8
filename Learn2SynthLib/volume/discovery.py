"""Finding volumes in folders: label maps, images, and which label map belongs to which image.

Two layouts are known. BIDS: the label map is the image's name with another last word (X_T1w.nii.gz, X_dseg.nii.gz), and
with several contrasts says which one it lies on (X_space-FLAIR_dseg.nii.gz). nnU-Net: imagesTr/case_0000.nii.gz and
labelsTr/case.nii.gz.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import InputError, nearest
from .files import is_volume, similar_name, stem, volume_suffix
from .formats import is_dicom_folder

PathLike = str | os.PathLike[str]
Pair = tuple[Path, Path]

_LAYOUTS = "BIDS (X_T1w.nii.gz beside X_dseg.nii.gz) or nnU-Net (imagesTr/case_0000.nii.gz, labelsTr/case.nii.gz)"
_LABEL_WORDS = {"dseg", "seg", "segmentation", "label", "labels", "labelmap", "aseg", "aparc", "wmparc"}
_NEITHER_WORDS = {"mask", "probseg", "probabilities", "warp", "xfm"}  # volumes of a BIDS folder, and of our own, that are no image and no label map
_CONTRASTS = {
    "t1w",
    "t2w",
    "pdw",
    "flair",
    "t1",
    "t2",
    "t2star",
    "t2starw",
    "t1map",
    "t2map",
    "inplanet1",
    "inplanet2",
    "unit1",
    "swi",
    "ct",
}


def find_label_maps(paths: PathLike | Sequence[PathLike]) -> list[Path]:
    """The label maps among files and folders, in natural order, each once.

    A file is taken as it is. Of a folder, searched to any depth: nnU-Net's labelsTr/, else the volumes named as label maps
    (`*_dseg`, `*_seg*`), else, when nothing is named as an image either, every volume. Raises InputError for a path
    that does not exist and a folder without label maps.
    """
    return _unique(found for path in _as_list(paths) for found in _label_maps_at(_existing(path)))


def find_images(paths: PathLike | Sequence[PathLike]) -> list[Path]:
    """The images among files and folders, in natural order, each once; a folder of DICOM files is one image.

    Raises InputError for a path that does not exist and a folder without images.
    """
    return _unique(found for path in _as_list(paths) for found in _images_at(_existing(path)))


def find_pairs(folder: PathLike) -> list[Pair]:
    """(image, label map) of every image in a folder in BIDS or nnU-Net layout, in natural order of the images.

    Raises InputError when there is no pair, and when an image has no label map, naming those images.
    """
    folder = _existing(folder)
    if not folder.is_dir():
        raise InputError(folder, "a file where a folder of images and label maps is needed", _LAYOUTS, "give an image and its label map")
    nnunet = _nnunet_root(folder)
    images, labels = _volumes_of_nnunet(nnunet) if nnunet else _images_and_labels(folder)
    if not images or not labels:
        raise _no_pairs(folder, images, labels)
    match = _nnunet_labels_of if nnunet else _bids_labels_of
    pairs = [(image, match(image, images, labels)) for image in images]
    missing = [image for image, found in pairs if found is None]
    if missing:
        raise _missing_labels(folder, missing, labels)
    return [(image, found) for image, found in pairs if found is not None]


def is_label_name(path: PathLike) -> bool:
    """True when the name says label map: one of its words is dseg, seg, labels, aseg, ..."""
    return bool(_words(path) & _LABEL_WORDS) and not _words(path) & _NEITHER_WORDS


def natural_key(path: PathLike) -> list[tuple[int, int | str]]:
    """Sorting key that puts sub-2 before sub-10."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", os.fspath(path).lower()) if part]


def _as_list(paths: PathLike | Sequence[PathLike]) -> list[PathLike]:
    return [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)


def _existing(path: PathLike) -> Path:
    path = Path(os.path.abspath(os.path.expanduser(path)))
    if not path.exists():
        raise InputError(path, "no such file or folder", remedy=similar_name(path))
    return path


def _unique(paths: Iterable[Path]) -> list[Path]:
    return list(dict.fromkeys(paths))


def _words(path: PathLike) -> set[str]:
    return {word.rstrip("0123456789") or word for word in re.split(r"[^0-9a-z]+", stem(path).lower())}


def _contrast(path: Path) -> str:
    """The last word of the name: T1w of sub-01_T1w.nii.gz."""
    return stem(path).rsplit("_", 1)[-1].lower()


def _volumes(folder: Path) -> list[Path]:
    """Volume files in the folder and below, in natural order; what is hidden, or hides in a hidden folder, is left alone."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in files if volume_suffix(name) and is_volume(Path(place, name))]
    return sorted(found, key=natural_key)


def _images_and_labels(folder: Path) -> tuple[list[Path], list[Path]]:
    volumes = [path for path in _volumes(folder) if not _words(path) & _NEITHER_WORDS]
    labels = [path for path in volumes if is_label_name(path)]
    return [path for path in volumes if not is_label_name(path)], labels


# --- label maps, images


def _label_maps_at(path: Path) -> list[Path]:
    if path.is_file():
        return [_volume_file(path)]
    nnunet = _nnunet_root(path)
    if nnunet:
        return _volumes(nnunet / "labelsTr")
    images, labels = _images_and_labels(path)
    if labels:
        return labels
    named_images = [image for image in images if _contrast(image) in _CONTRASTS]
    if not images or named_images:
        found = f"{len(images)} images ({_some(images)}) and no label map" if images else _no_volumes(path)
        raise InputError(
            path, found, "volumes named *_dseg or *_seg*, labelsTr/, or a folder of label maps only", "name the label maps' folder"
        )
    return images


def _images_at(path: Path) -> list[Path]:
    if path.is_file():
        return [_volume_file(path)]
    if is_dicom_folder(path):
        return [path]
    nnunet = _nnunet_root(path)
    images = _volumes_of_nnunet(nnunet)[0] if nnunet else _images_and_labels(path)[0]
    images += sorted((Path(place) for place, _, _ in os.walk(path) if is_dicom_folder(Path(place))), key=natural_key)
    if not images:
        raise InputError(path, _no_volumes(path, "image"), "images as NIfTI, MGZ, NRRD, MHA or DICOM", "name the images' folder")
    return images


def _volume_file(path: Path) -> Path:
    if volume_suffix(path) is None:
        raise InputError(path, f"unknown file type '{path.suffix or path.name}'", ".nii.gz, .nii, .mgz, .nrrd, .mha", "convert it first")
    return path


def _no_volumes(folder: Path, kind: str = "volume") -> str:
    others = Counter(path.suffix or "no suffix" for path in folder.iterdir() if path.is_file())
    instead = ", ".join(f"{count} x {suffix}" for suffix, count in others.most_common(3)) or "no files"
    return f"no {kind} in the folder or below (directly in it: {instead})"


def _some(paths: Sequence[Path], count: int = 4) -> str:
    names = ", ".join(path.name for path in paths[:count])
    return names if len(paths) <= count else f"{names} and {len(paths) - count} more"


# --- pairs


def _nnunet_root(folder: Path) -> Path | None:
    """The folder that holds imagesTr/ and labelsTr/: this one, or the one above when this is one of the two."""
    roots = [folder, folder.parent] if folder.name in ("imagesTr", "labelsTr") else [folder]
    return next((root for root in roots if (root / "imagesTr").is_dir() and (root / "labelsTr").is_dir()), None)


def _volumes_of_nnunet(root: Path) -> tuple[list[Path], list[Path]]:
    return _volumes(root / "imagesTr"), _volumes(root / "labelsTr")


def _nnunet_labels_of(image: Path, images: list[Path], labels: list[Path]) -> Path | None:
    cases = (stem(image), re.sub(r"_\d{4}$", "", stem(image)))
    return next((label for label in labels if stem(label) in cases), None)


def _bids_labels_of(image: Path, images: list[Path], labels: list[Path]) -> Path | None:
    """The label map whose name is the image's but for its last words; one in the same folder goes before others."""
    contrasts = {_contrast(other) for other in images if _base(other) == _base(image)}
    candidates = [label for label in labels if _names_same_scan(image, label, contrasts)]
    # False sorts first: of the same folder, saying that it lies on this contrast, with the shortest name.
    rank = [(label.parent != image.parent, _space(label) != _contrast(image), len(label.name), natural_key(label)) for label in candidates]
    return candidates[min(range(len(rank)), key=rank.__getitem__)] if candidates else None


def _names_same_scan(image: Path, label: Path, contrasts: set[str]) -> bool:
    if _space(label) != _contrast(image) and _space(label) in contrasts:
        return False  # it lies on another contrast of the same person
    return _base(label) in (_base(image), tuple(_parts(image)))


def _parts(path: Path) -> list[str]:
    """The words between underscores, without BIDS entities that tell versions of one scan apart."""
    return [part for part in stem(path).split("_") if not re.match(r"(space|desc|atlas|seg|label)-", part)]


def _base(path: Path) -> tuple[str, ...]:
    """The parts that name the scan: without the contrast of an image, without the label words of a label map."""
    parts = _parts(path)
    if not is_label_name(path):
        return tuple(parts[:-1]) if len(parts) > 1 and _contrast(path) in _CONTRASTS else tuple(parts)
    return tuple(part for part in parts if not set(re.split(r"[^0-9a-z]+", part.lower())) & _LABEL_WORDS)


def _space(label: Path) -> str | None:
    found = re.search(r"(?:^|_)space-([^_]+)", stem(label))
    return found.group(1).lower() if found else None


def _no_pairs(folder: Path, images: list[Path], labels: list[Path]) -> InputError:
    if images:
        return InputError(folder, f"{len(images)} images ({_some(images)}) and no label map", _LAYOUTS, "give them as unlabelled images")
    if labels:
        return InputError(folder, f"{len(labels)} label maps ({_some(labels)}) and no image", _LAYOUTS, "give the folder as label maps")
    return InputError(folder, _no_volumes(folder), _LAYOUTS, "name the folder that holds the scans")


def _missing_labels(folder: Path, missing: list[Path], labels: list[Path]) -> InputError:
    wanted = "_".join([*_base(missing[0]), "dseg"]) + (volume_suffix(missing[0]) or "")
    hint = nearest(wanted, [label.name for label in labels], of=stem)
    remedy = f"for {missing[0].name}, {hint}" if hint.startswith("did") else f"add {wanted} or move the image out of the folder"
    return InputError(folder, f"no label map for {len(missing)} images: {_some(missing, 6)}", _LAYOUTS, remedy)

"""Who takes part in a training run, in which role, and which files they are."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..errors import InputError
from ..files import is_the_systems
from .discovery import Pair, PathLike, find_images, find_label_maps, find_pairs
from .files import stem
from .formats import data_files, is_dicom_folder

__all__ = ["ROLES", "Cohort", "Subject", "build_cohort", "file_digest", "find_images", "find_label_maps", "find_pairs", "verify_files"]

ROLES = ("label_map", "real", "validation", "unlabelled")
FILES = ("image", "labels", "anatomy")
ANATOMY_TABLE = "brain-sided"
_BLOCK = 2**20


@dataclass(frozen=True)
class Subject:
    """One scan, its label map, or both. table: name or file of the label table that its labels are numbered by.

    anatomy: a segmentation of the whole brain, numbered as in ANATOMY_TABLE, that says what the labels of a scan that is annotated in part do not say.
    """

    name: str
    role: str
    image: Path | None
    labels: Path | None
    table: str = "freesurfer"
    anatomy: Path | None = None

    @property
    def path(self) -> Path:
        """The file the subject is known by: its image or, without one, its label map."""
        return self.image or self.labels or Path(self.name)

    @property
    def files(self) -> dict[str, Path]:
        """Those of FILES that there are."""
        return {kind: path for kind, path in zip(FILES, (self.image, self.labels, self.anatomy)) if path is not None}

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that its labels are numbered by, if it has any."""
        return (*((self.table,) if self.labels else ()), *((ANATOMY_TABLE,) if self.anatomy else ()))


@dataclass(frozen=True)
class Cohort:
    """All subjects of a run; names are unique within a role. files: others that the run depends on, such as label tables."""

    subjects: tuple[Subject, ...]
    files: tuple[Path, ...] = ()

    def of(self, role: str) -> tuple[Subject, ...]:
        """Subjects of one of ROLES, in the order given."""
        return tuple(subject for subject in self.subjects if subject.role == role)

    @property
    def tables(self) -> list[str]:
        """Every table that labels of the cohort are numbered by."""
        return sorted({table for subject in self.subjects for table in subject.tables})

    def to_json(self) -> dict[str, Any]:
        """Paths, roles, tables and the sha256 of every file; of an anatomy, which lies in the run's folder, the path within it."""
        subjects = {"schema": 1, "subjects": [_subject_to_json(subject) for subject in self.subjects]}
        return subjects | ({"files": [_file_to_json(path) for path in self.files]} if self.files else {})

    @classmethod
    def from_json(cls, record: Mapping[str, Any], folder: Path) -> Cohort:
        """The cohort as stored in a run's folder; `verify_files` says whether its files are still the same. Raises InputError."""
        try:
            subjects, files = record["subjects"], record.get("files", [])
            return cls(tuple(_subject_from_json(entry, folder) for entry in subjects), tuple(Path(file["path"]) for file in files))
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                "cohort", f"not a stored cohort ({error!r})", '{"subjects": [{"name", "role", "image", "labels", "table"}]}'
            ) from error


def _subject_to_json(subject: Subject) -> dict[str, Any]:
    files = {kind: _file_to_json(path) for kind, path in subject.files.items()}
    if subject.anatomy:
        files["anatomy"]["path"] = f"{subject.anatomy.parent.name}/{subject.anatomy.name}"
    return {"name": subject.name, "role": subject.role, "image": None, "labels": None, "table": subject.table} | files


def _file_to_json(path: Path) -> dict[str, str]:
    return {"path": str(path), "sha256": file_digest(path)}


def _subject_from_json(entry: Mapping[str, Any], folder: Path) -> Subject:
    if entry["role"] not in ROLES:
        raise InputError("cohort", f"role '{entry['role']}' of '{entry['name']}'", ", ".join(ROLES))
    image, labels, anatomy = (folder.absolute() / entry[kind]["path"] if entry.get(kind) else None for kind in FILES)
    return Subject(entry["name"], entry["role"], image, labels, entry["table"], anatomy)


def file_digest(path: Path) -> str:
    """sha256 of a file with the data files that its header names, or of a DICOM folder's files in the order of their names. Raises InputError."""
    digest = hashlib.sha256()
    try:
        for file in _files_of(path):
            for block in _blocks(file):
                digest.update(block)
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", remedy="put it back or choose another file") from error
    return digest.hexdigest()


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.is_file() and not is_the_systems(p.name))
    return [path, *data_files(path)]


def _blocks(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            yield block


def verify_files(record: Mapping[str, Any], folder: Path, cohort: Cohort) -> None:
    """Compare the files of `cohort` with what was stored of them in a run's folder; those that lie elsewhere now are not looked at.

    Raises InputError naming the missing and the changed.
    """
    named = {*cohort.files, *(path for subject in cohort.subjects for path in subject.files.values())}
    stored = [entry[kind] for entry in record["subjects"] for kind in FILES if entry.get(kind)] + record.get("files", [])
    digests = {path: file.get("sha256") for file in stored if (path := folder.absolute() / file["path"]) in named}
    missing = [str(path) for path in digests if not path.exists()]
    changed = [str(path) for path, digest in digests.items() if path.exists() and file_digest(path) != digest]
    if missing or changed:
        parts = [f"{len(paths)} {what} ({', '.join(paths)})" for what, paths in (("missing", missing), ("changed", changed)) if paths]
        remedy = "put the files back, give the folders that they are in now, or start a new run with those of today"
        raise InputError("files of the cohort", "; ".join(parts), remedy=remedy)


def build_cohort(
    label_maps: PathLike | Sequence[PathLike] = (),
    real: Sequence[PathLike | tuple[PathLike, PathLike]] = (),
    validation: Sequence[PathLike | tuple[PathLike, PathLike]] = (),
    unlabelled: PathLike | Sequence[PathLike] = (),
    labels_table: str = "freesurfer",
    real_table: str = "freesurfer",
) -> Cohort:
    """Find everybody. Entries of `real` and `validation` are folders to search, or (image, label map) pairs.

    Tables name the numbering of the label maps and of the labels of real and validation scans. Raises InputError for
    what is not found; whether the files are any good is for `check_cohort`.
    """
    maps = find_label_maps(label_maps) if label_maps else []
    images = find_images(unlabelled) if unlabelled else []
    groups = (
        [Subject(stem(path), "label_map", None, path, labels_table) for path in maps],
        [Subject(stem(image), "real", image, labels, real_table) for image, labels in _pairs(real)],
        [Subject(stem(image), "validation", image, labels, real_table) for image, labels in _pairs(validation)],
        [Subject(stem(path), "unlabelled", path, None, real_table) for path in images],
    )
    return Cohort(tuple(subject for group in groups for subject in _with_unique_names(group)))


def _pairs(entries: Sequence[PathLike | tuple[PathLike, PathLike]]) -> list[Pair]:
    entries = [entries] if isinstance(entries, (str, os.PathLike)) else entries
    found: list[Pair] = []
    for entry in entries:
        found += find_pairs(entry) if isinstance(entry, (str, os.PathLike)) else [_pair(entry)]
    return list(dict.fromkeys(found))


def _pair(entry: Sequence[PathLike]) -> Pair:
    if len(entry) != 2:
        raise InputError("a real scan", f"{len(entry)} paths", "an image and its label map, or a folder")
    image, labels = map(Path, entry)
    for path, folder in ((image, os.path.isdir(image) and not is_dicom_folder(image)), (labels, os.path.isdir(labels))):
        if folder:
            raise InputError(path, "a folder where one scan is meant", "an image and its label map, or a folder of both", "give each folder on its own")
    return find_images(image)[0], find_label_maps(labels)[0]


class Named(Protocol):
    """A scan, known by its name."""

    @property
    def name(self) -> str: ...


_Scan = TypeVar("_Scan", bound=Named)


def by_person(scans: Iterable[_Scan]) -> list[list[_Scan]]:
    """The scans of each person, in the order in which people come first: BIDS names those of one alike, sub-<label>; any other scan is somebody's own."""
    people: dict[str, list[_Scan]] = {}
    for scan in scans:
        named = re.search(r"sub-[A-Za-z0-9]+", scan.name)
        people.setdefault(named.group() if named else scan.name, []).append(scan)
    return list(people.values())


def _with_unique_names(subjects: list[Subject]) -> list[Subject]:
    """Name those who share a name by their folder too, and number those who still do."""
    count = Counter(subject.name for subject in subjects)
    named = [replace(s, name=f"{s.path.parent.name}_{s.name}") if count[s.name] > 1 else s for s in subjects]
    taken: set[str] = set()
    unique = []
    for subject in named:
        name, number = subject.name, 2
        while name in taken:
            name, number = f"{subject.name}_{number}", number + 1
        taken.add(name)
        unique.append(replace(subject, name=name))
    return unique

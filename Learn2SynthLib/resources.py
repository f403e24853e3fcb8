"""Where the files beside the code live: in a source checkout and in Slicer next to the package, in a wheel inside it."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_FOLDERS = (_PACKAGE / "Resources", _PACKAGE.parent / "Resources")


def resource(*parts: str) -> Path:
    """Path of a file or folder under Resources/; it need not exist."""
    folder = next((f for f in _FOLDERS if f.is_dir()), _FOLDERS[-1])
    return folder.joinpath(*parts)


def names(folder: str, suffix: str) -> list[str]:
    """Names, without suffix, of the resources of one kind, sorted."""
    return sorted(path.stem for path in resource(folder).glob(f"*{suffix}"))

"""Preview files read in a thread of their own, so that Slicer's windows never wait for a disk."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from Learn2SynthLib.errors import InputError

from ..nifti import Volume, decode_volume
from .progress import Preview

_AHEAD = 2  # previews read and not taken yet
_MOMENT = 0.01  # seconds


@dataclass(frozen=True)
class LoadedPreview:
    """volumes: by role; those that could be read. problem: why others could not, in words."""

    step: int
    volumes: Mapping[str, Volume]
    problem: str = ""


class PreviewLoader:
    """Reads the previews in `folder` that are wanted: the newest as soon as it is there, the others from the first on.

    Volumes that did not change since the preview read before (label map, prior, real scan) are the same object in both.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = threading.Condition()
        self._wanted: dict[int, Preview] = {}
        self._loaded: list[LoadedPreview] = []
        self._due: set[int] = set()  # steps that are wanted and not taken
        self._newest = -1
        self._same: dict[str, tuple[bytes, Volume]] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="Learn2Synth previews", daemon=True)
        self._thread.start()

    def want(self, previews: Sequence[Preview]) -> None:
        """More previews to read."""
        with self._state:
            self._wanted |= {preview.step: preview for preview in previews}
            self._due |= {preview.step for preview in previews}
            self._state.notify()

    @property
    def busy(self) -> bool:
        """Whether any that is wanted has not been taken yet."""
        return bool(self._due)

    def take(self) -> LoadedPreview | None:
        """The next one that has been read; None when there is none yet.

        Waits for a moment where one is due: Slicer's event loop keeps Python's lock while it idles, so that the thread gets on only while we wait.
        """
        with self._state:
            self._state.notify_all()
            self._state.wait_for(lambda: self._loaded or not self._due, _MOMENT)
            loaded = self._loaded.pop(0) if self._loaded else None
            self._due -= {loaded.step} if loaded else set()
            return loaded

    def close(self) -> None:
        """Ends the thread; waits for the file being read at most."""
        with self._state:
            self._closed = True
            self._state.notify()
        self._thread.join()

    def _work(self) -> None:
        while (preview := self._next()) is not None:
            loaded = self._load(preview)
            with self._state:
                self._loaded.append(loaded)
                self._state.notify_all()

    def _next(self) -> Preview | None:
        """Waits for work; None when there will be no more."""
        with self._state:
            self._state.wait_for(lambda: self._closed or (self._wanted and len(self._loaded) < _AHEAD))
            if self._closed:
                return None
            newest = max(self._wanted)
            step = newest if newest > self._newest else min(self._wanted)
            self._newest = max(self._newest, step)
            return self._wanted.pop(step)

    def _load(self, preview: Preview) -> LoadedPreview:
        volumes, problems = {}, []
        for role, name in preview.paths.items():
            if self._closed:
                break
            try:
                volumes[role] = self._volume(role, self._folder / name)
            except (InputError, MemoryError) as error:
                problems.append(str(error))
            except OSError as error:
                problems.append(f"{self._folder / name}: {error.strerror or error}")
        return LoadedPreview(preview.step, volumes, "\n".join(problems))

    def _volume(self, role: str, path: Path) -> Volume:
        content = path.read_bytes()
        before, volume = self._same.get(role, (b"", None))
        if volume is None or content != before:
            volume = decode_volume(content, path)
            self._same[role] = content, volume
        return volume

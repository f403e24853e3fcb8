"""The one error that a user can mend: wrong input, told in one line."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable


class InputError(ValueError):
    """Input that the program refuses: where, what was found, what is allowed, what to do.

    The message is one line; the command line prints it and exits with code 2.
    """

    def __init__(self, where: object, found: str, allowed: str = "", remedy: str = "") -> None:
        self.where, self.found, self.allowed, self.remedy = str(where), found, allowed, remedy
        parts = [f"{self.where}: {found}"]
        if allowed:
            parts.append(f"allowed: {allowed}")
        if remedy:
            parts.append(remedy)
        super().__init__(" ".join("; ".join(parts).split()))


def nearest(word: str, known: Iterable[str], of: Callable[[str], str] = str) -> str:
    """A remedy that names the known word closest to `word`, or lists them all. of: what of each is compared."""
    compared = {of(entry): entry for entry in known}
    matches = difflib.get_close_matches(of(word), compared, n=1, cutoff=0.5)
    return f"did you mean '{compared[matches[0]]}'?" if matches else "known: " + ", ".join(compared.values())

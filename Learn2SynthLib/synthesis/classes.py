"""Tissue classes: the labels that share one intensity distribution."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..labels import BACKGROUND, FLUID, LabelTable, is_outside


@dataclass(frozen=True)
class TissueClasses:
    """Names of the classes; the index in `names` is the value in a map of classes, 0 the background."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, labels: Iterable[tuple[LabelTable, Iterable[int]]]) -> TissueClasses:
        """The classes of the given values of the given tables, and fluid, which gaps between the labels may become."""
        found = {table[value].generation for table, values in labels for value in values}
        return cls((BACKGROUND, *sorted((found | {FLUID}) - {BACKGROUND})))

    def mapping_from(self, table: LabelTable) -> dict[int, int]:
        """value in `table` -> class index; 0 for classes that are not here."""
        index = {name: i for i, name in enumerate(self.names)}
        return {label.value: index.get(label.generation, 0) for label in table.labels}

    @property
    def fluid(self) -> int:
        return self.names.index(FLUID)

    @property
    def outside(self) -> tuple[int, ...]:
        """Indices of the classes that skull-stripping always removes."""
        return tuple(i for i, name in enumerate(self.names) if is_outside(name))

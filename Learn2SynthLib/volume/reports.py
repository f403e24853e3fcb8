"""What was found about one subject, and how it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

LEVELS = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """error: the subject cannot be used. warning: it can, and the user should know. note: a property worth knowing."""

    level: str
    message: str


@dataclass(frozen=True)
class Report:
    """What one subject is and what was found; shape, spacing and orientation are None when no file could be read.

    volumes_mm3: volume of every structure of the target, by name. brain_mm3: that of all labels of the brain.
    label_voxels: how often each value occurs in the label map. digests: sha256 by path.
    """

    name: str
    role: str
    path: str
    shape: tuple[int, int, int] | None = None
    spacing_mm: tuple[float, float, float] | None = None
    orientation: str | None = None
    findings: tuple[Finding, ...] = ()
    volumes_mm3: Mapping[str, float] = field(default_factory=dict)
    brain_mm3: float = 0.0
    label_voxels: Mapping[int, int] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """No error."""
        return all(finding.level != "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"ok": self.ok}


def format_reports(reports: Sequence[Report], findings: Sequence[Finding] = ()) -> str:
    """A table for the terminal: one line per subject, its findings below it; `findings` of the whole cohort at the end."""
    rows = [("subject", "role", "voxels", "mm", "axes", "")] + [_row(report) for report in reports]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for row, report in zip(rows, [None, *reports], strict=True):
        lines.append("  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[5]]).rstrip())
        lines += [_line(finding) for finding in (report.findings if report else ())]
    return "\n".join([*lines, *(["the cohort"] if findings else []), *map(_line, findings)])


def _row(report: Report) -> tuple[str, ...]:
    shape = "x".join(map(str, report.shape)) if report.shape else "-"
    spacing = "x".join(f"{s:.2f}".rstrip("0").rstrip(".") for s in report.spacing_mm) if report.spacing_mm else "-"
    return report.name, report.role, shape, spacing, report.orientation or "-", "ok" if report.ok else "NOT USABLE"


def _line(finding: Finding) -> str:
    return f"    {finding.level}: {finding.message}"

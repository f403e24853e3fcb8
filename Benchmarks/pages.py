"""The pages Docs/results.md and, beside it, strategies.md: tables and curves of every benchmark whose results are there, drawn from them alone.

    python Benchmarks/pages.py [--results Benchmarks/results] [--output Docs/results.md] [--pictures]

Reads trials.jsonl, hippocampus.jsonl, transfer.jsonl, recovery.json, gradients.json and quality.json, whatever there is of them; what was not run is said to
be. Pictures are written into a folder beside the page with its name. Remarks by hand belong into remarks.md beside the results: what stands there under a
section's heading (`## Real scans`) is put at that section's end. --pictures also draws the shifted scans anew, for which it reads the data: LEARN2SYNTH_DATA or
../shared/data. Needs matplotlib.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))

from hippocampus import read_results as read_hippocampi
from sections import elsewhere, hippocampi, hypergradients, parameter_recovery, quality_control, real_scans, shift_pictures, strategies, transfers, which_part
from sections.markdown import Section
from sections.samples import Trials
from transfer import finished as read_transfers
from trials import read_results

from Learn2SynthLib.files import write_text

ABOUT = """# Results

How well the networks that Learn2Synth trains segment real scans, beside the other ways of training and where they were not taught; which part of the method
does it; whether planted synthesis parameters are found again; how right and how expensive the gradients are that the synthesis learns by; and whether a
segmentation knows where it failed.

This page is made by `python Benchmarks/pages.py` from the files in `Benchmarks/results/`, and is not edited by hand."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=HERE.parent / "results")
    parser.add_argument("--output", type=Path, default=HERE.parents[1] / "Docs" / "results.md")
    parser.add_argument("--pictures", action="store_true")
    options = parser.parse_args()
    pictures = options.output.with_suffix("")
    if options.pictures:
        shift_pictures.draw(pictures / "shifts.png")
    remarks = read_remarks(options.results / "remarks.md")
    write_text(options.output, page(read_sections(options.results, pictures), remarks))
    overview = options.output.with_name("strategies.md")
    measured = Trials(read_results(options.results / "trials.jsonl"))
    beside = overview.with_suffix("")
    more = [
        *transfers.blocks(read_transfers(options.results / "transfer.jsonl"), beside),
        *hippocampi.blocks(read_hippocampi(options.results / "hippocampus.jsonl")),
    ]
    write_text(overview, strategies.page(measured, beside, more))
    print(f"written: {options.output}, {overview}")


def read_sections(results: Path, pictures: Path) -> list[Section]:
    measured = Trials(read_results(results / "trials.jsonl"))
    return [
        real_scans.section(measured, pictures),
        elsewhere.section(measured),
        which_part.section(measured),
        parameter_recovery.section(read(results / "recovery.json"), pictures),
        hypergradients.section(read(results / "gradients.json"), pictures),
        quality_control.section(read(results / "quality.json")),
    ]


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def read_remarks(path: Path) -> dict[str, str]:
    """What stands under each heading of the second level."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    _, *parts = re.split(r"^## +(.+?) *$", text, flags=re.MULTILINE)
    return {title: remark.strip() for title, remark in zip(parts[::2], parts[1::2])}


def page(sections: Sequence[Section], remarks: dict[str, str]) -> str:
    """Raises SystemExit for a remark that belongs to no section, which would be lost."""
    lost = remarks.keys() - {section.title for section in sections}
    if lost:
        sys.exit(f"remarks.md: no section is called {', '.join(sorted(lost))}")
    blocks = [ABOUT, "\n".join(f"- [{section.title}](#{anchor(section.title)}): {section.summary}" for section in sections)]
    for section in sections:
        remark = remarks.get(section.title)
        blocks += [f"## {section.title}", *section.blocks, *(["### Remarks", remark] if remark else [])]
    return "\n\n".join(blocks) + "\n"


def anchor(title: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w-]", "", title.lower().replace(" ", "-"))


if __name__ == "__main__":
    main()

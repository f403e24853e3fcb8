"""`python -m Testing.Host [--screen] [--screenshot FILE] [VOLUME...]`: the panel in a window, for developers without Slicer."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import slicer.util

from Testing.Host.start import start

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m Testing.Host", description=__doc__)
    parser.add_argument("volumes", nargs="*", metavar="VOLUME", help="files to load, as Slicer would (NIfTI, NRRD, ...)")
    parser.add_argument("--screen", action="store_true", help="open a window and stay; else everything is drawn off screen")
    parser.add_argument("--screenshot", metavar="FILE", help="write a PNG of the window")
    arguments = parser.parse_args()
    host = start(arguments.screen)
    host.window.show()
    host.open_module(REPOSITORY / "Learn2Synth" / "Learn2Synth.py")
    for path in arguments.volumes:
        slicer.util.loadVolume(path)
    slicer.app.layoutManager().resetSliceViews()
    slicer.app.layoutManager().resetThreeDViews()
    if arguments.screenshot:
        host.screenshot(arguments.screenshot)
    code = host.app.exec() if arguments.screen else 0
    host.close_module()
    return code or bool(host.errors)


if __name__ == "__main__":
    sys.exit(main())

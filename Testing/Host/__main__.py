"""`python -m Testing.Host [--screenshot FILE] [VOLUME...]`: the panel in a window, for developers without Slicer; or a picture of it, without a screen."""

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
    parser.add_argument("--screenshot", metavar="FILE", help="write a PNG of the window, off screen, and end")
    arguments = parser.parse_args()
    host = start(screen=not arguments.screenshot)
    host.window.show()
    host.open_module(REPOSITORY / "Learn2Synth" / "Learn2Synth.py")
    for path in arguments.volumes:
        slicer.util.loadVolume(path)
    slicer.app.layoutManager().resetSliceViews()
    slicer.app.layoutManager().resetThreeDViews()
    if arguments.screenshot:
        host.screenshot(arguments.screenshot)
    else:
        host.app.exec()
    host.close_module()
    return bool(host.errors)


if __name__ == "__main__":
    sys.exit(main())

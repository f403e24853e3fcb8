"""`python -m Testing.Host [--screen] [--screenshot FILE] [VOLUME...]`: the panel in a window, for developers without Slicer."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = REPOSITORY / "Learn2Synth" / "Learn2Synth.py"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m Testing.Host", description=__doc__)
    parser.add_argument("volumes", nargs="*", metavar="VOLUME", help="files to load, as Slicer would (NIfTI, NRRD, ...)")
    parser.add_argument("--screen", action="store_true", help="open a window and stay; else everything is drawn off screen")
    parser.add_argument("--screenshot", metavar="FILE", help="write a PNG of the window")
    parser.add_argument("--module", default=MODULE, help="file of another module")
    arguments = parser.parse_args()
    if not arguments.screen:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"

    from Testing.Host.start import start

    host = start(real_dialogs=arguments.screen)
    host.window.show()
    host.open_module(arguments.module)
    import slicer

    for path in arguments.volumes:
        slicer.util.loadVolume(path, {})
    slicer.app.layoutManager().resetSliceViews()
    slicer.app.layoutManager().resetThreeDViews()
    if arguments.screenshot:
        host.screenshot(arguments.screenshot)
    code = host.app.exec() if arguments.screen else 0
    host.close_module()
    return code or bool(host.errors)


if __name__ == "__main__":
    sys.exit(main())

"""How quick the Slicer panel is, in the test host, on real scans; and the pictures of it in Docs/.

    python Benchmarks/panel.py MODEL RUN [--data DIR] [--output Benchmarks/results/panel.json] [--pictures Docs]

MODEL: a model or a run's folder, to segment with. RUN: the folder of a finished training, to look at. The pictures in Docs/ were made with `brain`
and the training of the demo, done by hand as the demo says, with validate_every=100 preview_every=50.
Data: LEARN2SYNTH_DATA or ../shared/data; the scans that are shown are under free licences.
Views are drawn for the pictures only: software rendering is the host's, not the panel's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "Learn2Synth")]
os.environ["QT_QPA_PLATFORM"] = "offscreen"

from Learn2SynthLib.run import Run
from Testing.Host.start import start

MODULE = ROOT / "Learn2Synth" / "Learn2Synth.py"
SCAN = "niivue_t1_freesurfer/sub-niivue"  # T1 and labels, to train with
HEAD = "user_scans/brainchop-t1crop_T1w.nii.gz"  # to segment: 256 x 256 x 256 voxels of 1 mm
BESIDE_THE_MIDLINE_MM = 25.0  # where a sagittal slice shows more than the falx
STEPS = 60
MINUTES = 600.0  # seconds to wait at most
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LEARN2SYNTH_DATA", ROOT.parent / "shared" / "data")))
    parser.add_argument("--output", type=Path, default=ROOT / "Benchmarks" / "results" / "panel.json")
    parser.add_argument("--pictures", type=Path, default=ROOT / "Docs")
    options = parser.parse_args()
    host = start()
    record = {
        "command": "python Benchmarks/panel.py MODEL RUN", "python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count(),
        "open_ms": open_times(host), "segment": segment(host, options), "train": train(host, options),
    }  # fmt: skip
    host.reset()
    options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


def open_times(host: Any) -> list[float]:
    """Milliseconds from asking for the module to its panel, a few times."""
    found: list[float] = []
    for _ in range(ROUNDS):
        host.reset()
        begun = time.perf_counter()
        host.open_module(MODULE)
        found.append(round((time.perf_counter() - begun) * 1000))
    return found


def opened(host: Any) -> Any:
    host.reset()
    widget = host.open_module(MODULE)
    host.wait(lambda: not widget.timer.active, MINUTES, "the environment")
    return widget


def segment(host: Any, options: argparse.Namespace) -> dict[str, Any]:
    """From click to segmentation node, against the command line alone on the same file, in turn."""
    import slicer.util

    clicks, commands, blocks, phases = [], [], [], {}
    for _ in range(ROUNDS):
        widget = opened(host)
        slicer.util.loadVolume(str(options.data / HEAD), {})
        host.wait(widget.segment.volumes, MINUTES, "the ticked volume")
        widget.segment.choose_model(str(options.model))
        host.measure()
        begun = time.perf_counter()
        host.click(widget.ui.segmentButton)
        work = widget.segment.work
        host.wait(lambda work=work: work.results, MINUTES, "a segmentation")
        clicks.append(time.perf_counter() - begun)
        blocks.append(host.longest_block_ms)
        host.wait(lambda widget=widget: not widget.timer.active, MINUTES, "the end")
        phases = {name: round(seconds, 3) for name, seconds in work.seconds.items()}
        commands.append(command_seconds(options))
    picture_of_segmentation(host, widget, options.pictures / "slicer-segment.png")
    return {
        "volume": HEAD, "click_to_node_s": rounded(clicks), "command_line_s": rounded(commands),
        "beyond_the_command_line_s": round(statistics.median(a - b for a, b in zip(clicks, commands)), 2),
        "last_phases_s": phases, "longest_gui_block_ms": round(max(blocks)),
    }  # fmt: skip


def rounded(seconds: list[float]) -> list[float]:
    return [round(value, 2) for value in seconds]


def command_seconds(options: argparse.Namespace) -> float:
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        arguments = ["segment", str(options.model), str(options.data / HEAD), "--output", f"{folder}/out.nii.gz"]
        subprocess.run([sys.executable, "-m", "Learn2SynthLib", *arguments], check=True, cwd=ROOT, capture_output=True)
        return time.perf_counter() - begun


def picture_of_segmentation(host: Any, widget: Any, path: Path) -> None:
    import slicer

    manager = slicer.app.layoutManager()
    manager.resetSliceViews()
    manager.sliceWidget("Yellow").sliceLogic().SetSliceOffset(BESIDE_THE_MIDLINE_MM)
    host.click(widget.ui.show3DButton)
    manager.resetThreeDViews()
    host.screenshot(path)


def train(host: Any, options: argparse.Namespace) -> dict[str, Any]:
    """A real training: how long the panel was deaf, and how soon previews were in the views."""
    widget = opened(host)
    ui, maps = widget.ui, sorted((options.data / "synthseg_label_maps").glob("*.nii.gz"))[:3]
    host.dialogs.answer([str(path) for path in maps])
    widget.data.onAddLabelFiles()
    host.dialogs.answer([f"{options.data / SCAN}_T1w.nii.gz"], [f"{options.data / SCAN}_dseg.nii.gz"])
    widget.data.onAddScanFiles()
    with tempfile.TemporaryDirectory() as folder:
        ui.runPathLineEdit.currentPath = f"{folder}/run"
        ui.stepsSpinBox.value = STEPS
        ui.settingsLineEdit.text = "preview_every=10 validate_every=20"
        host.measure()
        widget.run.onStart()
        delays = follow(host, widget, Run(f"{folder}/run"))
        block = host.longest_block_ms
        host.wait(lambda: not widget.timer.active, MINUTES, "the end")
        widget.watch.hide()
    picture_of_training(host, options)
    return {"steps": STEPS, "longest_gui_block_ms": round(block), "preview_to_views_s": rounded(delays)}


def follow(host: Any, widget: Any, run: Run) -> list[float]:
    """Seconds from a preview event in the log to the preview in the views, for each preview but the first, which comes with the layout."""
    told: dict[int, float] = {}
    shown: dict[int, float] = {}
    offset = 0

    def look() -> bool:
        nonlocal offset
        now = time.perf_counter()
        events, offset = run.events_from(offset)
        told.update({event["step"]: now for event in events if event["event"] == "preview"})
        history = widget.watch.watch.history if widget.watch.watch else None
        for step in history.steps if history else ():
            shown.setdefault(step, now)
        return widget.run.progress.phase == "finished" and told.keys() <= shown.keys()

    host.wait(look, MINUTES, "the end of the training")
    return [shown[step] - told[step] for step in sorted(told)]


def picture_of_training(host: Any, options: argparse.Namespace) -> None:
    widget = opened(host)
    host.dialogs.answer(str(options.run))
    widget.run.onOpen()
    host.wait(lambda: not widget.timer.active, MINUTES, "its previews")
    for name in ("segment", "labelMaps", "scans", "check", "settings"):
        getattr(widget.ui, f"{name}CollapsibleButton").collapsed = True
    widget.ui.trainCollapsibleButton.collapsed = False
    host.screenshot(options.pictures / "slicer-train.png")


if __name__ == "__main__":
    main()

"""How long a whole head takes on the command line, from the start of the process to the written segmentation, and its peak memory.

The head is a T1 of 256 x 256 x 256 voxels of 1 mm with skull and neck (user_scans/brainchop-t1crop_T1w), read from and written to .nii.gz.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from people import DATA

from .record import Measured, Task

ROOT = Path(__file__).resolve().parents[2]
TIMED = Path(__file__).with_name("timed.py")
HEAD = DATA / "user_scans" / "brainchop-t1crop_T1w.nii.gz"
GRID = "256 x 256 x 256 voxels of 1 mm"
ROUNDS = 3


def tasks(model: Path) -> Iterator[Task]:
    for count in range(1, ROUNDS + 1):
        yield Task(("speed", GRID, f"run {count}"), partial(measured, model))


def measured(model: Path) -> Measured:
    """With the number of threads, and how many processes wanted a core before it, because others slow it down."""
    busy = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "Learn2SynthLib", "segment", str(model.resolve()), str(HEAD), "--output", f"{folder}/out.nii.gz"]
        done = subprocess.run([sys.executable, str(TIMED), *command], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the command line could not segment {HEAD}:\n{done.stderr}")
    return {**json.loads(done.stdout), "threads": torch.get_num_threads(), "load": busy}

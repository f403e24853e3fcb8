"""The module's self-test: the real thing, small, on a head made of blocks; no network, no file of anybody's."""

from __future__ import annotations

import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import slicer.util

from Learn2SynthLib.run import Run

from .jobs import dependencies
from .jobs.segmenting import Segmenting
from .jobs.training import Training
from .jobs.worker import slicer_launcher
from .recipe import Recipe
from .settings import Scan, Settings, Source

_IDS = (2, 41, 3, 42, 4, 43, 10, 49)  # FreeSurfer's, of brain structures
_SIZE = 28
_TINY = "network.features=[3,4] grid.shape=[16,16] batch_size=2 learn2synth.start=0 learn2synth.duration=1 preview_every=1"
_SECONDS = 300.0  # that a training of two steps may take on a slow computer


class SelfTest:
    """Tests for Slicer's own runner and for any other; each leaves the scene to the next."""

    def run_all(self) -> None:
        self.test_settings_are_kept_in_the_scene()
        try:
            self.test_a_model_is_trained_and_segments()
        except unittest.SkipTest as reason:
            print(f"Learn2Synth: {reason}")

    def test_settings_are_kept_in_the_scene(self) -> None:
        image, _labels = add_head(slicer.mrmlScene)
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
        settings = Settings(volumes=[Source(node=image.GetID())], label_maps=[Source("/somewhere/ä b.nii.gz")], unlabelled=[Source(node=image.GetID())])
        settings.strategy = "mixed"
        settings.write(node)
        assert Settings.read(node) == settings, "the settings came back otherwise than they went"
        slicer.mrmlScene.RemoveNode(node)

    def test_a_model_is_trained_and_segments(self) -> None:
        if missing := dependencies.missing():
            raise unittest.SkipTest(f"training and segmenting are not tested, because {', '.join(missing)} are not installed")
        with tempfile.TemporaryDirectory(prefix="Learn2Synth-", ignore_cleanup_errors=True) as folder:  # which a virus scanner may still look at
            image, labels = add_head(slicer.mrmlScene)
            run = Run(Path(folder) / "run")
            settings = Settings(label_maps=[Source(node=labels.GetID())], scans=[Scan(Source(node=image.GetID()), Source(node=labels.GetID()))])
            settings.steps, settings.assignments, settings.target = 2, _TINY, "brain-coarse"
            training = Training(run, slicer_launcher)
            training.start(Recipe(settings, slicer.mrmlScene, run.inputs).arguments(), keep=False)
            told: list[dict[str, Any]] = []

            def ended() -> bool:
                told.extend(training.poll())
                return bool(told) and not training.alive

            wait_until(ended)
            assert run.status() == "finished", f"the training ended with {told[-1:]}"
            work = Segmenting(slicer.mrmlScene, [image], str(run.folder), "cpu", slicer_launcher)

            def segmented() -> bool:
                work.poll()
                return not work.active

            wait_until(segmented)
            assert work.state == "done" and len(work.results) == 1, work.message


def add_head(scene: Any) -> tuple[Any, Any]:
    """A made-up head: an image, and its label map numbered as FreeSurfer does."""
    rng = np.random.default_rng(0)
    blocks = rng.choice(_IDS, (7, 7, 7)).repeat(4, 0).repeat(4, 1).repeat(4, 2)
    radius = np.linalg.norm((np.indices((_SIZE,) * 3) - (_SIZE - 1) / 2) / 12, axis=0)
    values = np.where(radius < 1, blocks, 0).astype(np.int16)
    voxels = (np.where(values > 0, 20 + 7 * (values % 40), 0) + rng.normal(0, 2, values.shape)).astype(np.float32)
    nodes = [scene.AddNewNodeByClass(f"vtkMRML{kind}VolumeNode", name) for kind, name in (("Scalar", "Head"), ("LabelMap", "Head labels"))]
    for node, array in zip(nodes, (voxels, values)):
        slicer.util.updateVolumeFromArray(node, array)
        node.SetSpacing(2, 2, 2)
        node.CreateDefaultDisplayNodes()
    return nodes[0], nodes[1]


def wait_until(condition: Callable[[], object]) -> None:
    """Looks now and then, and lets Slicer live meanwhile."""
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"nothing happened for {_SECONDS:.0f} s"
        slicer.app.processEvents()
        time.sleep(0.02)

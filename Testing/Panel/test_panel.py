"""The panel in the test host: a user's clicks, real processes, a real MRML scene."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import qt
import slicer
import slicer.util
from Learn2SynthPanel.label_mapping import NOT_USED, UNDECIDED
from Learn2SynthPanel.nodes import add_node
from Learn2SynthPanel.scene import write_volumes_table
from Learn2SynthPanel.sections.segment import doubts
from Learn2SynthPanel.self_test import add_head

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.files import write_json
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.run import Run
from Testing.Panel.nodes import add_segmentation
from Testing.Panel.processes import REPOSITORY, end_all, fake_library

MODULE = Path(__file__).resolve().parents[2] / "Learn2Synth" / "Learn2Synth.py"
TINY = "network.features=[3,4] grid.shape=[16,16] batch_size=2 learn2synth.start=0 learn2synth.duration=1"
COARSE = "learned_transforms.spacing_mm=8 learned_transforms.features=[2,3] learned_transforms.appearance_features=[2,3]"
SECONDS = 120.0  # that a worker may take on a busy computer
MS = 200.0  # that the panel may compute in one go while it trains; it takes a few


class Panel:
    """The opened module, and what its user does with it."""

    def __init__(self, host: Any) -> None:
        self.host = host
        self.widget = host.open_module(MODULE)
        self.ui = self.widget.ui

    def wait(self, condition: Any, what: str = "") -> Any:
        return self.host.wait(condition, SECONDS, what)

    def idle(self) -> None:
        """Nothing runs any more."""
        self.wait(lambda: not self.widget.timer.active, "idle")

    def click(self, button: Any) -> None:
        """Opens the sections that the button is in, and presses it."""
        within = button.parent()
        while within is not None:
            if within.inherits("ctkCollapsibleButton"):
                within.collapsed = False
            within = within.parent()
        self.host.click(button)

    def tick(self, *nodes: Any) -> None:
        for node in nodes:
            self.ui.segmentVolumesComboBox.setCheckState(node, qt.Qt.Checked)

    def choose(self, combo: Any, value: str) -> None:
        index = combo.findData(value)
        assert index >= 0, f"{combo.name} does not offer {value}"
        combo.currentIndex = index

    def use_model(self, path: Path) -> None:
        self.host.dialogs.answer(str(path))
        self.click(self.ui.importModelButton)

    def use_loaded_head(self) -> tuple[Any, Any]:
        """Training data that are loaded in Slicer: an annotated scan, whose labels are the label map too."""
        image, labels = add_head(slicer.mrmlScene)
        self.ui.scanVolumeComboBox.setCurrentNode(image)
        self.ui.scanLabelsComboBox.setCurrentNode(labels)
        self.click(self.ui.addScanNodesButton)
        self.ui.labelNodeComboBox.setCurrentNode(labels)
        self.click(self.ui.addLabelNodeButton)
        return image, labels

    def use_loaded_scans(self, count: int) -> list[Any]:
        """Scans without labels that are loaded in Slicer, for the strategy that learns from them."""
        self.choose(self.ui.strategyComboBox, "learned_transforms")
        nodes = [add_head(slicer.mrmlScene)[0] for _ in range(count)]
        for node in nodes:
            self.ui.unlabelledVolumesComboBox.setCheckState(node, qt.Qt.Checked)
        self.click(self.ui.addUnlabelledNodesButton)
        return nodes

    def set_training(self, folder: Path, steps: int, more: str = "") -> None:
        self.choose(self.ui.targetComboBox, "brain-coarse")
        self.ui.runPathLineEdit.currentPath = str(folder)
        self.ui.stepsSpinBox.value = steps
        self.ui.settingsLineEdit.text = f"{TINY} {more}"

    @property
    def phase(self) -> str:
        return self.widget.run.progress.phase

    @property
    def segmentations(self) -> list[Any]:
        return slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


@pytest.fixture
def panel(host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Panel]:
    """The module, just opened, by a user whose own folder is empty. Workers take one core each: the tests need the other."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    panel = Panel(host)
    panel.idle()
    yield panel
    host.close_module()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was trained for two steps on a made-up head; in another process, as in Slicer: the LLVM of a torch with CUDA and Mesa's do not agree."""
    folder = tmp_path_factory.mktemp("Modell für alle")
    image, labels = write_head(folder)
    chosen = ["--target", "brain-coarse", "--steps", "2", "--device", "cpu", "--set", *TINY.split()]
    train = [sys.executable, "-m", "Learn2SynthLib", "train", str(folder / "run"), "--real", image, labels, *chosen]
    subprocess.run(train, cwd=REPOSITORY, check=True, capture_output=True)
    return Run(folder / "run").model_path.rename(folder / "klein & fein.l2s")


@pytest.fixture
def waiting(panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A training that was started here, by a process that says that it reads its data, and waits until it is stopped."""
    says = "(Path(sys.argv[2]) / 'events.jsonl').write_text(json.dumps({'event': 'loading', 'subjects': 1}) + chr(10))"
    fake_library(tmp_path, monkeypatch, f"{says}\nwait_for(Path(sys.argv[2]) / 'stop')")
    panel.use_loaded_head()
    panel.set_training(tmp_path / "run", 2)
    panel.click(panel.ui.startButton)
    panel.wait(lambda: panel.phase == "loading", "its first words")
    yield Run(tmp_path / "run")
    end_all()


def write_head(folder: Path) -> tuple[str, str]:
    import nibabel

    rng = np.random.default_rng(0)
    labels = rng.choice((2, 41, 3, 42, 4, 43, 10, 49), (7, 7, 7)).repeat(4, 0).repeat(4, 1).repeat(4, 2).astype(np.int16)
    paths = str(folder / "kopf_T1w.nii.gz"), str(folder / "kopf_dseg.nii.gz")
    for path, voxels in zip(paths, (labels.astype(np.float32), labels)):
        nibabel.save(nibabel.Nifti1Image(voxels, np.diag([2, 2, 2, 1.0])), path)
    return paths


# --- opening


def test_the_panel_opens_at_once_and_says_what_is_missing(host: Any) -> None:
    host.measure()
    panel = Panel(host)
    assert host.longest_block_ms < 1000
    for button in (panel.ui.segmentButton, panel.ui.startButton, panel.ui.checkButton, panel.ui.applyButton, panel.ui.resumeButton):
        assert not button.enabled and button.toolTip
    assert panel.ui.cardBrowser.isHidden() and "no model yet" in panel.ui.applyMessageLabel.text
    panel.idle()
    assert "torch" in panel.ui.environmentLabel.text and panel.ui.segmentDeviceComboBox.findData("cpu") > 0
    panel.click(panel.ui.copyReportButton)
    assert "numpy" in qt.QApplication.clipboard().text()


def test_what_is_missing_is_named_as_a_user_knows_it(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("Learn2SynthPanel.jobs.dependencies.missing", lambda: ["torch>=2.2", 'numpy<2; sys_platform == "darwin"'])
    assert "Not installed yet: torch, numpy<2. You are asked" in Panel(host).ui.environmentLabel.text


def test_a_missing_torch_is_told_and_installed_only_after_asking(host: Any, model: Path) -> None:
    host.packaging.missing = {"torch"}
    panel = Panel(host)
    assert "torch" in panel.ui.environmentLabel.text and not panel.widget.timer.active
    image, _ = add_head(slicer.mrmlScene)
    panel.tick(image)
    panel.use_model(model)
    host.dialogs.answer(qt.QMessageBox.Cancel)
    panel.click(panel.ui.segmentButton)
    assert "not installed" in panel.ui.segmentMessageLabel.text and panel.segmentations == []
    panel.click(panel.ui.segmentButton)
    assert [requirement.split(">")[0] for requirement in host.packaging.installed] == ["torch"]
    panel.wait(lambda: panel.segmentations, "a segmentation")
    panel.idle()


def test_a_second_click_while_packages_are_installed_is_refused(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host.packaging.missing = {"torch"}
    panel = Panel(host)
    said: list[str] = []

    def install() -> None:
        """As pip does, lets events happen while it runs."""
        said.append(panel.ui.environmentLabel.text)
        if len(said) == 1:
            panel.widget.check.onCheck()
        raise InputError("packages", "were not installed")

    monkeypatch.setattr("Learn2SynthPanel.jobs.dependencies.install", install)
    panel.click(panel.ui.installButton)
    assert len(said) == 1 and "may not answer for several minutes" in said[0]
    assert "are being installed" in panel.ui.checkMessageLabel.text and "were not installed" in panel.ui.environmentLabel.text


# --- segmenting


def test_on_a_fresh_install_one_click_segments_the_volume_that_is_loaded(host: Any, panel: Panel) -> None:
    host.close_module()
    image, _ = add_head(slicer.mrmlScene)
    panel = Panel(host)
    panel.idle()
    assert panel.ui.modelComboBox.currentData == "brain" and "28 structures" in panel.ui.modelSummaryLabel.text
    assert panel.ui.modelComboBox.count == 1
    panel.click(panel.ui.segmentButton)
    panel.idle()
    assert len(panel.segmentations) == 1 and panel.ui.segmentMessageLabel.text.startswith("Done")
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    owner = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(panel.segmentations[0]))
    assert owner == hierarchy.GetItemParent(hierarchy.GetItemByDataNode(image))


def test_the_tick_follows_the_volume_that_is_looked_at_until_the_user_sets_one(panel: Panel) -> None:
    def load() -> Any:
        volume = add_head(slicer.mrmlScene)[0]
        slicer.app.applicationLogic().GetSelectionNode().SetActiveVolumeID(volume.GetID())
        return volume

    first = load()
    panel.wait(lambda: panel.widget.segment.volumes() == [first], "the first tick")
    second = load()
    panel.wait(lambda: panel.widget.segment.volumes() == [second], "the tick to follow")
    panel.tick(first)
    panel.ui.segmentVolumesComboBox.setCheckState(second, qt.Qt.Unchecked)
    load()
    panel.host.app.processEvents()
    panel.widget.enter()
    assert panel.widget.segment.volumes() == [first]


def test_two_volumes_are_segmented_beside_themselves(panel: Panel, model: Path) -> None:
    scene, hierarchy = slicer.mrmlScene, slicer.mrmlScene.GetSubjectHierarchyNode()
    first, second = add_head(scene)[0], add_head(scene)[0]
    turned = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    second.SetAndObserveTransformNodeID(turned.GetID())
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(second), study)
    panel.tick(first, second)
    panel.use_model(model)
    assert "structures" in panel.ui.modelSummaryLabel.text
    panel.click(panel.ui.segmentButton)
    assert not panel.ui.segmentButton.enabled and panel.ui.cancelSegmentButton.enabled
    panel.idle()
    results = panel.segmentations
    assert len(results) == 2 and panel.ui.segmentMessageLabel.text.startswith("Done")
    assert results[1].GetParentTransformNode() is turned
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(results[1])) == study
    assert panel.ui.resultComboBox.currentNode() is results[1]
    table = panel.ui.volumesTable
    assert (table.columnCount, panel.ui.resultsWidget.visible or not panel.ui.resultsWidget.isHidden()) == (3, True)
    assert results[0].GetSegmentation().GetNthSegment(0).GetName() in {table.item(row, 0).text() for row in range(table.rowCount)}
    marked = [table.item(row, 1) for row in range(table.rowCount) if table.item(row, 1).text().startswith("? ")]
    assert 2 * len(marked) > table.rowCount and all("Doubtful" in item.toolTip() and "Dice of 0." in item.toolTip() for item in marked)
    assert f"Probably failed, look at it: '{results[0].GetName()}'" in panel.ui.segmentMessageLabel.text
    panel.click(panel.ui.copyVolumesButton)
    heading, *rows = (line.split("\t") for line in qt.QApplication.clipboard().text().split("\n"))
    assert heading[1:] == [*(node.GetName() for node in results), *(f"{node.GetName()}: quality" for node in results)]
    assert len(rows) == table.rowCount and all(float(figure) >= 0 for row in rows for figure in row[1:])
    panel.click(panel.ui.show3DButton)
    assert results[1].GetSegmentation().ContainsRepresentation("Closed surface") and results[1].GetDisplayNode().GetVisibility3D()


def test_doubtful_structures_are_marked_and_named(panel: Panel) -> None:
    volumes = {"old": {"thalamus": 7413.2}, "T1": {"thalamus": 7400.0, "pallidum": 1800.4}, "T2": {"thalamus": 7300.0}}
    quality = {"T1": {"thalamus": 0.8, "pallidum": 0.314}, "T2": {"thalamus": 0.1}}
    write_volumes_table(slicer.mrmlScene, volumes, quality)
    panel.widget.segment.show_volumes()
    table = panel.ui.volumesTable
    assert [[table.item(row, column).text() for column in range(4)] for row in range(2)] == [
        ["thalamus", "7413", "7400", "? 7300"],
        ["pallidum", "-", "? 1800", "-"],
    ]
    assert "Dice of 0.31" in table.item(1, 2).toolTip() and table.item(0, 2).toolTip() == "7400"
    failed, doubtful = doubts(quality)
    assert failed == "Probably failed, look at it: 'T2'." and doubtful.endswith(": 'T1': pallidum (0.31).")
    assert doubts({"T1": {"thalamus": 0.8}}) == []
    assert doubts({str(k): {"thalamus": 0.1} for k in range(40)}) == ["Probably failed, look at it: '0'; '1'; '2'; 37 more."]


def test_a_cancelled_segmentation_leaves_nothing(panel: Panel, model: Path) -> None:
    panel.tick(add_head(slicer.mrmlScene)[0])
    panel.use_model(model)
    panel.click(panel.ui.segmentButton)
    panel.wait(lambda: panel.widget.segment.work.state == "running", "a worker")
    children = psutil.Process().children(recursive=True)
    assert children
    panel.click(panel.ui.cancelSegmentButton)
    panel.idle()
    assert panel.segmentations == [] and panel.ui.segmentButton.enabled and "Cancelled" in panel.ui.segmentMessageLabel.text
    panel.wait(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children), "the end of all processes")


@pytest.mark.parametrize("close", [False, True])
def test_a_volume_or_scene_that_goes_meanwhile_harms_nothing(panel: Panel, model: Path, close: bool) -> None:
    image, _ = add_head(slicer.mrmlScene)
    panel.tick(image)
    panel.use_model(model)
    panel.click(panel.ui.segmentButton)
    panel.wait(lambda: panel.widget.segment.work.state == "running", "a worker")
    if close:
        slicer.mrmlScene.Clear(0)
    else:
        slicer.mrmlScene.RemoveNode(image)
    panel.idle()
    assert panel.segmentations == [] and panel.widget.segment.work is None


def test_a_file_that_is_no_model_is_refused_beside_the_button(panel: Panel, tmp_path: Path) -> None:
    (tmp_path / "kein Modell.l2s").write_text("nothing")
    panel.use_model(tmp_path / "kein Modell.l2s")
    assert "not a model bundle" in panel.ui.segmentMessageLabel.text and not panel.ui.segmentButton.enabled


# --- training


def test_a_training_is_started_watched_stopped_resumed_and_applied(panel: Panel, tmp_path: Path) -> None:
    ui, folder = panel.ui, tmp_path / "mein Training ä"
    image, _ = panel.use_loaded_head()
    panel.set_training(folder, 300, "preview_every=5 validate_every=10 checkpoint_every=10")
    panel.host.measure()
    panel.click(ui.startButton)
    assert not ui.startButton.enabled and ui.stopButton.enabled
    watch = panel.wait(lambda: panel.widget.watch.watch, "previews")
    panel.wait(lambda: len(watch.history.steps) > 2 and ui.chartComboBox.count > 3, "three previews and curves")
    assert slicer.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView
    assert "time left" in ui.headlineLabel.text and ui.learnedTable.rowCount > 3
    panel.click(ui.stopButton)
    panel.wait(lambda: panel.phase == "stopped", "the stop")
    panel.wait(lambda: ui.resumeButton.enabled, "Resume")
    assert Run(folder).model_path.is_file() and panel.host.longest_work_ms < MS and panel.host.longest_block_ms < 1000

    ui.historySlider.value = 0
    assert watch.history.step == 0 and ui.newestButton.enabled
    panel.choose(ui.chartComboBox, "losses")
    panel.click(ui.resumeButton)
    panel.wait(lambda: panel.phase == "training", "a resumed training")
    panel.wait(lambda: panel.widget.run.progress.step > 30, "more steps")
    assert watch.history.step == 0  # the user looks at an old preview
    panel.click(ui.stopButton)
    panel.wait(lambda: panel.phase == "stopped", "the stop")
    panel.idle()

    assert "Dice" in ui.cardBrowser.toPlainText()
    panel.click(ui.applyButton)
    panel.idle()
    assert [node.GetName() for node in panel.segmentations] == [f"{image.GetName()} {folder.name}"]
    assert not ui.showPreviewsCheckBox.checked
    panel.host.dialogs.answer(str(tmp_path / "gespeichert"))
    panel.click(ui.saveModelButton)
    assert (tmp_path / "gespeichert.l2s").read_bytes() == Run(folder).model_path.read_bytes()


def test_a_training_learns_from_loaded_scans_without_labels(panel: Panel, tmp_path: Path) -> None:
    ui, folder = panel.ui, tmp_path / "run"
    panel.use_loaded_head()
    panel.choose(ui.strategyComboBox, "learned_transforms")
    assert "scan without labels" in ui.startButton.toolTip and "scan without labels" in ui.checkButton.toolTip
    panel.use_loaded_scans(2)
    assert ui.unlabelledList.count == 2 and not ui.unlabelledVolumesComboBox.checkedNodes() and not ui.addUnlabelledNodesButton.enabled
    panel.click(ui.checkButton)
    panel.idle()
    roles = [ui.checkTable.item(row, 2).text() for row in range(ui.checkTable.rowCount)]
    assert "All 4 subjects can be used" in ui.checkMessageLabel.text and roles == ["label map", "real", "unlabelled", "unlabelled"]
    panel.set_training(folder, 100_000, f"{COARSE} checkpoint_every=1")
    panel.click(ui.startButton)
    panel.wait(lambda: panel.widget.run.progress.checkpoint, "a checkpoint")
    assert [path.name for path in Run(folder).inputs.glob("unlabelled*")] and ui.unlabelledCollapsibleButton.collapsed
    panel.click(ui.stopButton)
    panel.wait(lambda: panel.phase == "stopped" and ui.resumeButton.enabled, "the stop")
    slicer.mrmlScene.Clear(0)
    panel.host.dialogs.answer(str(folder))
    panel.click(ui.openRunButton)
    panel.click(ui.resumeButton)
    panel.wait(lambda: panel.phase == "training", "a resumed training")
    panel.click(ui.stopButton)
    panel.wait(lambda: panel.phase == "stopped", "the stop")
    panel.idle()
    assert [subject["role"] for subject in Run(folder).cohort()["subjects"]].count("unlabelled") == 2
    assert "2 scans without labels" in ui.cardBrowser.toPlainText()


def test_a_training_goes_on_when_slicer_closes_and_is_found_again(panel: Panel, host: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    panel.use_loaded_head()
    panel.set_training(folder, 100_000)
    panel.ui.keepTrainingCheckBox.checked = True
    panel.click(panel.ui.startButton)
    panel.wait(lambda: panel.phase == "training", "a training")
    host.close_module()
    assert Run(folder).in_use() and not Run(folder).stop_requested()

    again = Panel(host)
    host.dialogs.answer(str(folder))
    again.click(again.ui.openRunButton)
    again.wait(lambda: again.phase == "training" and again.ui.stopButton.enabled, "the training of before")
    assert not again.ui.startButton.enabled and "under way" in again.ui.startButton.toolTip
    again.click(again.ui.stopButton)
    again.wait(lambda: again.phase == "stopped", "the stop")
    again.idle()


def test_a_training_that_was_not_to_be_kept_stops_with_slicer(panel: Panel, host: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    panel.use_loaded_head()
    panel.set_training(folder, 100_000)
    panel.click(panel.ui.startButton)
    panel.wait(lambda: panel.phase == "training", "a training")
    host.close_module()
    host.wait(lambda: not Run(folder).in_use(), SECONDS, "its end")
    assert Run(folder).status() == "stopped" and Run(folder).model_path.is_file()


def test_a_training_survives_the_scene_it_was_started_in(panel: Panel, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    panel.use_loaded_head()
    panel.set_training(folder, 100_000, "preview_every=5")
    panel.click(panel.ui.startButton)
    panel.wait(lambda: panel.widget.watch.watch and panel.widget.watch.watch.history.steps, "a preview")
    slicer.mrmlScene.Clear(0)
    assert panel.widget.watch.watch is None and panel.ui.runPathLineEdit.currentPath == str(folder)
    panel.ui.showPreviewsCheckBox.checked = True
    panel.wait(lambda: panel.widget.watch.watch.history.steps, "previews in the new scene")
    slicer.mrmlScene.RemoveNode(panel.widget.watch.watch.history.nodes["learned"])
    panel.wait(lambda: "deleted" in panel.ui.watchMessageLabel.text, "a word about the deleted preview")
    for _ in range(3):
        panel.widget.onTick()
    assert sum("deleted" in text for text in panel.widget.context.report) == 1
    panel.click(panel.ui.stopButton)
    panel.wait(lambda: panel.phase == "stopped", "the stop")
    panel.idle()


def test_resume_means_the_folder_that_is_shown(panel: Panel, waiting: Run, tmp_path: Path) -> None:
    path = panel.ui.runPathLineEdit
    assert not path.enabled and "under way" in path.toolTip
    panel.click(panel.ui.stopButton)
    panel.idle()
    assert path.enabled and "folder" in path.toolTip
    for name in ("here", "there"):
        Run(tmp_path / name).prepare({}, {})
    with Run(tmp_path / "here").locked():  # by a training of somebody else
        path.currentPath = str(tmp_path / "here")
        panel.wait(lambda: panel.ui.stopButton.enabled, "that training")
        path.currentPath = str(tmp_path / "there")
        panel.wait(lambda: panel.ui.resumeButton.enabled, "Resume")
        assert panel.widget.run.training.run.folder == tmp_path / "there"


@pytest.mark.usefixtures("waiting")
def test_a_disk_that_refuses_is_told_before_the_headline(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Run, "request_stop", refusing)
    monkeypatch.setattr("Learn2SynthPanel.jobs.training.remove", refusing)
    panel.ui.keepTrainingCheckBox.checked = True
    panel.wait(lambda: "(No space left on device); try again Reading" in panel.ui.trainMessageLabel.text, "a word about Keep")
    panel.click(panel.ui.stopButton)
    panel.wait(lambda: "press Stop again" in panel.ui.trainMessageLabel.text, "a word about Stop")
    panel.click(panel.ui.stopButton)
    panel.idle()


def test_whatever_one_section_meets_the_others_end_with_the_panel(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[str] = []
    monkeypatch.setattr(panel.widget.check, "stop", lambda: 1 / 0)
    for section in (panel.widget.environment, panel.widget.watch):
        monkeypatch.setattr(section, "stop", lambda: stopped.append("stopped"))
    with pytest.raises(ZeroDivisionError):
        panel.widget.cleanup()
    assert len(stopped) == 2 and not list(panel.widget.Observations)


def test_a_training_that_is_to_be_kept_stays_so_when_the_scene_closes(panel: Panel, waiting: Run) -> None:
    panel.ui.keepTrainingCheckBox.checked = True
    assert not waiting.owner_path.exists()
    slicer.mrmlScene.Clear(0)
    assert panel.ui.keepTrainingCheckBox.checked and panel.widget.context.settings.keep and not waiting.owner_path.exists()


def test_a_training_whose_disk_is_lost_says_so_and_goes_on_when_it_is_back(panel: Panel, waiting: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(_run: Run, _offset: int) -> None:
        raise OSError(errno.EHOSTDOWN, "Host is down")

    with monkeypatch.context() as without_disk:
        without_disk.setattr(Run, "events_from", lost)
        panel.wait(lambda: "Host is down" in panel.ui.headlineLabel.text, "a word about it")
        assert "Host is down" in panel.ui.trainMessageLabel.text and panel.ui.stopButton.enabled
    panel.wait(lambda: "Reading 1 subjects" in panel.ui.headlineLabel.text, "the usual words")


def test_a_section_that_fails_is_told_once_and_stops_no_other(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: list[str] = []
    monkeypatch.setattr(panel.widget.environment, "tick", lambda: 1 / 0)
    monkeypatch.setattr(panel.widget.watch, "tick", lambda: ticks.append("watch"))
    panel.widget.onTick()
    panel.widget.onTick()
    assert ticks == ["watch", "watch"] and ["division" in shown.text for shown in panel.host.dialogs.shown] == [True]
    assert "division by zero" in panel.widget.context.report


def test_a_folder_is_looked_at_when_typing_has_paused_or_it_is_needed(panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[str] = []
    follow = panel.widget.run.follow
    monkeypatch.setattr(panel.widget.run, "follow", lambda folder, **more: (followed.append(folder), follow(folder, **more)))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "letter.txt").touch()
    panel.use_loaded_head()
    for letters in ("r", "ru", "run"):
        panel.ui.runPathLineEdit.currentPath = str(tmp_path / letters)
    assert followed == [] and panel.ui.startButton.enabled
    panel.click(panel.ui.startButton)
    assert followed == [str(tmp_path / "run")] and not panel.ui.startButton.enabled and "something else" in panel.ui.startButton.toolTip
    panel.ui.runPathLineEdit.currentPath = str(tmp_path / "new")
    panel.wait(lambda: panel.ui.startButton.enabled, "a look at the folder")
    assert followed[1:] == [str(tmp_path / "new")]


def test_a_training_of_elsewhere_is_looked_at_now_and_then(panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, looks = Run(tmp_path / "run"), []
    run.prepare({}, {})
    with run.locked():
        panel.widget.run.follow(str(run.folder))
        monkeypatch.setattr(panel.widget.run.training, "poll", lambda: looks.append("look") or [])
        for _ in range(5):
            panel.widget.onTick()
        assert looks == ["look"]
        panel.wait(lambda: len(looks) > 1, "another look")


def test_the_last_words_of_a_training_of_elsewhere_are_heard(panel: Panel, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.prepare({}, {})
    with run.locked():
        run.append("loading", subjects=1)
        panel.widget.run.follow(str(run.folder))
        panel.wait(lambda: panel.phase == "loading", "its words")
        run.append("stopped", step=3)
    panel.idle()
    assert panel.phase == "stopped"


def test_whether_a_training_of_elsewhere_is_kept_is_shown_only(panel: Panel, tmp_path: Path) -> None:
    run, box = Run(tmp_path / "run"), panel.ui.keepTrainingCheckBox
    run.prepare({}, {})
    with run.locked():
        panel.ui.runPathLineEdit.currentPath = str(run.folder)
        panel.wait(lambda: not box.enabled, "the training of elsewhere")
        assert box.checked and "elsewhere" in box.toolTip and not panel.widget.context.settings.keep
    panel.wait(lambda: box.enabled and not box.checked, "the user's own choice")


def test_a_training_that_is_killed_says_so_and_can_be_resumed(panel: Panel, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    panel.use_loaded_head()
    panel.set_training(folder, 100_000, "checkpoint_every=1")
    panel.click(panel.ui.startButton)
    panel.wait(lambda: panel.widget.run.progress.checkpoint, "a checkpoint")
    os.kill(json.loads(Run(folder).lock_path.read_text())["pid"], signal.SIGKILL)
    panel.wait(lambda: panel.phase == "failed", "its end")
    panel.idle()
    assert "Resume" in panel.ui.trainMessageLabel.text and panel.ui.resumeButton.enabled
    panel.click(panel.ui.resumeButton)
    panel.wait(lambda: panel.phase == "training", "a resumed training")
    panel.click(panel.ui.stopButton)
    panel.wait(lambda: panel.phase == "stopped", "the stop")
    panel.idle()


def test_what_the_training_refuses_is_said_beside_the_button(panel: Panel, tmp_path: Path) -> None:
    panel.use_loaded_head()
    panel.set_training(tmp_path / "run", 2, "optimiser.lr=fast")
    panel.click(panel.ui.startButton)
    assert "optimiser" in panel.ui.trainMessageLabel.text and "fast" in panel.ui.trainMessageLabel.text
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    panel.ui.runPathLineEdit.currentPath = str(tmp_path / "other")
    panel.wait(lambda: not panel.ui.startButton.enabled and "something else" in panel.ui.startButton.toolTip, "a look at the folder")
    panel.host.dialogs.answer(str(tmp_path / "other"))
    panel.click(panel.ui.openRunButton)
    assert "holds no training" in panel.ui.trainMessageLabel.text


def test_a_training_that_was_refused_can_be_started_again_but_not_resumed(panel: Panel, tmp_path: Path) -> None:
    panel.use_loaded_head()
    panel.set_training(tmp_path / "run", 2, "learn2synth.begin=gone.l2s")
    panel.click(panel.ui.startButton)
    panel.wait(lambda: panel.phase == "failed", "the refusal")
    panel.idle()
    assert "gone.l2s" in panel.ui.trainMessageLabel.text and panel.ui.startButton.enabled
    assert not panel.ui.resumeButton.enabled and "no training" in panel.ui.resumeButton.toolTip


# --- the check


def test_labels_that_the_table_does_not_know_are_given_a_meaning(panel: Panel, tmp_path: Path) -> None:
    _, labels = panel.use_loaded_head()
    values = slicer.util.arrayFromVolume(labels)
    values[values == 10] = 7777
    labels.Modified()
    panel.choose(panel.ui.targetComboBox, "brain-coarse")
    panel.click(panel.ui.checkButton)
    panel.idle()
    ui = panel.ui
    assert "cannot be used" in ui.checkMessageLabel.text and not ui.startButton.enabled
    assert not ui.mappingCollapsibleButton.collapsed and ui.mappingTable.item(0, 0).text() == "7777"
    ui.checkTable.selectRow(0)
    assert "7777" in ui.checkMessageLabel.text
    thalamus = next(label.value for label in load_table("brain-coarse").foreground if 10 in label.freesurfer)
    for group in ("labels", "scans"):
        panel.choose(ui.mappingGroupComboBox, group)
        combo = ui.mappingTable.cellWidget(0, 2)
        combo.currentIndex = combo.findData(thalamus)
    panel.click(ui.checkButton)
    panel.idle()
    assert "All 2 subjects can be used" in ui.checkMessageLabel.text and ui.startButton.enabled
    panel.set_training(tmp_path / "run", 2)
    panel.click(ui.startButton)
    panel.wait(lambda: panel.phase == "finished", "the end")
    panel.idle()
    assert load_table(Run(tmp_path / "run").cohort()["subjects"][0]["table"])[7777].freesurfer


def test_a_meaning_that_was_given_can_be_taken_back(panel: Panel) -> None:
    mappings = panel.widget.context.settings.mappings
    mappings["labels"] = {"found": {"7777": 1}}
    panel.widget.check.forget()
    combo = panel.ui.mappingTable.cellWidget(0, 2)
    panel.choose(combo, NOT_USED)
    assert mappings["labels"]["edits"] == {"7777": NOT_USED}
    panel.choose(combo, UNDECIDED)
    assert mappings["labels"]["edits"] == {}


def test_files_and_folders_are_chosen_and_removed(panel: Panel, tmp_path: Path) -> None:
    image, labels = write_head(tmp_path)
    ui, dialogs = panel.ui, panel.host.dialogs
    dialogs.answer([labels])
    panel.click(ui.addLabelFilesButton)
    dialogs.answer([image], [labels])
    panel.click(ui.addScanFilesButton)
    dialogs.answer(str(tmp_path))
    panel.click(ui.addScanFolderButton)
    table = load_table("freesurfer").to_json() | {"name": "my own"}
    write_json(tmp_path / "meine Tabelle.json", table)
    dialogs.answer(str(tmp_path / "meine Tabelle.json"))
    panel.choose(ui.labelsTableComboBox, "file...")
    assert ui.labelsTableComboBox.currentText == "my own (294 structures)"
    assert (ui.labelMapsList.count, ui.scansTable.rowCount) == (1, 2)
    ui.scansTable.cellWidget(1, 2).currentIndex = 1
    assert panel.widget.context.settings.scans[1].use == "measure"
    ui.scansTable.selectRow(1)
    panel.click(ui.removeScanButton)
    ui.labelMapsList.item(0).setSelected(True)
    panel.click(ui.removeLabelButton)
    assert (ui.labelMapsList.count, ui.scansTable.rowCount) == (0, 1)
    dialogs.answer(str(tmp_path / "nirgends.json"))
    panel.choose(ui.labelsTableComboBox, "file...")
    assert "nirgends" in ui.mapsMessageLabel.text and ui.labelsTableComboBox.currentText == "my own (294 structures)"


def test_scans_without_labels_are_chosen_where_the_strategy_needs_them(panel: Panel, tmp_path: Path) -> None:
    image, labels = write_head(tmp_path)
    ui, dialogs = panel.ui, panel.host.dialogs
    assert ui.unlabelledCollapsibleButton.isHidden()
    panel.choose(ui.strategyComboBox, "learned_transforms")
    assert not ui.unlabelledCollapsibleButton.isHidden()
    dialogs.answer([image, str(tmp_path / "nirgends.nii.gz")])
    panel.click(ui.addUnlabelledFilesButton)
    dialogs.answer([image])
    panel.click(ui.addUnlabelledFilesButton)
    dialogs.answer(str(tmp_path))
    panel.click(ui.addUnlabelledFolderButton)
    assert [ui.unlabelledList.item(row).text() for row in range(ui.unlabelledList.count)] == ["kopf_T1w.nii.gz", "nirgends.nii.gz", tmp_path.name]
    dialogs.answer([image], [labels])
    panel.click(ui.addScanFilesButton)
    panel.click(ui.checkButton)
    panel.idle()
    assert "nirgends.nii.gz: no such file" in ui.checkMessageLabel.text and not ui.startButton.enabled
    ui.unlabelledList.item(1).setSelected(True)
    panel.click(ui.removeUnlabelledButton)
    assert ui.unlabelledList.count == 2 and ui.startButton.enabled
    panel.choose(ui.targetComboBox, "brain-coarse")
    panel.click(ui.checkButton)
    panel.idle()
    assert "All 2 subjects can be used" in ui.checkMessageLabel.text
    panel.choose(ui.strategyComboBox, "supervised")
    assert ui.unlabelledCollapsibleButton.isHidden() and panel.widget.check.verdict is None
    assert len(panel.widget.context.settings.unlabelled) == 2


def test_a_network_for_what_the_user_drew(panel: Panel) -> None:
    ui, (image, labels) = panel.ui, add_head(slicer.mrmlScene)
    panel.choose(ui.targetComboBox, "made...")
    assert "none has a segmentation of this scene; add a scan" in ui.checkMessageLabel.text and panel.widget.context.settings.target == "brain"
    ui.scanVolumeComboBox.setCurrentNode(image)
    ui.scanLabelsComboBox.setCurrentNode(add_segmentation(image, "Läsion", "left thalamus", "right thalamus"))
    panel.click(ui.addScanNodesButton)
    panel.choose(ui.targetComboBox, "made...")
    settings = panel.widget.context.settings
    assert settings.target == settings.scans_table == ui.targetComboBox.currentData == ui.scansTableComboBox.currentData
    assert [label.name for label in load_table(settings.target).foreground] == ["Läsion", "left thalamus", "right thalamus"]
    ui.labelNodeComboBox.setCurrentNode(labels)  # in FreeSurfer's numbers, which stay
    panel.click(ui.addLabelNodeButton)
    panel.click(ui.checkButton)
    panel.idle()
    assert "All 2 subjects can be used" in ui.checkMessageLabel.text


# --- the scene


def test_a_scene_that_is_saved_and_opened_again_restores_the_panel(panel: Panel, model: Path, tmp_path: Path) -> None:
    image, _ = panel.use_loaded_head()
    panel.tick(image)
    panel.use_model(model)
    panel.use_loaded_scans(1)
    panel.set_training(tmp_path / "run", 77)
    slicer.util.saveScene(str(tmp_path / "Szene.mrb"), {})
    slicer.mrmlScene.Clear(0)
    assert panel.ui.scansTable.rowCount == 0 and panel.widget.segment.volumes() == []
    assert panel.ui.unlabelledList.count == 0
    slicer.util.loadScene(str(tmp_path / "Szene.mrb"), {})
    ui = panel.ui
    panel.wait(lambda: [node.GetName() for node in panel.widget.segment.volumes()] == ["Head"], "the ticked volume")
    assert (ui.scansTable.rowCount, ui.labelMapsList.count, ui.unlabelledList.count, ui.stepsSpinBox.value) == (1, 1, 1, 77)
    assert (ui.strategyComboBox.currentData, ui.modelComboBox.currentData) == ("learned_transforms", str(model))
    assert not ui.unlabelledCollapsibleButton.isHidden()
    assert ui.segmentButton.enabled


def test_the_volume_of_an_opened_scene_is_ticked(panel: Panel, tmp_path: Path) -> None:
    add_head(slicer.mrmlScene)
    slicer.mrmlScene.RemoveNode(slicer.mrmlScene.GetSingletonNode("Learn2Synth", "vtkMRMLScriptedModuleNode"))  # a scene of somebody without the module
    slicer.util.saveScene(str(tmp_path / "Szene.mrb"), {})
    slicer.util.loadScene(str(tmp_path / "Szene.mrb"), {})
    panel.wait(lambda: [node.GetName() for node in panel.widget.segment.volumes()] == ["Head"], "the ticked volume")


def test_a_panel_that_is_gone_writes_nothing_into_the_scene(panel: Panel) -> None:
    image, _ = add_head(slicer.mrmlScene)
    panel.tick(image)
    node = slicer.mrmlScene.GetSingletonNode("Learn2Synth", "vtkMRMLScriptedModuleNode")
    before = node.GetAttribute("Learn2Synth.settings")
    panel.widget.cleanup()
    assert not panel.widget.segment.volumes()  # its widgets know the scene no longer
    panel.ui.stepsSpinBox.value = 7
    panel.ui.settingsLineEdit.text = "batch_size=3"
    assert node.GetAttribute("Learn2Synth.settings") == before


def test_a_table_or_preset_that_is_not_on_this_computer_gives_way_to_the_usual_one(panel: Panel) -> None:
    panel.widget.context.settings.scans_table = panel.widget.context.settings.preset = "/nirgends/Tabelle.json"
    panel.widget.saveSettings()
    panel.widget.onSceneChanged()
    assert "nirgends" in panel.ui.scansMessageLabel.text and panel.ui.scansTableComboBox.currentData == "freesurfer"
    assert "nirgends" in panel.ui.trainMessageLabel.text and panel.ui.presetComboBox.currentData == "quick-2d"


def test_a_node_that_is_removed_leaves_the_lists(panel: Panel) -> None:
    _, labels = panel.use_loaded_head()
    _, scan = panel.use_loaded_scans(2)
    slicer.mrmlScene.RemoveNode(labels)
    assert (panel.ui.scansTable.rowCount, panel.ui.labelMapsList.count, panel.ui.unlabelledList.count) == (0, 0, 2)
    slicer.mrmlScene.RemoveNode(scan)
    assert panel.ui.unlabelledList.count == 1


def test_without_its_only_volume_nothing_can_be_segmented(panel: Panel, model: Path) -> None:
    panel.use_model(model)
    image, _labels = add_head(slicer.mrmlScene)
    panel.tick(image)
    assert panel.ui.segmentButton.enabled
    slicer.mrmlScene.RemoveNode(image)
    panel.widget.segment.onSegment()  # a click that comes before the panel has noticed
    assert "none is chosen" in panel.ui.segmentMessageLabel.text and not panel.widget.segment.active
    panel.wait(lambda: not panel.ui.segmentButton.enabled, "the panel to notice")


def test_previews_stay_out_of_the_data_tree(panel: Panel) -> None:
    scene, hierarchy = slicer.mrmlScene, slicer.mrmlScene.GetSubjectHierarchyNode()
    preview, volume = add_node(scene, "vtkMRMLScalarVolumeNode", "prior", "a run"), scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "mine")
    for state in (scene.BatchProcessState, scene.ImportState):
        scene.StartState(state)
        scene.EndState(state)
        panel.wait(lambda: not panel.widget.importing, "the end of the import")
        assert hierarchy.GetItemByDataNode(volume) and not hierarchy.GetItemByDataNode(preview)


def test_previews_are_in_no_selector_of_the_panel(panel: Panel) -> None:
    scene, ui = slicer.mrmlScene, panel.ui
    volume, labels, sequence = (add_node(scene, f"vtkMRML{kind}Node", kind, "a run") for kind in ("ScalarVolume", "LabelMapVolume", "Sequence"))
    assert not volume.GetHideFromEditors()  # the views' own selectors have to know what they show
    for combo in (ui.labelNodeComboBox, ui.scanVolumeComboBox, ui.scanLabelsComboBox):
        for node in (volume, labels):
            combo.setCurrentNode(node)
        assert combo.currentNode() is None
    for combo in (ui.segmentVolumesComboBox, ui.unlabelledVolumesComboBox):
        for node in (volume, sequence):
            combo.setCheckState(node, qt.Qt.Checked)
        assert not combo.checkedNodes()
    image, _labels = add_head(scene)
    panel.wait(lambda: panel.widget.segment.volumes() == [image], "the tick at the user's own volume")


def test_the_self_test_of_the_module_passes(host: Any) -> None:
    panel = Panel(host)
    panel.idle()
    import sys

    test = sys.modules[type(panel.widget).__module__].Learn2SynthTest()
    test.runTest()
    host.packaging.missing = {"torch"}
    with pytest.raises(unittest.SkipTest, match="torch"):
        test.test_a_model_is_trained_and_segments()
    test.runTest()


# --- real scans


def test_a_real_scan_is_segmented_on_its_own_grid(panel: Panel, data_folder: Path, tmp_path: Path) -> None:
    people, ui = data_folder / "malf_t1_manual" / "train", panel.ui
    panel.host.dialogs.answer([str(people / "sub-1000_T1w.nii.gz")], [str(people / "sub-1000_dseg.nii.gz")])
    panel.click(ui.addScanFilesButton)
    panel.choose(ui.scansTableComboBox, "neuromorphometrics")
    panel.set_training(tmp_path / "run", 2)
    panel.click(ui.startButton)
    panel.wait(lambda: panel.phase == "finished", "the end")
    panel.idle()
    image = slicer.util.loadVolume(str(people / "sub-1001_T1w.nii.gz"), {})
    panel.wait(lambda: panel.widget.segment.volumes() == [image], "the tick at the only volume")
    panel.click(ui.applyButton)
    panel.idle()
    (result,) = panel.segmentations
    segments = result.GetSegmentation()
    assert segments.GetNumberOfSegments() > 0
    voxels = slicer.util.arrayFromSegmentBinaryLabelmap(result, segments.GetNthSegmentID(0), image)
    assert voxels.shape == slicer.util.arrayFromVolume(image).shape and voxels.any()


# --- two things at a time


def test_a_second_segmentation_waits_for_the_first(panel: Panel, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(tmp_path, monkeypatch, "tell('segmenting', image='x', done=0, count=1)\nwait_for('/nowhere')")
    image, _ = add_head(slicer.mrmlScene)
    run = Run(tmp_path / "run")
    run.append("finished", step=1)
    run.config_path.write_text("{}")
    run.model_path.write_bytes(model.read_bytes())
    panel.widget.run.follow(str(run.folder))
    panel.tick(image)
    panel.click(panel.ui.segmentButton)
    first = panel.widget.segment.work
    panel.click(panel.ui.applyButton)
    assert panel.widget.segment.work is first and "one is under way" in panel.ui.applyMessageLabel.text
    panel.click(panel.ui.cancelSegmentButton)
    end_all()


def test_what_is_changed_during_a_check_ends_it(panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(tmp_path, monkeypatch, "wait_for('/nowhere')")
    panel.use_loaded_head()
    panel.click(panel.ui.checkButton)
    assert panel.widget.check.active
    image, labels = add_head(slicer.mrmlScene)
    panel.ui.scanVolumeComboBox.setCurrentNode(image)
    panel.ui.scanLabelsComboBox.setCurrentNode(labels)
    panel.click(panel.ui.addScanNodesButton)
    assert not panel.widget.check.active and panel.widget.check.verdict is None
    assert panel.ui.checkMessageLabel.text == "What is to be checked was changed since: check again." and panel.ui.checkButton.enabled
    end_all()


def test_another_training_is_opened_once_this_one_has_ended(panel: Panel, waiting: Run) -> None:
    assert not panel.ui.openRunButton.enabled and panel.ui.openRunButton.toolTip == "A training is under way."
    panel.click(panel.ui.stopButton)
    panel.idle()
    assert panel.ui.openRunButton.enabled and panel.ui.openRunButton.toolTip.startswith("Open a training")

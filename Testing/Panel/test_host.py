"""The test host against facts: what holds in Slicer must hold in it, and what fails there must fail in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
import qt
import slicer
import slicer.util
import vtk

from Testing.Host import ui_files

MODULE = """
from pathlib import Path
import qt, slicer, vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

class Tiny(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Tiny")

class TinyWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.calls = []

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(str(Path(__file__).parent / "Tiny.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = TinyLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, lambda *_: self.calls.append("scene closed"))
        self.ui.apply.connect("clicked(bool)", self.onApply)
        self.ui.volume.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: self.calls.append(node and node.GetName()))

    def enter(self): self.calls.append("enter")
    def exit(self): self.calls.append("exit")
    def cleanup(self):
        self.calls.append("cleanup")
        self.removeObservers()

    def onApply(self, checked):
        with slicer.util.tryWithErrorDisplay(_("It failed."), waitCursor=True):
            self.logic.apply(self.ui.volume.currentNode())

class TinyLogic(ScriptedLoadableModuleLogic):
    def apply(self, node):
        if node is None:
            raise ValueError("no volume")
        self.getParameterNode().SetParameter("volume", node.GetID())
"""

CONNECTION = (
    "<connection><sender>Tiny</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>"
    "<receiver>volume</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection>"
)
COMBO = '<property name="noneEnabled"><bool>true</bool></property>'
UI = """<ui version="4.0"><class>Tiny</class>
<widget class="qMRMLWidget" name="Tiny"><layout class="QVBoxLayout" name="column">
 <item><widget class="ctkCollapsibleButton" name="section"><property name="text"><string>Section</string></property>
  <layout class="QVBoxLayout" name="inner">
   <item><widget class="qMRMLNodeComboBox" name="volume">
    <property name="nodeTypes"><stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
    {combo}
   </widget></item>
   <item><widget class="ctkPathLineEdit" name="folder">
    <property name="filters"><set>ctkPathLineEdit::Dirs|ctkPathLineEdit::Writable</set></property>
   </widget></item>
   <item><widget class="QPushButton" name="apply"><property name="text"><string>Apply</string></property></widget></item>
   <item><widget class="QPushButton" name="stop"><property name="text"><string>Stop</string></property></widget></item>
  </layout></widget></item>
</layout></widget><connections>{connection}</connections></ui>"""


@pytest.fixture
def tiny(host, tmp_path: Path):
    """tiny(connection, combo): a small module as Slicer's template makes them, opened; its .ui may lack or have too much of something."""

    def make(connection: str = CONNECTION, combo: str = COMBO):
        (tmp_path / "Tiny.ui").write_text(UI.format(connection=connection, combo=combo))
        (tmp_path / "Tiny.py").write_text(MODULE)
        return host.open_module(tmp_path / "Tiny.py")

    return make


def blocks(size: int = 40) -> np.ndarray:
    voxels = np.zeros((size, size, size), np.float32)
    voxels[8:-8, 8:-8, 8:-8] = 100
    return voxels


def volume_of(voxels: np.ndarray, name: str):
    node = slicer.util.addVolumeFromArray(voxels, name=name)
    node.SetOrigin(*(-(size - 1) / 2 for size in voxels.shape))
    node.CreateDefaultDisplayNodes()
    return node


# --- the scene, without Qt


def test_scene_loads_and_saves_with_the_functions_of_slicer(scene, tmp_path: Path):
    voxels = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    nibabel.save(nibabel.Nifti1Image(voxels.T, np.eye(4)), tmp_path / "köpf.nii.gz")
    loaded = slicer.util.loadVolume(tmp_path / "köpf.nii.gz")
    assert np.array_equal(slicer.util.arrayFromVolume(loaded), voxels)
    assert slicer.app.applicationLogic().GetSelectionNode().GetActiveVolumeID() == loaded.GetID()
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"), {})
    scene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"), {})
    assert np.array_equal(slicer.util.arrayFromVolume(slicer.util.getNode("köpf")), voxels)


def test_scene_is_fresh(scene):
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    assert slicer.mrmlScene is scene


def test_data_nodes_have_a_subject_hierarchy_item_while_they_live(scene):
    items = scene.GetSubjectHierarchyNode()
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    item = items.GetItemByDataNode(volume)
    assert item != items.GetInvalidItemID()
    scene.RemoveNode(volume)
    assert items.GetItemDataNode(item) is None


# --- names of PythonQt


def test_properties_are_attributes_both_ways(host):
    box, button, table = qt.QComboBox(), qt.QPushButton("Go"), qt.QTableWidget()
    box.addItems(["a", "b"])
    box.currentIndex = 1
    table.rowCount = 3
    button.name, button.toolTip, button.enabled = "go", "Goes", False
    assert (box.currentText, box.count, table.rowCount) == ("b", 2, 3)
    assert (button.text, button.objectName, button.toolTip, button.isEnabled()) == ("Go", "go", "Goes", False)
    assert button.sizeHint.width() > 0
    assert qt.QTableWidgetItem("x").text() == "x"  # no QObject: methods stay methods


def test_what_pythonqt_refuses_is_refused(host):
    button = qt.QPushButton("Go")
    with pytest.raises(TypeError):
        button.text()
    with pytest.raises(AttributeError, match="colour"):
        button.colour = "red"
    with pytest.raises(AttributeError, match="read-only"):
        qt.QComboBox().count = 3
    with pytest.raises(AttributeError, match="no signal"):
        button.connect("pushed()", print)
    with pytest.raises(TypeError):
        button.setText("a", "b")
    with pytest.raises(AttributeError):
        qt.QTableWidgetItem().colour = "red"


def test_signals_connect_by_name_and_by_signature(host):
    button, calls = qt.QPushButton(), []
    button.checkable = True
    button.connect("clicked(bool)", lambda checked: calls.append(checked))
    button.connect("clicked()", lambda: calls.append("signature"))
    button.clicked.connect(lambda: calls.append("name"))
    button.click()
    assert calls == [True, "signature", "name"]


def test_a_timer_tells_by_signature_until_it_is_disconnected(host):
    timer, calls = qt.QTimer(), []

    def tell() -> None:
        calls.append("timer")
        timer.disconnect("timeout()", tell)

    timer.connect("timeout()", tell)
    timer.start(1)
    host.wait(lambda: calls)
    qt.QTimer.singleShot(20, lambda: calls.append("later"))
    host.wait(lambda: "later" in calls)
    assert calls == ["timer", "later"]


def test_pythonslicer_runs_the_interpreter_as_its_child(host):
    launcher = shutil.which("PythonSlicer")
    code = "import os, sys; print(os.getppid()); sys.exit(7)"
    process = subprocess.Popen([launcher, "-c", code], stdout=subprocess.PIPE, text=True)
    output, _ = process.communicate(timeout=20)
    assert (int(output), process.returncode) == (process.pid, 7)
    assert str(Path(launcher).parent) not in slicer.util.startupEnvironment()["PATH"].split(os.pathsep)


# --- a module


def test_module_lives_as_in_slicer(host, tiny):
    widget = tiny()
    assert slicer.modules.TinyWidget is widget
    volume = volume_of(blocks(), "A")
    widget.ui.volume.setCurrentNode(volume)
    host.click(widget.ui.apply)
    assert widget.logic.getParameterNode().GetParameter("volume") == volume.GetID()
    host.scene.Clear(0)
    assert widget.ui.volume.currentNode() is None
    host.close_module()
    assert widget.calls == ["enter", "A", None, "scene closed", "exit", "cleanup"]
    assert not hasattr(slicer.modules, "tiny")


def test_module_is_reloaded(host, tiny):
    widget = tiny()
    widget.onReload()
    assert slicer.modules.TinyWidget is not widget
    assert widget.calls[-1] == "cleanup"
    assert slicer.modules.TinyWidget.ui.apply.text == "Apply"


def test_error_of_an_action_is_shown_and_collected(host, tiny):
    widget = tiny()
    host.click(widget.ui.apply)
    assert "It failed." in host.dialogs.shown[0].text
    assert "no volume" in host.errors[0]
    host.errors.clear()


def test_combo_without_scene_connection_stays_empty(host, tiny):
    widget = tiny(connection="")
    volume = volume_of(blocks(), "A")
    widget.ui.volume.setCurrentNode(volume)
    assert widget.ui.volume.currentNode() is None


def test_ui_with_an_unknown_property_is_refused(host, tiny):
    with pytest.raises(AttributeError, match="colour"):
        tiny(combo='<property name="colour"><string>red</string></property>')


@pytest.mark.parametrize(("there", "wrong"), [("setMRMLScene", "setScene"), ("mrmlSceneChanged", "sceneChanged")])
def test_ui_with_an_unknown_slot_or_signal_is_told(host, tiny, there: str, wrong: str):
    tiny(connection=CONNECTION.replace(there, wrong))
    assert wrong in host.errors[0]
    host.errors.clear()


def test_ui_with_an_unknown_class_is_told(host, tiny, monkeypatch):
    monkeypatch.delitem(ui_files.DOUBLES, "qMRMLNodeComboBox")
    with pytest.raises(AttributeError):
        tiny()
    assert "qMRMLNodeComboBox" in host.errors[0]
    host.errors.clear()


def test_first_node_is_chosen_where_none_is_no_choice(host, tiny):
    widget = tiny(combo="")
    first, second = volume_of(blocks(), "A"), volume_of(blocks(), "B")
    assert widget.ui.volume.currentNode() is first
    host.scene.RemoveNode(first)
    assert widget.ui.volume.currentNode() is second


def test_a_collapsed_section_is_as_low_as_its_header(host, tiny):
    section = tiny().ui.section
    host.window.show()
    host.wait(lambda: section.height > 100)
    section.collapsed = True
    host.wait(lambda: section.height < 40)
    section.collapsed = False
    host.wait(lambda: section.height > 100)


def test_checked_nodes_are_told_and_silently_forgotten_with_their_nodes(host):
    combo, calls = slicer.qMRMLCheckableNodeComboBox(), []
    combo.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    combo.setMRMLScene(host.scene)
    combo.connect("checkedNodesChanged()", lambda: calls.append([node.GetName() for node in combo.checkedNodes()]))
    first, second = volume_of(blocks(), "A"), volume_of(blocks(), "B")
    combo.setCheckState(second, qt.Qt.Checked)
    combo.setCheckState(first, qt.Qt.Checked)
    host.scene.RemoveNode(second)
    assert calls == [["B"], ["A", "B"]] and [node.GetName() for node in combo.checkedNodes()] == ["A"]  # untold, as in Slicer


def test_nodes_are_left_out_by_their_ids(host):
    combo = slicer.qMRMLNodeComboBox()
    combo.nodeTypes, combo.noneEnabled = ["vtkMRMLScalarVolumeNode"], True
    combo.setMRMLScene(host.scene)
    volume = volume_of(blocks(), "A")
    combo.setCurrentNode(volume)
    combo.sortFilterProxyModel().hiddenNodeIDs = [volume.GetID()]
    assert combo.currentNode() is None
    combo.sortFilterProxyModel().hiddenNodeIDs = []
    combo.setCurrentNode(volume)
    assert combo.currentNode() is volume


# --- dialogs and packages


def test_dialogs_are_written_down_and_answered(host, tiny):
    widget = tiny()
    host.dialogs.answer(qt.QMessageBox.Cancel, "/data/run", ["/data/a.nii", "/data/b.nii"])
    assert not slicer.util.confirmOkCancelDisplay("Install?", "Packages")
    widget.ui.folder.browse()
    assert widget.ui.folder.currentPath == "/data/run"
    assert qt.QFileDialog.getOpenFileNames(None, "Scans", "", "*.nii") == ["/data/a.nii", "/data/b.nii"]
    assert slicer.util.confirmYesNoDisplay("Sure?")
    assert [dialog.kind for dialog in host.dialogs.shown] == ["message", "getExistingDirectory", "getOpenFileNames", "message"]
    assert host.dialogs.shown[0].title == "Packages"


def test_packages_are_checked_and_never_installed(host):
    from slicer import packaging

    assert packaging.pip_check("numpy>=1.0")
    assert not packaging.pip_check("numpy>=99")
    host.packaging.missing.add("numpy")
    host.dialogs.answer(qt.QMessageBox.Cancel)
    with pytest.raises(RuntimeError, match="declined"):
        packaging.pip_ensure(["numpy"], requester="Tiny")
    packaging.pip_ensure(["numpy"], requester="Tiny")
    assert host.packaging.installed == ["numpy"]
    assert packaging.pip_check("numpy")


# --- errors and time


def test_exceptions_in_slots_are_collected(host):
    qt.QTimer.singleShot(0, lambda: 1 / 0)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        host.wait(lambda: False, 5)
    host.errors.clear()


def test_warnings_of_vtk_are_collected(host):
    vtk.vtkImageReslice().Update()
    assert "0 connections" in host.errors[0]
    host.errors.clear()


def test_a_cell_widget_that_was_replaced_is_gone(host):
    table = qt.QTableWidget(1, 1)
    for _ in range(2):
        table.setCellWidget(0, 0, qt.QComboBox())
    host.wait(lambda: len(table.findChildren(qt.QComboBox)) == 1)


def test_waiting_ends_at_the_deadline(host):
    with pytest.raises(AssertionError, match="the moon did not hold within 0.05 s"):
        host.wait(lambda: False, 0.05, "the moon")


def test_blocked_gui_is_measured(host):
    done = []

    def wait() -> None:
        time.sleep(0.3)
        done.append(1)

    def compute() -> None:
        end = time.thread_time() + 0.3
        while time.thread_time() < end:
            pass
        done.append(2)

    qt.QTimer.singleShot(0, wait)
    host.wait(lambda: 1 in done)
    assert host.longest_work_ms < 250 <= host.longest_block_ms
    host.measure()
    assert host.longest_block_ms == 0
    qt.QTimer.singleShot(0, compute)
    host.wait(lambda: 2 in done)
    assert min(host.longest_work_ms, host.longest_block_ms) >= 250


# --- views


def test_volumes_and_segmentation_are_drawn(host):
    empty = host.image_of("Red")
    volume, other = volume_of(blocks(), "A"), volume_of(blocks()[:, :, ::-1] * np.linspace(0, 2, 40, dtype=np.float32), "B")
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    first = host.image_of("Red")
    slicer.util.setSliceViewerLayers(foreground=other, foregroundOpacity=0.7)
    second = host.image_of("Red")
    assert empty.max() < first.max()
    assert not np.array_equal(first, second)
    slicer.util.setSliceViewerLayers(foreground=None)
    segmentation = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.CreateDefaultDisplayNodes()
    segment = segmentation.GetSegmentation().AddEmptySegment("s", "Thalamus", (1, 0, 0))
    slicer.util.updateSegmentBinaryLabelmapFromArray((blocks() > 0).astype(np.uint8), segmentation, segment, volume)
    red = host.image_of("Red").astype(int)
    assert ((red[..., 0] - red[..., 1]) > 40).mean() > 0.05, "the segmentation lies over the volume"
    before = host.image_of("3D")
    button = slicer.qMRMLSegmentationShow3DButton()
    button.setSegmentationNode(segmentation)
    button.click()
    slicer.app.layoutManager().resetThreeDViews()
    assert not np.array_equal(before, host.image_of("3D"))


def test_plot_is_drawn_in_its_layout_and_follows_its_table(host):
    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView)
    plot, empty = manager.view("plot"), host.image_of("plot")
    nodes: dict = {}
    steps = np.arange(20.0)
    chart = slicer.util.plot(np.c_[steps, steps**2], 0, ["step", "loss"], title="Loss", show=False, nodes=nodes)
    nodes["series"][0].SetColor(1, 0, 0)
    host.scene.GetFirstNodeByClass("vtkMRMLPlotViewNode").SetPlotChartNodeID(chart.GetID())
    assert plot in manager.shown() and plot.is_dirty()
    curve = host.image_of("plot").astype(int)
    assert ((curve[..., 0] - curve[..., 1]) > 100).sum() > 50, "a red curve"
    assert not np.array_equal(empty, curve) and not plot.is_dirty()
    slicer.util.plot(np.c_[steps, -steps], 0, ["step", "loss"], title="Loss", show=False, nodes=nodes)
    assert plot.is_dirty()


def test_axes_are_measured_when_a_series_joins_and_not_when_it_grows(host):
    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView)
    nodes: dict = {}
    slicer.util.plot(np.c_[np.arange(5.0), np.arange(5.0)], 0, ["step", "loss"], show=False, nodes=nodes)
    chart, series = nodes["chart"], nodes["series"][0]
    host.scene.GetFirstNodeByClass("vtkMRMLPlotViewNode").SetPlotChartNodeID(chart.GetID())
    bottom = manager.view("plot").axis("X")

    def drawn() -> tuple[float, float]:
        host.image_of("plot")
        return bottom.GetMinimum(), bottom.GetMaximum()

    short = drawn()
    slicer.util.updateTableFromArray(series.GetTableNode(), np.c_[np.arange(500.0), np.arange(500.0)], ["step", "loss"])
    assert drawn() == short and short[1] < 10
    chart.SetXAxisRangeAuto(False)
    chart.SetXAxisRange(0, 600)
    assert drawn() == (0, 600)
    chart.SetXAxisRangeAuto(True)
    chart.RemoveAllPlotSeriesNodeIDs()
    host.image_of("plot")
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    assert 499 <= drawn()[1] < 600


def test_a_closed_scene_leaves_the_views_empty_and_alive(host):
    slicer.util.setSliceViewerLayers(background=volume_of(blocks(), "A"), fit=True)
    drawn = host.image_of("Green")
    host.scene.Clear(0)
    assert host.image_of("Green").max() < drawn.max()
    assert slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceNode().GetOrientation() == "Axial"


def test_wheel_scrolls_the_slices_of_linked_views(host):
    slicer.util.setSliceViewerLayers(background=volume_of(blocks(), "A"), fit=True)
    red, green = (slicer.app.layoutManager().sliceWidget(name) for name in ("Red", "Green"))
    for view in (red, green):
        view.sliceLogic().GetSliceNode().SetOrientationToAxial()
        view.sliceLogic().GetSliceCompositeNode().SetLinkedControl(True)
    before = red.sliceLogic().GetSliceOffset()
    place, turn = qt.QPointF(50, 50), qt.QPoint(0, 120)
    qt.QApplication.sendEvent(red, qt.QWheelEvent(place, place, turn, turn, qt.Qt.NoButton, qt.Qt.NoModifier, qt.Qt.NoScrollPhase, False))
    assert red.sliceLogic().GetSliceOffset() == before + 1
    assert green.sliceLogic().GetSliceOffset() == red.sliceLogic().GetSliceOffset()


def test_screenshot_has_the_panel_and_four_views(host, tiny, tmp_path: Path):
    tiny()
    slicer.util.setSliceViewerLayers(background=volume_of(blocks(), "A"), fit=True)
    host.screenshot(tmp_path / "window.png", 1000, 700)
    image = qt.QImage(str(tmp_path / "window.png"))
    assert (image.width(), image.height()) == (1000, 700)
    colours = {image.pixelColor(x, 4).name() for x in range(1000)}
    assert {"#f34a33", "#7cb8e0"} <= colours, "the bars of the red and the 3D view"

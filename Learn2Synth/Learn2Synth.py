"""Learn2Synth for 3D Slicer: segment brain scans, train models of one's own, watch them learn.

This file is what Slicer asks for; the panel's sections are in Learn2SynthPanel, the library, which runs in processes of its own, in Learn2SynthLib.
"""

import sys
import traceback
from contextlib import ExitStack
from pathlib import Path

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleLogic, ScriptedLoadableModuleTest, ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

HERE = Path(__file__).resolve().parent
# Installed, the library lies beside this file; in a checkout it lies one folder up. First, so that no copy among the installed packages is taken for it.
sys.path[:] = dict.fromkeys([str(HERE), str(HERE.parent), *sys.path])

from Learn2SynthPanel import sample_data  # noqa: E402
from Learn2SynthPanel.nodes import previews, unlist  # noqa: E402
from Learn2SynthPanel.self_test import SelfTest  # noqa: E402
from Learn2SynthPanel.settings import Settings  # noqa: E402

from Learn2SynthLib.resources import resource  # noqa: E402

TICK_MS = 200  # between two looks at what runs in the background


class Learn2Synth(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "Learn2Synth"
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Segmentations", "Sequences", "SubjectHierarchy"]
        self.parent.contributors = ["The Learn2Synth contributors"]
        self.parent.icon = qt.QIcon(str(resource("Icons", "Learn2Synth.png")))
        self.parent.helpText = _(
            "Segments brain scans of any contrast, and trains networks for it on synthetic images whose synthesis is learned from a few annotated scans."
        )
        self.parent.acknowledgementText = _(
            "Method: Hu, Zeng, Puonti, Iglesias, Fischl and Balbastre, Learn2Synth: Learning Optimal Data Synthesis using Hypergradients for Brain Image "
            "Segmentation, ICCV 2025. An independent implementation. Not a medical device; for research only."
        )
        slicer.app.connect("startupCompleted()", sample_data.register)


class Learn2SynthWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: connects its sections with the scene and with one timer."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.sections = ()
        self.failed = set()
        self.importing = False
        self.reloading = False

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.uiWidget = slicer.util.loadUI(str(resource("UI", "Learn2Synth.ui")))
        self.layout.addWidget(self.uiWidget)
        self.ui = slicer.util.childWidgetVariables(self.uiWidget)
        self.logic = Learn2SynthLogic()
        self.timer = qt.QTimer()
        self.timer.setInterval(TICK_MS)
        self.timer.connect("timeout()", self.onTick)
        self._makeSections()
        self.uiWidget.setMRMLScene(slicer.mrmlScene)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneChanged)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartImportEvent, self.onSceneStartImport)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAddedEvent, self.onNodeAdded)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self.onNodeRemoved)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndBatchProcessEvent, self.onSceneEndBatch)
        self.onSceneChanged()

    def _makeSections(self):
        # Imported here: they need a running Slicer, and Slicer loads this file before it is one.
        from Learn2SynthPanel.sections.apply import ApplySection
        from Learn2SynthPanel.sections.check import CheckSection
        from Learn2SynthPanel.sections.context import Context
        from Learn2SynthPanel.sections.data import DataSection
        from Learn2SynthPanel.sections.environment import EnvironmentSection
        from Learn2SynthPanel.sections.run import RunSection
        from Learn2SynthPanel.sections.segment import SegmentSection
        from Learn2SynthPanel.sections.watch import WatchSection

        self.context = Context(self.ui, self.saveSettings, self.timer.start)
        self.environment = EnvironmentSection(self.context)
        self.watch = WatchSection(self.context)
        self.segment = SegmentSection(self.context, self.environment.ready, self.watch.hide)
        self.apply = ApplySection(self.context, self.segment.segment_with)
        self.run = RunSection(self.context, self.environment.ready, lambda: self.check.verdict, self.onRunOpened, self.onRunTold, self.onStrategyChanged)
        self.check = CheckSection(self.context, self.environment.ready, self.run.update, lambda: self.data.restore())
        self.data = DataSection(self.context, self.check.forget)
        self.sections = (self.environment, self.segment, self.data, self.check, self.run, self.watch)

    # --- the scene

    def enter(self):
        """The user opens the module."""
        self.environment.look()
        self.segment.tick_shown()

    def exit(self):
        """The user goes to another module; what runs goes on."""

    def cleanup(self):
        """Slicer closes, or reloads the module: nothing of ours stays behind but a training that was to be kept, which a reload does not end either."""
        self.timer.stop()
        with ExitStack() as last:  # each in any case, whatever another meets
            last.callback(self.uiWidget.deleteLater)
            last.callback(self.uiWidget.setMRMLScene, None)
            last.callback(self.removeObservers)
            for section in self.sections:
                last.callback(section.stop)
            if not self.reloading:
                last.callback(self.run.leave)
            self.sections = ()

    def saveSettings(self):
        """Unless it is the scene that changes the widgets, while it is read, or the panel is gone."""
        if self.sections and not self.importing:
            self.context.settings.write(self.logic.getParameterNode())

    def onSceneStartClose(self, caller=None, event=None):
        """What works with nodes ends with them; a training goes on."""
        for section in (self.segment, self.check, self.watch):
            section.stop()

    def onSceneStartImport(self, caller, event):
        """While a scene is read, widgets lose and find their nodes: that is nothing that the user chose."""
        self.importing = True

    def onSceneEndImport(self, caller, event):
        self._soon(self.onSceneOpened)  # once the widgets know the new nodes

    def onSceneOpened(self):
        self.onSceneChanged()
        self.segment.tick_shown()

    def onSceneChanged(self, caller=None, event=None):
        """A scene was opened, or closed: the panel shows what it says."""
        self.importing = False
        unlist(slicer.mrmlScene, *previews(slicer.mrmlScene))
        self.context.settings = Settings.read(self.logic.getParameterNode())
        for section in self.sections:
            section.restore()

    def onSceneEndBatch(self, caller, event):
        unlist(slicer.mrmlScene, *previews(slicer.mrmlScene))

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, caller, event, node):
        if node.IsA("vtkMRMLScalarVolumeNode"):
            self._hidePreviews()
            self._soon(self.segment.tick_shown)  # once it is loaded

    def _hidePreviews(self):
        """The panel's selectors do not offer what it shows a training with; those of the views have to."""
        hidden = [node.GetID() for node in previews(slicer.mrmlScene)]
        ui = self.ui
        for combo in (ui.segmentVolumesComboBox, ui.labelNodeComboBox, ui.scanVolumeComboBox, ui.scanLabelsComboBox, ui.unlabelledVolumesComboBox):
            combo.sortFilterProxyModel().hiddenNodeIDs = hidden

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeRemoved(self, caller, event, node):
        if not slicer.mrmlScene.IsClosing() and node.GetID() in self.context.settings.nodes():
            self.data.forget(node.GetID())
            self._soon(self.segment.update)  # the list of ticked volumes is shorter now, and does not tell

    def _soon(self, work):
        """When the scene's event is over, unless the panel is gone by then."""
        qt.QTimer.singleShot(0, lambda: work() if self.sections else None)

    # --- what runs

    def onStrategyChanged(self):
        """Another strategy may need other data, and what was checked for the one is not yet good for the other."""
        self.data.update()
        self.check.forget()

    def onRunOpened(self, run, progress, show):
        self.apply.open(run)
        self.watch.open(run, progress, show)

    def onRunTold(self):
        self.apply.update()
        self.watch.told()

    def onTick(self):
        for section in self.sections:
            self._tick(section)
        if not any(section.active for section in self.sections):
            self.timer.stop()
            self.segment.offer_models()

    def _tick(self, section):
        """What goes wrong in one section is told once, however often it is met, and stops no other."""
        try:
            section.tick()
        except Exception as error:
            if section not in self.failed:
                self.failed.add(section)  # before it is shown: the timer goes on behind the window
                self.context.report.append(str(error))
                slicer.util.errorDisplay(f"{_('Learn2Synth met an unexpected error.')}\n\n{error}", detailedText=traceback.format_exc())

    def onReload(self):
        """Reloads the panel and the library too."""
        self.reloading = True
        for name in [name for name in sys.modules if name.split(".")[0] in ("Learn2SynthPanel", "Learn2SynthLib")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class Learn2SynthLogic(ScriptedLoadableModuleLogic):
    """Keeps the parameter node; what the module does is in Learn2SynthPanel, without Qt."""


class Learn2SynthTest(SelfTest, ScriptedLoadableModuleTest):
    """The module's self-test; `SelfTest` has the tests, which need no network."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.run_all()

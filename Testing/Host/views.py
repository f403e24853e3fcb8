"""Slice and 3D views: drawn off screen by Slicer's own displayable managers, the picture put into a label.

The MRML side (nodes and logics) is there from the start, the drawing side from the first `render()` on, so tests that look at no view pay for none.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from Testing.Host import qt_names

qt = qt_names.qt_module()
SLICE_VIEWS = {"Red": ("R", "Axial", "#f34a33"), "Yellow": ("Y", "Sagittal", "#edd54c"), "Green": ("G", "Coronal", "#6eb04b")}
SLICE_MANAGERS = ("VolumeGlyphSlice", "ModelSlice", "Segmentations{}2D", "Crosshair", "OrientationMarker", "Ruler", "ScalarBar")
THREE_D_MANAGERS = ("Camera", "View", "Model", "Segmentations{}3D", "OrientationMarker", "Ruler")


def manager_names(short: tuple[str, ...]) -> list[str]:
    """Class names; the number of dimensions comes last in them."""
    return ["vtkMRML" + (name if "{}" in name else name + "{}").format("DisplayableManager") for name in short]


class View(qt.QWidget):
    """A coloured bar with a letter, and below it the picture. `dirty`: something has changed since the last `render()`."""

    IS_DOUBLE = True

    def __init__(self, label: str, colour: str) -> None:
        super().__init__()
        self._dirty = True
        self._window: vtk.vtkRenderWindow | None = None
        self._bar, self._caption, self._picture = qt.QLabel(), qt.QLabel(label), qt.QLabel()
        self._bar.setStyleSheet(f"background: {colour}; color: #202020; padding: 2px 6px;")
        self._bar.setText(label)
        self._picture.setMinimumSize(120, 100)
        self._picture.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Ignored)
        self._picture.setStyleSheet("background: black;")
        column = qt.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._bar)
        column.addWidget(self._picture, 1)

    def is_dirty(self) -> bool:
        return self._dirty

    def touch(self, *_: Any) -> None:
        """Draw again at the next opportunity."""
        self._dirty = True

    def pixels(self) -> tuple[int, int]:
        return max(self._picture.width, 120), max(self._picture.height, 100)

    def render(self, *_: Any) -> qt.QImage:
        """Draw now. Slicer's widgets have forceRender and scheduleRender for it."""
        if self._window is None:
            self._window = vtk.vtkRenderWindow()
            self._window.SetOffScreenRendering(1)
            self._window.SetMultiSamples(0)
            self._window.SetSize(*self.pixels())
            self.start_drawing(self._window)
        self._window.SetSize(*self.pixels())
        self.before_drawing(*self.pixels())
        self._window.Render()
        image = image_of(self._window)
        self.annotate(image)
        self._picture.setPixmap(qt.QPixmap.fromImage(image))
        self._dirty = False
        return image

    def resizeEvent(self, _event: qt.QResizeEvent) -> None:
        self._dirty = True

    def start_drawing(self, window: vtk.vtkRenderWindow) -> None:
        raise NotImplementedError

    def before_drawing(self, width: int, height: int) -> None:
        """What follows the size of the picture."""

    def annotate(self, image: qt.QImage) -> None:
        """Words over the picture."""

    def close_drawing(self) -> None:
        """Give the graphics memory back while Qt still lives."""
        if self._window is not None:
            self._window.Finalize()
        self._window = None


def image_of(window: vtk.vtkRenderWindow) -> qt.QImage:
    width, height = window.GetSize()
    data = vtk.vtkUnsignedCharArray()
    window.GetPixelData(0, 0, width - 1, height - 1, 0, data, 0)
    return qt.QImage(bytes(memoryview(data)), width, height, 3 * width, qt.QImage.Format_RGB888).flipped(qt.Qt.Vertical)


def interactor_for(window: vtk.vtkRenderWindow) -> vtk.vtkGenericRenderWindowInteractor:
    """Some displayable managers want one, though nobody turns it."""
    interactor = vtk.vtkGenericRenderWindowInteractor()
    interactor.SetRenderWindow(window)
    return interactor


def displayable_managers(factory: Any, names: list[str], renderer: vtk.vtkRenderer, node: Any, changed: Any) -> Any:
    """The group of managers that draw the nodes of the scene into the renderer; `changed` is called when they want to be drawn."""
    factory.SetMRMLApplicationLogic(slicer.app.applicationLogic())
    for name in names:
        if not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)
    group = factory.InstantiateDisplayableManagers(renderer)
    group.SetMRMLDisplayableNode(node)
    group.AddObserver(vtk.vtkCommand.UpdateEvent, changed)
    return group


class SliceView(View):
    """qMRMLSliceWidget and its slice view in one."""

    def __init__(self, name: str) -> None:
        label, orientation, colour = SLICE_VIEWS[name]
        super().__init__(label, colour)
        self._name, self._orientation = name, orientation
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        self._logic.SetMRMLScene(slicer.mrmlScene)
        self._logic.SetSliceNode(slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLSliceNode"))  # the layout has made it
        self._node = self._logic.GetSliceNode()
        self._node.SetLayoutLabel(label)
        self._node.SetLayoutColor(*qt.QColor(colour).getRgbF()[:3])
        self.reset()
        slicer.app.applicationLogic().GetSliceLogics().AddItem(self._logic)
        self._logic.AddObserver(vtk.vtkCommand.ModifiedEvent, self.touch)
        self._node.AddObserver(vtk.vtkCommand.ModifiedEvent, self.touch)

    def reset(self) -> None:
        """As it is in a new scene."""
        self._node.SetOrientation(self._orientation)
        self._node.SetMappedInLayout(1)
        self._logic.ResizeSliceNode(*self.pixels())

    def mrmlSliceNode(self) -> slicer.vtkMRMLSliceNode:
        return self._node

    def mrmlSliceCompositeNode(self) -> slicer.vtkMRMLSliceCompositeNode:
        return self._logic.GetSliceCompositeNode()

    def sliceLogic(self) -> slicer.vtkMRMLSliceLogic:
        return self._logic

    def sliceView(self) -> SliceView:
        return self

    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()

    def wheelEvent(self, event: qt.QWheelEvent) -> None:
        """Scroll through the slices, those of linked views too."""
        step = self._logic.GetLowestVolumeSliceSpacing()[2]
        self._logic.StartSliceOffsetInteraction()
        self._logic.SetSliceOffset(self._logic.GetSliceOffset() + (step if event.angleDelta().y() > 0 else -step))
        self._logic.EndSliceOffsetInteraction()

    def start_drawing(self, window: vtk.vtkRenderWindow) -> None:
        """The volumes first: what is added later lies over what was added before."""
        self._renderer, self._mapper, self._actor = vtk.vtkRenderer(), vtk.vtkImageMapper(), vtk.vtkActor2D()
        window.AddRenderer(self._renderer)
        self._interactor = interactor_for(window)
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self._renderer.AddViewProp(self._actor)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        self._managers = displayable_managers(factory, manager_names(SLICE_MANAGERS), self._renderer, self._node, self.touch)

    def before_drawing(self, width: int, height: int) -> None:
        if tuple(self._node.GetDimensions()[:2]) != (width, height):
            self._logic.ResizeSliceNode(width, height)
        self._logic.UpdatePipeline()
        source = self._logic.GetImageDataConnection()
        self._mapper.SetInputConnection(source)
        self._actor.SetVisibility(source is not None)

    def annotate(self, image: qt.QImage) -> None:
        """Slice position in the bar; the names of the volumes below left, as Slicer's data probe writes them."""
        self._bar.text = f"{SLICE_VIEWS[self._name][0]}    {self._node.GetOrientation()}    {self._logic.GetSliceOffset():.1f} mm"
        composite, lines = self.mrmlSliceCompositeNode(), []
        for letter, get in (("L", composite.GetLabelVolumeID), ("F", composite.GetForegroundVolumeID), ("B", composite.GetBackgroundVolumeID)):
            volume = slicer.mrmlScene.GetNodeByID(get() or "")
            lines += [f"{letter}: {volume.GetName()}"] if volume else []
        painter = qt.QPainter(image)
        painter.setPen(qt.QColor("#e8e8e8"))
        painter.drawText(image.rect().adjusted(6, 0, -6, -5), qt.Qt.AlignBottom | qt.Qt.AlignLeft, "\n".join(lines))
        painter.end()


class ThreeDView(View):
    """qMRMLThreeDWidget and its view in one."""

    def __init__(self) -> None:
        super().__init__("1", "#7cb8e0")
        self._node = slicer.mrmlScene.GetSingletonNode("1", "vtkMRMLViewNode")
        self._node.AddObserver(vtk.vtkCommand.ModifiedEvent, self.touch)

    def threeDView(self) -> ThreeDView:
        return self

    def mrmlViewNode(self) -> slicer.vtkMRMLViewNode:
        return self._node

    def start_drawing(self, window: vtk.vtkRenderWindow) -> None:
        self._renderer = vtk.vtkRenderer()
        window.AddRenderer(self._renderer)
        self._interactor = interactor_for(window)
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        self._managers = displayable_managers(factory, manager_names(THREE_D_MANAGERS), self._renderer, self._node, self.touch)

    def resetFocalPoint(self) -> None:
        """Look at all that is there, from the front."""
        if self._window is None:
            self.render()
        camera = self._renderer.GetActiveCamera()
        camera.SetFocalPoint(0, 0, 0)
        camera.SetPosition(0, 500, 0)
        camera.SetViewUp(0, 0, 1)
        self._renderer.ResetCamera()
        self._dirty = True

    resetCamera = resetFocalPoint

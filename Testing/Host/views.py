"""Slice and 3D views: drawn off screen by Slicer's own displayable managers, the picture put into a label.

The MRML side (nodes and logics) is there from the start, the drawing side from the first `render()` on, so tests that look at no view pay for none.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from Testing.Host.qt_names import qt

SLICE_VIEWS = {"Red": ("R", "Axial", "#f34a33"), "Yellow": ("Y", "Sagittal", "#edd54c"), "Green": ("G", "Coronal", "#6eb04b")}


class View(qt.QWidget):
    """A coloured bar with words, and below it the picture, which is drawn again where the view is dirty: something has changed since."""

    def __init__(self, label: str, colour: str, node: slicer.vtkMRMLNode) -> None:
        super().__init__()
        self._node, self._dirty = node, True
        self._window: vtk.vtkRenderWindow | None = None
        self._bar, self._picture, column = qt.QLabel(label), qt.QLabel(), qt.QVBoxLayout(self)
        self._bar.setStyleSheet(f"background: {colour}; color: #202020; padding: 2px 6px;")
        self._picture.setMinimumSize(120, 100)
        self._picture.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Ignored)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._bar)
        column.addWidget(self._picture, 1)
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._touch)

    def _touch(self, *_: Any) -> None:
        self._dirty = True

    def is_dirty(self) -> bool:
        return self._dirty

    def render(self) -> qt.QImage:
        """Draw now."""
        if self._window is None:
            self._window = vtk.vtkRenderWindow()
            self._window.SetOffScreenRendering(1)
            self._window.SetMultiSamples(0)
            self._start_drawing(self._window)
        self._window.SetSize(*self.pixels())
        self._before_drawing()
        self._window.Render()
        image = _image_of(self._window)
        self._annotate(image)
        self._picture.setPixmap(qt.QPixmap.fromImage(image))
        self._dirty = False
        return image

    def pixels(self) -> tuple[int, int]:
        return max(self._picture.width, 120), max(self._picture.height, 100)

    def resizeEvent(self, _event: qt.QResizeEvent) -> None:
        self._dirty = True

    def _start_drawing(self, window: vtk.vtkRenderWindow) -> None:
        raise NotImplementedError

    def _before_drawing(self) -> None:
        """What follows the nodes and the size of the picture."""

    def _annotate(self, image: qt.QImage) -> None:
        """Words over the picture."""

    def _add_managers(self, factory: Any, names: tuple[str, ...]) -> None:
        """Displayable managers, which draw the nodes of the scene; some want an interactor, though nobody turns it."""
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        factory.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        for name in names:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self._managers = factory.InstantiateDisplayableManagers(self._renderer)
        self._managers.SetMRMLDisplayableNode(self._node)
        self._managers.AddObserver(vtk.vtkCommand.UpdateEvent, self._touch)


def _image_of(window: vtk.vtkRenderWindow) -> qt.QImage:
    width, height = window.GetSize()
    data = vtk.vtkUnsignedCharArray()
    window.GetPixelData(0, 0, width - 1, height - 1, 0, data, 0)
    return qt.QImage(bytes(memoryview(data)), width, height, 3 * width, qt.QImage.Format_RGB888).flipped(qt.Qt.Vertical)


class SliceView(View):
    """qMRMLSliceWidget and its slice view in one."""

    def __init__(self, name: str) -> None:
        self._label, orientation, colour = SLICE_VIEWS[name]
        super().__init__(self._label, colour, slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLSliceNode"))  # the layout has made it
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        self._logic.SetMRMLScene(slicer.mrmlScene)
        self._logic.SetSliceNode(self._node)
        self._node.SetOrientation(orientation)
        self._node.SetMappedInLayout(1)
        self._logic.ResizeSliceNode(*self.pixels())
        slicer.app.applicationLogic().GetSliceLogics().AddItem(self._logic)
        self._logic.AddObserver(vtk.vtkCommand.ModifiedEvent, self._touch)

    def sliceLogic(self) -> slicer.vtkMRMLSliceLogic:
        return self._logic

    def wheelEvent(self, event: qt.QWheelEvent) -> None:
        """Scroll through the slices, those of linked views too."""
        step = self._logic.GetLowestVolumeSliceSpacing()[2]
        self._logic.StartSliceOffsetInteraction()
        self._logic.SetSliceOffset(self._logic.GetSliceOffset() + (step if event.angleDelta().y() > 0 else -step))
        self._logic.EndSliceOffsetInteraction()

    def _start_drawing(self, window: vtk.vtkRenderWindow) -> None:
        """The volumes first: what is added later lies over what was added before."""
        self._renderer, self._mapper, self._actor = vtk.vtkRenderer(), vtk.vtkImageMapper(), vtk.vtkActor2D()
        window.AddRenderer(self._renderer)
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self._renderer.AddViewProp(self._actor)
        self._add_managers(slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(), ("vtkMRMLSegmentationsDisplayableManager2D",))

    def _before_drawing(self) -> None:
        if tuple(self._node.GetDimensions()[:2]) != self.pixels():
            self._logic.ResizeSliceNode(*self.pixels())
        self._logic.UpdatePipeline()
        source = self._logic.GetImageDataConnection()
        self._mapper.SetInputConnection(source)
        self._actor.SetVisibility(source is not None)

    def _annotate(self, image: qt.QImage) -> None:
        """Slice position in the bar; the names of the volumes below left, as Slicer's data probe writes them."""
        self._bar.text = f"{self._label}    {self._node.GetOrientation()}    {self._logic.GetSliceOffset():.1f} mm"
        composite, lines = self._logic.GetSliceCompositeNode(), []
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
        super().__init__("1", "#7cb8e0", slicer.mrmlScene.GetSingletonNode("1", "vtkMRMLViewNode"))

    def _start_drawing(self, window: vtk.vtkRenderWindow) -> None:
        self._renderer = vtk.vtkRenderer()
        window.AddRenderer(self._renderer)
        names = tuple(f"vtkMRML{name}DisplayableManager" for name in ("Camera", "View"))
        self._add_managers(slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), (*names, "vtkMRMLSegmentationsDisplayableManager3D"))

    def reset(self) -> None:
        """Look at all that is there, from the front."""
        self.render()
        camera = self._renderer.GetActiveCamera()
        camera.SetFocalPoint(0, 0, 0)
        camera.SetPosition(0, 500, 0)
        camera.SetViewUp(0, 0, 1)
        self._renderer.ResetCamera()
        self._dirty = True

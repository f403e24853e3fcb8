"""The slice views that show a training: before learning, after learning, and a real scan, side by side, with a plot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer

from ..nifti import Volume
from ..nodes import is_there

_CONTENT = {"Red": ("prior", "labels"), "Green": ("learned", "labels"), "Yellow": ("real", "prediction")}  # Green lies below Red
_ALONE = 1  # Slicer links the views of a group: before and after scroll together, the real scan, of another head, by itself
_MARGIN = 1.05
_VEIL = 0.25  # opacity of labels; outlines would hide the half of a cortex of coarse voxels
_LAYOUT = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView


class SliceViews:
    """The views Red, Yellow and Green of a scene, and what they showed before."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._former: dict[str, tuple[Any, Any]] = {}
        self._layout: tuple[Any, int] | None = None
        self._hidden: list[Any] = []

    def lay_out(self, layout_manager: Any) -> None:
        """Changes to three slice views and a plot; None: the layout stays. The user's segmentations, which every view shows, are hidden meanwhile."""
        self._hidden += [display for display in _of_class(self._scene, "vtkMRMLSegmentationDisplayNode") if display.GetVisibility()]
        for display in self._hidden:
            display.SetVisibility(False)
        if layout_manager is not None:
            self._layout = self._layout or (layout_manager, layout_manager.layout)
            layout_manager.setLayout(_LAYOUT)

    def show(self, nodes: Mapping[str, Any], voxels: Mapping[str, Volume]) -> None:
        """Puts the volume nodes, by role, into the views: labels as a veil over images, on a slice with much to see.

        A view for which there is no image stays as it is.
        """
        for name, (image, labels) in _CONTENT.items():
            view = self._view(name)
            if view is None or image not in nodes:
                continue
            self._former.setdefault(name, _copies(*view))
            _put(*view, nodes[image], nodes.get(labels), alone=image == "real")
            _centre(view[0], voxels[image], voxels.get(labels) if image != "real" else None)

    def restore(self) -> None:
        """Shows what was there before."""
        for name, (slice_before, composite_before) in self._former.items():
            view = self._view(name)
            if view is not None:
                view[0].CopyContent(slice_before)
                view[1].Copy(composite_before)
        for display in self._hidden:
            if is_there(self._scene, display):
                display.SetVisibility(True)
        self.forget()

    def forget(self) -> None:
        """What was there before is gone with its scene, but for the layout."""
        if self._layout is not None:
            layout_manager, before = self._layout
            if layout_manager.layout == _LAYOUT:  # else the user has chosen another meanwhile
                layout_manager.setLayout(before)
        self._former, self._layout, self._hidden = {}, None, []

    def _view(self, name: str) -> tuple[Any, Any] | None:
        """Its slice node and its slice composite node; None where the layout never had such a view."""
        nodes = [view_node(self._scene, kind, name) for kind in ("vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode")]
        return None if None in nodes else (nodes[0], nodes[1])


def view_node(scene: Any, kind: str, name: str) -> Any:
    """The node of class `kind` that belongs to the view which layouts call by that name; None where there is none."""
    return next((node for node in _of_class(scene, kind) if node.GetLayoutName() == name), None)


def _of_class(scene: Any, kind: str) -> list[Any]:
    return [scene.GetNthNodeByClass(n, kind) for n in range(scene.GetNumberOfNodesByClass(kind))]


def _copies(slice_node: Any, composite: Any) -> tuple[Any, Any]:
    slice_before, composite_before = slicer.vtkMRMLSliceNode(), slicer.vtkMRMLSliceCompositeNode()
    slice_before.CopyContent(slice_node)
    composite_before.Copy(composite)  # its volumes too, which are references and no content
    return slice_before, composite_before


def _put(slice_node: Any, composite: Any, image: Any, labels: Any | None, alone: bool) -> None:
    composite.SetBackgroundVolumeID(image.GetID())
    composite.SetForegroundVolumeID(None)
    composite.SetLabelVolumeID(labels.GetID() if labels is not None else None)
    composite.SetLabelOpacity(_VEIL)
    composite.SetLinkedControl(not alone)
    composite.SetHotLinkedControl(not alone)
    slice_node.SetViewGroup(_ALONE if alone else 0)
    slice_node.SetUseLabelOutline(False)


def _centre(slice_node: Any, image: Volume, labels: Volume | None) -> None:
    """Axial, on the slice with most labels or else the brightest, the whole of it in view."""
    amount = (image.voxels if labels is None else labels.voxels > 0).sum(axis=(1, 2), dtype=np.float64)
    size = np.array(image.voxels.shape[::-1])  # I, J, K
    centre = image.ijk_to_ras @ [*(size[:2] - 1) / 2, float(np.argmax(amount)), 1.0]
    slice_node.SetOrientationToAxial()
    for row in range(3):
        slice_node.GetSliceToRAS().SetElement(row, 3, centre[row])
    slice_node.UpdateMatrices()
    width, height, _depth = slice_node.GetDimensions()
    extent = np.abs(image.ijk_to_ras[:3, :3]) @ size  # mm along R, A, S
    scale = _MARGIN * max(extent[0] / max(width, 1), extent[1] / max(height, 1))  # mm per pixel
    slice_node.SetFieldOfView(scale * width, scale * height, slice_node.GetFieldOfView()[2])

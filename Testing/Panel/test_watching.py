"""A training shown in a MRML scene: previews, their history, views and plots."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util
import torch
import vtk
from Learn2SynthPanel.nifti import Volume
from Learn2SynthPanel.watching.charts import Chart, Series
from Learn2SynthPanel.watching.history import PreviewHistory
from Learn2SynthPanel.watching.loading import LoadedPreview, PreviewLoader
from Learn2SynthPanel.watching.plots import Plot
from Learn2SynthPanel.watching.progress import Preview, Progress
from Learn2SynthPanel.watching.watch import Watch

from Learn2SynthLib.labels import load_table
from Learn2SynthLib.volume.files import write_image, write_label_map
from Learn2SynthLib.volume.image import Grid, Image, LabelMap

BRAIN = load_table("brain")
SHAPE, STACK = (10, 12, 8), (10, 12, 6)
MATRIX = np.diag([2.0, 2.0, 2.0, 1.0])


def wait_for(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What `condition` gives once it is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)
    return value


def labels_of(shape: tuple[int, ...], fullest: int) -> np.ndarray:
    """Labels everywhere on the slice `fullest` along the third axis, a few elsewhere."""
    labels = np.zeros(shape, np.int32)
    labels[2:4, 2:4, :] = 3
    labels[:, :, fullest] = 2
    return labels


def write_preview(run: Path, step: int) -> Preview:
    """What a run writes: only what is learned, and the prediction, change."""
    folder, rng = run / "previews", np.random.default_rng(0)
    folder.mkdir(exist_ok=True, parents=True)
    stack, whole = Grid(STACK, MATRIX), Grid(SHAPE, MATRIX + np.array([[0, 0, 0, -50.0]] * 3 + [[0] * 4]))
    images = {"prior": (rng.random(STACK), stack), "learned": (np.full(STACK, step / 1000), stack), "real": (100 + rng.random(SHAPE), whole)}
    maps = {"labels": (labels_of(STACK, 4), stack), "prediction": (labels_of(SHAPE, step % 8), whole)}
    paths = {role: f"step_{step:06d}_{role}.nii.gz" for role in (*images, *maps)}
    for role, (voxels, grid) in images.items():
        write_image(Image(torch.tensor(voxels, dtype=torch.float32), grid), folder / paths[role])
    for role, (voxels, grid) in maps.items():
        write_label_map(LabelMap(torch.tensor(voxels), grid, "brain"), folder / paths[role])
    return Preview(step, paths)


def event_of(preview: Preview) -> dict[str, Any]:
    return {"event": "preview", "step": preview.step, "paths": dict(preview.paths)}


def loaded(step: int, shape: tuple[int, int, int] = (3, 4, 5), **more: Volume) -> LoadedPreview:
    return LoadedPreview(step, {"learned": Volume(np.full(shape, step, np.float32), MATRIX), **more})


def node_ids(scene: Any) -> set[str]:
    return {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())}


def voxels_of(node: Any) -> np.ndarray:
    return slicer.util.arrayFromVolume(node)


def matrix_of(node: Any) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


class LayoutManager:
    """What is used of Slicer's."""

    def __init__(self) -> None:
        self.layout = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView

    def setLayout(self, layout: int) -> None:
        self.layout = layout


@pytest.fixture
def views(scene: Any) -> dict[str, tuple[Any, Any]]:
    """Slice and slice composite nodes as three views have them, and a plot view."""
    found = {}
    for name in ("Red", "Yellow", "Green"):
        found[name] = tuple(scene.AddNewNodeByClass(kind, name) for kind in ("vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode"))
        for node in found[name]:
            node.SetLayoutName(name)
        found[name][0].SetDimensions(300, 200, 1)
        found[name][0].SetFieldOfView(150, 100, 1)
    for name in ("PlotViewOfAnotherModule", "PlotView1"):
        scene.AddNewNodeByClass("vtkMRMLPlotViewNode", name).SetLayoutName(name)
    return found


@pytest.fixture
def loader(tmp_path: Path) -> Iterator[PreviewLoader]:
    loader = PreviewLoader(tmp_path / "previews")
    yield loader
    loader.close()


@pytest.fixture
def watch(scene: Any, tmp_path: Path) -> Iterator[Watch]:
    watch = Watch(scene, tmp_path, BRAIN)
    yield watch
    watch.forget()


# --- loading


def test_loads_the_newest_preview_first_then_history(loader: PreviewLoader, tmp_path: Path) -> None:
    loader.want([write_preview(tmp_path, step) for step in (0, 10, 20, 30)])
    taken = [wait_for(loader.take) for _ in range(4)]
    assert [each.step for each in taken] == [30, 0, 10, 20]
    assert all(not each.problem and len(each.volumes) == 5 for each in taken)
    assert loader.take() is None


def test_volumes_that_do_not_change_are_shared(loader: PreviewLoader, tmp_path: Path) -> None:
    loader.want([write_preview(tmp_path, step) for step in (0, 10)])
    one, other = wait_for(loader.take), wait_for(loader.take)
    assert {role for role in one.volumes if one.volumes[role] is other.volumes[role]} == {"labels", "prior", "real"}


def test_what_cannot_be_read_is_told_and_does_not_stop_the_loader(loader: PreviewLoader, tmp_path: Path) -> None:
    broken, gone, whole = (write_preview(tmp_path, step) for step in (0, 10, 20))
    (tmp_path / "previews" / broken.paths["learned"]).write_bytes(b"\x1f\x8b half")
    (tmp_path / "previews" / gone.paths["real"]).unlink()
    loader.want([broken, gone, whole])
    by_step = {each.step: each for each in (wait_for(loader.take) for _ in range(3))}
    assert "step_000000_learned.nii.gz" in by_step[0].problem
    assert "step_000010_real.nii.gz" in by_step[10].problem
    assert "learned" not in by_step[0].volumes and len(by_step[0].volumes) == 4
    assert not by_step[20].problem


def test_closing_ends_the_thread_at_once(tmp_path: Path) -> None:
    loader = PreviewLoader(tmp_path / "previews")
    loader.want([write_preview(tmp_path, step) for step in range(0, 200, 10)])
    start = time.monotonic()
    loader.close()
    assert time.monotonic() - start < 1.0
    assert not any(thread.name == "Learn2Synth previews" for thread in threading.enumerate())


# --- history


def test_previews_become_named_volumes_with_the_colours_of_the_table(scene: Any) -> None:
    history = PreviewHistory(scene, "run", BRAIN)
    real = Volume(np.random.default_rng(0).uniform(0, 1000, (16, 16, 16)).astype(np.float32), MATRIX)
    real.voxels[0, 0, 0] = 1e6
    history.add(loaded(10, labels=Volume(np.ones((3, 4, 5), np.uint8), MATRIX), real=real))
    learned, labels = history.nodes["learned"], history.nodes["labels"]
    assert (learned.GetName(), labels.GetName()) == ("Learn2Synth after learning", "Learn2Synth synthetic labels")
    assert labels.IsA("vtkMRMLLabelMapVolumeNode")
    assert labels.GetDisplayNode().GetColorNode().GetColorName(2) == BRAIN[2].name
    np.testing.assert_array_equal(matrix_of(learned), MATRIX)
    assert (learned.GetDisplayNode().GetWindowLevelMin(), learned.GetDisplayNode().GetWindowLevelMax()) == (0.0, 1.0)
    assert 900 < history.nodes["real"].GetDisplayNode().GetWindowLevelMax() < 1000


def test_history_is_scrubbed_and_followed(scene: Any) -> None:
    history = PreviewHistory(scene, "run", BRAIN)
    for step in (30, 0, 10):
        history.add(loaded(step))
        assert history.step == 30 and history.at_newest
    history.add(loaded(40))
    assert history.step == 40
    history.show(10)
    assert (voxels_of(history.nodes["learned"]) == 10).all()
    for step in (50, 5):
        history.add(loaded(step))
        assert history.step == 10 and (voxels_of(history.nodes["learned"]) == 10).all()
    history.show(50)
    history.add(loaded(60))
    assert (history.step, history.steps) == (60, [0, 5, 10, 30, 40, 50, 60])


def test_slicers_own_sequence_tools_scrub_as_well(scene: Any) -> None:
    history = PreviewHistory(scene, "run", BRAIN)
    for step in (0, 10, 20):
        history.add(loaded(step, prediction=Volume(np.full((2, 2, 2), step, np.uint8), MATRIX)))
    browser = scene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
    assert browser.GetName() == "Learn2Synth previews of run"
    assert browser.GetMasterSequenceNode().GetIndexName() == "step"
    browser.SetSelectedItemNumber(1)
    assert history.step == 10 and not history.at_newest
    for role in ("learned", "prediction"):
        assert (voxels_of(history.nodes[role]) == 10).all()
    assert history.nodes["learned"].GetName() == "Learn2Synth after learning"


def test_history_is_thinned_evenly(scene: Any) -> None:
    history = PreviewHistory(scene, "run", BRAIN, most=5)
    for step in range(0, 170, 10):
        history.add(loaded(step))
    gaps = np.diff(history.steps)
    assert len(history.steps) == 5 and history.steps[0] == 0 and history.steps[-1] == 160
    assert gaps.max() <= 4 * gaps.min()
    assert scene.GetFirstNodeByClass("vtkMRMLSequenceNode").GetNumberOfDataNodes() == 5


def test_history_is_bounded_in_bytes_and_spares_what_is_looked_at(scene: Any) -> None:
    shared = Volume(np.zeros((10, 10, 10), np.float32), MATRIX)
    history = PreviewHistory(scene, "run", BRAIN, most_bytes=4000 + 3 * 4000)
    for step in range(4):
        history.add(loaded(step, (10, 10, 10), prior=shared))
        history.show(1 if step else 0)
    assert history.steps == [0, 1, 3]
    history.add(loaded(4, (10, 10, 10), prior=shared))
    assert history.steps == [0, 1, 4] and history.step == 1


def test_previews_taken_back_are_dropped(scene: Any) -> None:
    history = PreviewHistory(scene, "run", BRAIN)
    for step in (0, 10, 20):
        history.add(loaded(step))
    history.keep([0, 10])
    assert (history.steps, history.step) == ([0, 10], 10)
    history.keep([])
    assert history.steps == []
    history.add(loaded(3))
    assert (voxels_of(history.nodes["learned"]) == 3).all()


def test_a_second_history_replaces_what_a_first_one_left(scene: Any) -> None:
    before = node_ids(scene)
    PreviewHistory(scene, "run", BRAIN).add(loaded(1))
    left = len(node_ids(scene))
    history = PreviewHistory(scene, "run", BRAIN)
    history.add(loaded(1))
    assert len(node_ids(scene)) == left
    history.remove()
    assert node_ids(scene) == before


def test_nothing_is_saved_with_the_scene(scene: Any, tmp_path: Path) -> None:
    PreviewHistory(scene, "run", BRAIN).add(loaded(1, labels=Volume(np.zeros((2, 2, 2), np.uint8), MATRIX)))
    Plot(scene).show(chart_of(Series("s", [1], [2.0], (0, 0, 0))))
    scene.Commit(str(tmp_path / "scene.mrml"))
    assert "Learn2Synth" not in (tmp_path / "scene.mrml").read_text(encoding="utf-8")


# --- plots


def series(name: str, count: int, **more: Any) -> Series:
    return Series(name, list(range(count)), [float(n) for n in range(count)], (0.0, 0.4, 0.7), **more)


def chart_of(*series: Series) -> Chart:
    return Chart("losses", "Losses", "loss", series, (0.0, 10.0), (0.0, 2.0))


def test_a_chart_becomes_plot_nodes(scene: Any, views: Any) -> None:
    plot = Plot(scene)
    plot.show(chart_of(series("synthetic", 5, line="none", markers=True), series("mean", 2, line="dash")))
    node = plot.chart_node
    assert (node.GetTitle(), node.GetXAxisTitle(), node.GetYAxisTitle()) == ("Losses", "training step", "loss")
    assert (node.GetXAxisRange(), node.GetYAxisRange()) == ((0.0, 10.0), (0.0, 2.0))
    assert not node.GetXAxisRangeAuto() and not node.GetYAxisRangeAuto()
    points, mean = (node.GetNthPlotSeriesNode(n) for n in range(2))
    assert [points.GetName(), mean.GetName()] == ["synthetic", "mean"]
    assert points.GetLineStyle() == slicer.vtkMRMLPlotSeriesNode.LineStyleNone
    assert mean.GetLineStyle() == slicer.vtkMRMLPlotSeriesNode.LineStyleDash
    table = mean.GetTableNode()
    columns = [slicer.util.arrayFromTableColumn(table, name) for name in (mean.GetXColumnName(), mean.GetYColumnName())]
    np.testing.assert_array_equal(columns, [[0, 1, 1, 1, 1]] * 2)
    assert scene.GetFirstNodeByName("PlotView1").GetPlotChartNodeID() == node.GetID()


def test_the_chart_of_the_user_comes_back(scene: Any, views: Any) -> None:
    view, own = scene.GetFirstNodeByName("PlotView1"), scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "my chart")
    view.SetPlotChartNodeID(own.GetID())
    for _time in range(2):
        plot = Plot(scene)
        plot.show(chart_of(series("mean", 2)))
        assert view.GetPlotChartNode() is own
        plot.bring_to_front()
        plot.bring_to_front()
        assert view.GetPlotChartNode() is plot.chart_node
        plot.remove()
        assert view.GetPlotChartNode() is own


def test_plots_use_their_nodes_again(scene: Any) -> None:
    plot = Plot(scene)
    plot.show(chart_of(*(series(str(n), 3) for n in range(4))))
    nodes = node_ids(scene)
    plot.show(chart_of(series("one", 7)))
    assert plot.chart_node.GetNumberOfPlotSeriesNodes() == 1
    plot.show(chart_of(*(series(str(n), 8) for n in range(4))))
    assert plot.chart_node.GetNumberOfPlotSeriesNodes() == 4
    assert node_ids(scene) == nodes


@pytest.mark.parametrize("kind", ["vtkMRMLTableNode", "vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode"])
def test_deleted_plot_nodes_are_made_again(scene: Any, views: Any, kind: str) -> None:
    plot, before = Plot(scene), node_ids(scene)
    chart = chart_of(series("a", 3), series("b", 3))
    plot.show(chart)
    scene.RemoveNode(scene.GetFirstNodeByClass(kind))
    plot.show(chart)
    assert [plot.chart_node.GetNthPlotSeriesNode(n).GetTableNode().GetNumberOfRows() for n in range(2)] == [3, 3]
    assert scene.GetFirstNodeByName("PlotView1").GetPlotChartNode() is not None
    plot.remove()
    assert node_ids(scene) == before


# --- all together


def follow(watch: Watch, progress: Progress, count: int) -> None:
    """Ticks until the history holds that many previews."""

    def ticked() -> bool:
        watch.tick(progress)
        return watch.history is None or len(watch.history.steps) == count

    wait_for(ticked)


def test_shows_a_training_in_the_views_and_leaves_them_as_they_were(scene: Any, views: Any, tmp_path: Path) -> None:
    own = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "my scan")
    views["Red"][1].SetBackgroundVolumeID(own.GetID())
    views["Red"][0].SetSliceOffset(17.0)
    before, manager = node_ids(scene), LayoutManager()
    watch, progress = Watch(scene, tmp_path, BRAIN), Progress()
    watch.lay_out(manager)
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView
    progress.add([event_of(write_preview(tmp_path, 40))])
    follow(watch, progress, 1)
    shown = {name: (composite.GetBackgroundVolumeID(), composite.GetLabelVolumeID()) for name, (_, composite) in views.items()}
    ids = {role: node.GetID() for role, node in watch.history.nodes.items()}
    assert shown == {"Red": (ids["prior"], ids["labels"]), "Green": (ids["learned"], ids["labels"]), "Yellow": (ids["real"], ids["prediction"])}
    watch.leave()
    assert views["Red"][1].GetBackgroundVolumeID() == own.GetID()
    assert views["Red"][0].GetSliceOffset() == 17.0
    assert views["Yellow"][1].GetBackgroundVolumeID() is None
    assert (node_ids(scene), manager.layout) == (before, slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)


def test_views_show_the_fullest_slice_whole_and_scroll_in_pairs(watch: Watch, views: Any, tmp_path: Path) -> None:
    progress = Progress()
    progress.add([event_of(write_preview(tmp_path, 40))])
    follow(watch, progress, 1)
    watch.lay_out(LayoutManager())
    red, yellow = views["Red"][0], views["Yellow"][0]
    assert red.GetOrientation() == "Axial"
    assert red.GetSliceOffset() == pytest.approx(4 * 2.0)
    assert red.GetFieldOfView()[1] == pytest.approx(12 * 2.0 * 1.05)
    assert red.GetFieldOfView()[0] / red.GetFieldOfView()[1] == pytest.approx(300 / 200)
    assert red.GetViewGroup() == views["Green"][0].GetViewGroup() != yellow.GetViewGroup()
    assert views["Red"][1].GetHotLinkedControl() and not views["Yellow"][1].GetLinkedControl()


def test_what_the_user_makes_of_the_views_stays(watch: Watch, views: Any, tmp_path: Path) -> None:
    progress = Progress()
    watch.lay_out(LayoutManager())
    progress.add([event_of(write_preview(tmp_path, 0))])
    follow(watch, progress, 1)
    views["Red"][1].SetBackgroundVolumeID(None)
    views["Yellow"][0].SetSliceOffset(-41.0)
    progress.add([event_of(write_preview(tmp_path, 10))])
    follow(watch, progress, 2)
    assert views["Red"][1].GetBackgroundVolumeID() is None
    assert views["Yellow"][0].GetSliceOffset() == -41.0


def test_a_layout_that_the_user_has_chosen_since_stays(watch: Watch) -> None:
    manager = LayoutManager()
    watch.lay_out(manager)
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    watch.leave()
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView


def test_works_without_views(watch: Watch, tmp_path: Path) -> None:
    progress = Progress()
    progress.add([event_of(write_preview(tmp_path, step)) for step in (0, 10)])
    watch.lay_out(None)
    follow(watch, progress, 2)
    assert watch.history.step == 10


def test_draws_the_chosen_chart_as_it_grows(watch: Watch, scene: Any, views: Any) -> None:
    progress = Progress()
    progress.add([{"event": "started", "step": 0, "steps": 9}, {"event": "step", "step": 1, "loss": 2.0}])
    watch.tick(progress)
    assert scene.GetFirstNodeByClass("vtkMRMLPlotChartNode") is None
    watch.choose_chart("losses")
    watch.tick(progress)
    table = scene.GetFirstNodeByClass("vtkMRMLTableNode")
    assert table.GetNumberOfRows() == 2  # its only point twice
    progress.add([{"event": "step", "step": 2, "loss": 1.0}])
    watch.tick(progress)
    assert table.GetNumberOfRows() == 2
    modified = table.GetTable().GetMTime()
    watch.tick(progress)
    assert table.GetTable().GetMTime() == modified


def test_a_resumed_run_takes_its_previews_back_and_shows_them_anew(watch: Watch, tmp_path: Path) -> None:
    progress = Progress()
    previews = [write_preview(tmp_path, step) for step in (0, 10, 20)]
    progress.add(map(event_of, previews))
    follow(watch, progress, 3)
    progress.add([{"event": "started", "step": 10, "steps": 100}])
    watch.tick(progress)
    assert watch.history.steps == [0, 10]
    progress.add([event_of(previews[2])])
    follow(watch, progress, 3)


def test_tells_what_could_not_be_read_until_the_next_preview(watch: Watch, tmp_path: Path) -> None:
    progress, preview = Progress(), write_preview(tmp_path, 0)
    (tmp_path / "previews" / preview.paths["learned"]).write_bytes(b"nothing")
    progress.add([event_of(preview)])
    follow(watch, progress, 1)
    assert preview.paths["learned"] in watch.problem
    progress.add([event_of(write_preview(tmp_path, 10))])
    follow(watch, progress, 2)
    assert watch.problem == ""


@pytest.mark.parametrize("kind", ["vtkMRMLScalarVolumeNode", "vtkMRMLSequenceNode", "vtkMRMLSequenceBrowserNode", "vtkMRMLColorTableNode"])
def test_deleted_preview_nodes_end_the_previews_with_a_sentence(watch: Watch, scene: Any, views: Any, tmp_path: Path, kind: str) -> None:
    progress = Progress()
    watch.lay_out(LayoutManager())
    progress.add([event_of(write_preview(tmp_path, 0))])
    follow(watch, progress, 1)
    node = next(node for node in slicer.util.getNodesByClass(kind) if node.GetName().startswith("Learn2Synth"))
    scene.RemoveNode(node)
    progress.add([event_of(write_preview(tmp_path, 10)), {"event": "step", "step": 11, "loss": 1.0}])
    watch.choose_chart("losses")
    watch.tick(progress)
    assert watch.history is None
    assert "deleted" in watch.problem
    assert not [node for node in slicer.util.getNodesByClass("vtkMRMLVolumeNode") if node.GetName().startswith("Learn2Synth")]
    watch.leave()


def test_a_closed_scene_brings_the_layout_back(watch: Watch) -> None:
    manager = LayoutManager()
    watch.lay_out(manager)
    watch.forget()
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView


@pytest.mark.parametrize("end", [Watch.forget, Watch.leave])
def test_a_scene_may_close_in_mid_run(watch: Watch, scene: Any, views: Any, tmp_path: Path, end: Callable[[Watch], None]) -> None:
    progress = Progress()
    watch.lay_out(LayoutManager())
    progress.add([event_of(write_preview(tmp_path, 0)), {"event": "step", "step": 1, "loss": 1.0}])
    watch.choose_chart("losses")
    follow(watch, progress, 1)
    scene.Clear(0)
    watch.tick(progress)
    end(watch)
    again = Watch(scene, tmp_path, BRAIN)
    follow(again, progress, 1)
    again.leave()


def test_no_piece_of_work_blocks_for_50_ms(watch: Watch, scene: Any, views: Any) -> None:
    """Milliseconds that the longest piece computes, with previews of 160^3 voxels and curves of 500 points; on a busy computer it waits besides."""
    rng, side = np.random.default_rng(0), (160, 160, 160)
    images = {role: Volume(rng.random(side, dtype=np.float32), MATRIX) for role in ("prior", "real")}
    maps = {"labels": Volume(rng.integers(0, 16, side, dtype=np.uint8), MATRIX)}
    watch.lay_out(LayoutManager())
    history, longest = watch.history, {"add": 0.0, "show": 0.0, "plot": 0.0}

    def timed(what: str, work: Callable[[], None]) -> None:
        start = time.thread_time()
        work()
        longest[what] = max(longest[what], 1000 * (time.thread_time() - start))

    for step in range(5):
        fresh = {"learned": Volume(rng.random(side, dtype=np.float32), MATRIX), "prediction": Volume(rng.integers(0, 16, side, dtype=np.uint8), MATRIX)}
        timed("add", partial(history.add, LoadedPreview(step, images | maps | fresh)))
        timed("show", partial(history.show, step))
    chart = chart_of(*(series(str(n), 500) for n in range(4)))
    for _ in range(5):
        timed("plot", partial(Plot(scene).show, chart))
    assert max(longest.values()) < 50.0, longest

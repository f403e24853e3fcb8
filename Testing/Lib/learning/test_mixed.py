"""Real and synthetic images side by side, in whatever parts."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from Learn2SynthLib.config import RunConfig
from Learn2SynthLib.learning.mixed import Mixed
from Learn2SynthLib.learning.strategy import Task


@pytest.mark.parametrize(
    ("share", "size", "real"), [(0, 2, [0, 0, 0]), (1, 2, [2, 2, 2]), (0.1, 4, [0, 0, 1, 0, 1]), (0.5, 1, [0, 1, 0, 1, 0]), (0.5, 4, [2, 2])]
)
def test_the_share_holds_over_several_batches(
    share: float, size: int, real: list[int], tiny: Callable[..., RunConfig], make_task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(tiny(2, f"mixed.share={share}", f"batch_size={size}", strategy="mixed"))
    asked, trained = [], []
    real_batch = task.real_batch

    def ask(step: int, count: int, *how: bool) -> tuple[Tensor, Tensor]:
        asked.append((step, count))
        return real_batch(step, count, *how)

    monkeypatch.setattr(task, "real_batch", ask)
    monkeypatch.setattr(task, "train", lambda images, target: trained.append((len(images), len(target))) or 0.0)
    for index in range(len(real)):
        Mixed(task).step(index)
    assert asked == [(step, count) for step, count in enumerate(real) if count] and trained == [(size, size)] * len(real)


@pytest.mark.parametrize(("share", "real"), [(0.5, [4, 4, 2, 2]), (0, [0, 0, 0, 0])])
def test_scans_come_first(
    share: float, real: list[int], tiny: Callable[..., RunConfig], make_task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(tiny(2, f"mixed.share={share}", "mixed.synthetic_from=0.5", strategy="mixed", steps=4))
    given = [0] * 4
    real_batch = task.real_batch

    def ask(step: int, count: int, *how: bool) -> tuple[Tensor, Tensor]:
        given[step] = count
        return real_batch(step, count, *how)

    monkeypatch.setattr(task, "real_batch", ask)
    for index in range(4):
        Mixed(task).step(index)
    assert given == real


def test_no_image_comes_twice_where_batches_change(tiny: Callable[..., RunConfig], make_task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_task(tiny(2, "batch_size=4", "mixed.synthetic_from=0.5", strategy="mixed", steps=6))
    batches = []
    monkeypatch.setattr(task, "train", lambda images, target: batches.append(images) or 0.0)
    for index in range(6):
        Mixed(task).step(index)
    images = torch.cat(batches).flatten(1)
    assert len(images.unique(dim=0)) == len(images) == 24

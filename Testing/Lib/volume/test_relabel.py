"""One numbering into another, voxel by voxel."""

from __future__ import annotations

import pytest
import torch

from Learn2SynthLib.volume.relabel import relabel


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
@pytest.mark.parametrize("wide", [{}, {3_000_000: 5}])
def test_values_are_replaced_and_unknown_ones_become_background(dtype: torch.dtype, wide: dict[int, int]) -> None:
    data = torch.tensor([[[0, 1, 2, 3, 255 if dtype == torch.uint8 else 300]]], dtype=dtype)
    found = relabel(data, {0: 9, 1: 100_000, 3: 4, 254: 8, **wide})
    assert found.dtype == torch.int32
    assert found.tolist() == [[[9, 100_000, 0, 4, 0]]]


@pytest.mark.parametrize("wide", [{}, {-7: 5, 2**31 - 1: 6}])
def test_negative_values_and_values_beyond_the_mapping_become_background(wide: dict[int, int]) -> None:
    data = torch.tensor([-1, -7, 2**31 - 1, 2], dtype=torch.int32)
    assert relabel(data, {2: 3, **wide}).tolist() == [0, wide.get(-7, 0), wide.get(2**31 - 1, 0), 3]


def test_an_empty_mapping_clears_everything() -> None:
    assert not relabel(torch.ones(2, 2, 2, dtype=torch.int32), {}).any()


def test_the_order_of_memory_is_kept():
    data = torch.arange(24, dtype=torch.int32).view(2, 3, 4).permute(2, 0, 1)
    found = relabel(data, {value: value + 1 for value in range(24)})
    assert torch.equal(found, data + 1) and found.stride() == data.stride()

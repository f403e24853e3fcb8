"""Where labels are, for every order of memory."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch

from Learn2SynthLib.volume.layout import in_memory_order, labelled_box, memory_order


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_memory_is_read_from_its_slowest_axis_without_a_copy(order):
    stored = torch.arange(24).view(2, 3, 4)
    data = stored.permute([order.index(axis) for axis in range(3)])
    assert memory_order(data) == order
    assert in_memory_order(data).tolist() == list(range(24)) and in_memory_order(data).data_ptr() == data.data_ptr()


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_box_holds_all_labels_and_no_more(order):
    data = torch.zeros((5, 6, 7), dtype=torch.int32).permute(order).contiguous().permute([order.index(axis) for axis in range(3)])
    assert all(part.start == part.stop for part in labelled_box(data))
    data[1, 4, 2] = -3
    assert labelled_box(data) == (slice(1, 2), slice(4, 5), slice(2, 3))
    data[3, 0, 2] = 256
    assert labelled_box(data) == (slice(1, 4), slice(0, 5), slice(2, 3))

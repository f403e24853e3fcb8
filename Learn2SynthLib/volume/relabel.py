"""One numbering of label maps into another."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from .layout import in_memory_order, memory_order

DENSE_LIMIT = 1 << 20


def relabel(data: torch.Tensor, mapping: Mapping[int, int]) -> torch.Tensor:
    """`data` (whole numbers, any shape) with every value replaced by `mapping`; values that it does not know become 0.

    Returns int32 on the device of `data`, in its order of memory.
    """
    keys = sorted(mapping)
    if not keys:
        return torch.zeros_like(data, dtype=torch.int32)
    if keys[0] < 0 or keys[-1] >= DENSE_LIMIT:
        return _relabel_sparse(data, mapping, keys)
    table = torch.zeros(keys[-1] + 2, dtype=torch.int32)  # the last entry is for every value beyond the table
    table[keys] = torch.tensor([mapping[key] for key in keys], dtype=torch.int32)
    inside = (data >= 0) & (data <= keys[-1])
    positions = torch.where(inside, data.int(), keys[-1] + 1)
    order = memory_order(positions)
    stored = table.to(data.device).index_select(0, in_memory_order(positions)).view([data.shape[axis] for axis in order])
    return stored.permute([order.index(axis) for axis in range(data.ndim)])


def _relabel_sparse(data: torch.Tensor, mapping: Mapping[int, int], keys: list[int]) -> torch.Tensor:
    """The same by binary search, for numberings too wide for a table of all values."""
    known = torch.tensor(keys, device=data.device)
    images = torch.tensor([mapping[key] for key in keys], dtype=torch.int32, device=data.device)
    places = torch.searchsorted(known, data.long()).clamp_(max=len(keys) - 1)
    return torch.where(known[places] == data, images[places], 0)

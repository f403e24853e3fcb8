"""Labels on larger voxels: a voxel takes the most frequent of the labels sampled inside it.

Most of a label map is background and most of the rest lies inside one structure, so labels are sampled where there are any
and counted where the samples differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from .axes import MatchedAxes
from .layout import labelled_box, memory_order

_VOTING_RATIO = 1.5  # target voxels this much larger than the source's hold a vote, smaller ones take the nearest label

Places = tuple[float, ...]


def sample_places(growth: np.ndarray) -> list[Places]:
    """For every target axis where labels are sampled, in target voxels from the centre: two places along axes that vote."""
    return [(-0.25, 0.25) if ratio >= _VOTING_RATIO else (0.0,) for ratio in growth]


def vote_along_axes(data: torch.Tensor, matched: MatchedAxes, places: Sequence[Places]) -> torch.Tensor:
    """The labels (X, Y, Z) of the target's voxels."""
    volume = data.permute(matched.source_axis)
    box = labelled_box(volume)
    picks = [_picks(matched, axis, _fair(matched, axis, places[axis]), box[axis]) for axis in range(3)]
    reached = [np.flatnonzero((pick >= 0).any(axis=0)) for pick in picks]
    labels = data.new_zeros(matched.target_shape)
    if all(map(len, reached)):
        target = tuple(slice(int(where[0]), int(where[-1]) + 1) for where in reached)
        votes = _sampled(_narrow(volume[box]), [pick[:, part] for pick, part in zip(picks, target)])
        labels[target] = majority(list(votes), [part.start for part in target]).to(labels.dtype)
    return labels


def _fair(matched: MatchedAxes, axis: int, places: Places) -> Places:
    """Four places where the two lie half-way between voxels, as in 1 mm to 2 mm along an odd number: one side would always win, and the labels move."""
    ties = np.abs(matched.positions(axis, places[0]) % 1 - 0.5) < 1e-3
    return (-0.375, -0.125, 0.125, 0.375) if len(places) > 1 and ties.mean() > 0.1 else places


def _picks(matched: MatchedAxes, axis: int, shifts: Places, box: slice) -> np.ndarray:
    """Source index, counted inside the box, of every sample and target index (samples, target size); -1 outside of the box."""
    nearest = np.stack([matched.nearest(axis, shift) for shift in shifts])
    return np.where((nearest >= box.start) & (nearest < box.stop), nearest - box.start, -1)


def _narrow(labels: torch.Tensor) -> torch.Tensor:
    """In two bytes where they hold the labels: half the memory to move."""
    narrow = labels.to(torch.int16)
    return narrow if torch.equal(narrow.to(labels.dtype), labels) else labels


def _sampled(volume: torch.Tensor, picks: Sequence[np.ndarray]) -> torch.Tensor:
    """Labels (samples, X, Y, Z), samples in the order of itertools.product. Along memory's slowest axis first: whole planes move."""
    order = memory_order(volume)
    volume = volume.permute(order)
    for place, axis in enumerate(order):
        volume = _picked(volume, place, torch.from_numpy(picks[axis].ravel()).to(volume.device))
    counts = [size for axis in order for size in picks[axis].shape]  # samples and voxels of each axis in turn
    ours = [order.index(axis) for axis in range(3)]
    apart = volume.view(counts).permute(*(2 * place for place in ours), *(2 * place + 1 for place in ours))
    return apart.reshape(-1, *apart.shape[3:])


def _picked(volume: torch.Tensor, axis: int, index: torch.Tensor) -> torch.Tensor:
    """Planes of a volume by their index, 0 where it is -1."""
    known = index.clamp(min=0)
    # Along the last axis index_select copies voxel by voxel, ten times slower than gather.
    last = axis == volume.ndim - 1
    picked = volume.gather(axis, known.expand(*volume.shape[:-1], -1)) if last else volume.index_select(axis, known)
    return picked.index_fill_(axis, (index < 0).nonzero().flatten(), 0)


def majority(votes: Sequence[torch.Tensor], start: Sequence[int] = (0, 0, 0)) -> torch.Tensor:
    """The most frequent label of volumes (X, Y, Z) whose first voxel has index `start`.

    Ties take the first candidate in even voxels and the last in odd ones: fair to both sides.
    """
    labels = votes[0].clone(memory_format=torch.contiguous_format)
    differ = torch.zeros_like(labels, dtype=torch.bool)
    for other in votes[1:]:
        differ |= other != labels
    places = differ.flatten().nonzero().flatten()
    ballots = [vote.flatten().index_select(0, places) for vote in votes]
    odd = _odd(labels, start).flatten().index_select(0, places)
    labels.view(-1).index_copy_(0, places, _counted(ballots, odd))
    return labels


def _counted(ballots: Sequence[torch.Tensor], odd: torch.Tensor) -> torch.Tensor:
    """The most frequent of the labels (N,); among equals the last where `odd`, else the first."""
    first, last = ballots[0], ballots[-1]
    best_first, best_last = torch.zeros_like(first, dtype=torch.uint8), torch.zeros_like(first, dtype=torch.uint8)
    for candidate in ballots:
        count = torch.zeros_like(best_first)
        for other in ballots:
            count += candidate == other
        first = torch.where(count > best_first, candidate, first)
        best_first = torch.maximum(count, best_first)
        last = torch.where(count >= best_last, candidate, last)
        best_last = torch.maximum(count, best_last)
    return torch.where(odd, last, first)


def _odd(like: torch.Tensor, start: Sequence[int]) -> torch.Tensor:
    x, y, z = (torch.arange(first, first + n, device=like.device) % 2 == 1 for first, n in zip(start, like.shape, strict=True))
    return x[:, None, None] ^ y[:, None] ^ z

"""Sliding-window inference: the class probabilities of a whole volume from a network that sees one window at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, product

import torch
from torch import Tensor, nn
from torch.nn import functional

FOREGROUND = 0.05  # voxels above this part of the intensity range are worth looking at
GAUSSIAN = 1 / 8  # standard deviation of a window's importance, as a part of its size (Isensee et al. 2021)

Progress = Callable[[int, int], None]  # windows done, windows in all


@dataclass(frozen=True)
class Sliding:
    """How the windows go over a volume.

    window: voxels along x, y, z for a network of volumes; along x, y for one of axial slices. overlap: part of a window that
    its neighbour covers again, 0 to below 1. flips: averages over the left/right flip; mirror[k] is the class that class k is
    in the flipped image (None: every class is its own). background: class of what no window covers.
    """

    window: tuple[int, ...]
    overlap: float = 0.5
    batch_size: int = 1
    flips: bool = False
    mirror: tuple[int, ...] | None = None
    background: int = 0

    @property
    def window_xyz(self) -> tuple[int, int, int]:
        """The window in three dimensions; slices are one voxel thick."""
        return (*self.window, 1)[:3]  # type: ignore[return-value]


@dataclass(frozen=True)
class _Tile:
    """One window's place on one axis, and its share of every voxel there: the shares of all tiles of an axis add up to 1."""

    start: int
    weights: Tensor


@torch.inference_mode()
def predict(network: nn.Module, volume: Tensor, sliding: Sliding, progress: Progress | None = None) -> Tensor:
    """Class probabilities (C, X, Y, Z), float32, of `volume` (X, Y, Z), whose intensities are normalised to [0, 1].

    The windows cover the bounding box of the foreground; what they leave out is background with probability 1. A volume
    smaller than the window is padded with zeros. The sum is held where `volume` lies, the windows go to the network's device.
    Because a Gaussian is a product over the axes, the importance of each window is divided by the sum over all windows axis by
    axis beforehand, and no volume of weights is kept.
    """
    padded, inner = _pad(volume, sliding.window_xyz)
    axes = [
        _tiles(extent, size, window, sliding.overlap, volume.device)
        for extent, size, window in zip(_foreground(padded), padded.shape, sliding.window_xyz, strict=True)
    ]
    probabilities = None
    places, done, total = product(*axes), 0, _count(axes)
    with _evaluating(network):
        while batch := list(islice(places, sliding.batch_size)):
            windows = torch.stack([padded[_region(tiles, sliding)] for tiles in batch])[:, None]  # (B, 1, x, y, z)
            outputs = _forward(network, windows, sliding).to(volume.device)  # (B, C, x, y, z)
            if probabilities is None:
                probabilities = _background_everywhere_but_in(axes, outputs.shape[1], padded.shape, sliding)
            for tiles, output in zip(batch, outputs, strict=True):
                x, y, z = _region(tiles, sliding)
                probabilities[:, x, y, z].addcmul_(output, _importance(tiles))
            done += len(batch)
            if progress:
                progress(done, total)
    assert probabilities is not None  # there is always at least one window
    x, y, z = inner
    return probabilities[:, x, y, z]


def _forward(network: nn.Module, windows: Tensor, sliding: Sliding) -> Tensor:
    """Class probabilities (B, C, x, y, z) of windows (B, 1, x, y, z), float32."""
    slices = len(sliding.window) == 2
    device = next((p.device for p in network.parameters()), windows.device)
    images = (windows.squeeze(-1) if slices else windows).to(device)
    probabilities = _softmax(network(images))
    if sliding.flips:
        flipped = _softmax(network(images.flip(2))).flip(2)
        probabilities += flipped if sliding.mirror is None else flipped[:, list(sliding.mirror)]
        probabilities /= 2
    return probabilities.unsqueeze(-1) if slices else probabilities


def _softmax(logits: Tensor) -> Tensor:
    return torch.softmax(logits, dim=1, dtype=torch.float32)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode, and afterwards as it was: a validation must not change the training around it."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def _pad(volume: Tensor, window: tuple[int, int, int]) -> tuple[Tensor, tuple[slice, slice, slice]]:
    """The volume with zeros around it where it is smaller than the window, and where it lies in there."""
    lacking = [max(0, w - n) for w, n in zip(window, volume.shape, strict=True)]
    x, y, z = (slice(gap // 2, gap // 2 + n) for gap, n in zip(lacking, volume.shape, strict=True))
    if not any(lacking):
        return volume, (x, y, z)
    around = [(gap // 2, gap - gap // 2) for gap in lacking]
    return functional.pad(volume, [side for pair in reversed(around) for side in pair]), (x, y, z)


def _foreground(volume: Tensor) -> list[tuple[int, int]]:
    """First and past-the-last index of the foreground along each axis; the whole volume where there is none."""
    bright = volume > FOREGROUND
    extents = []
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        hit = bright.any(dim=others[1]).any(dim=others[0]).nonzero()
        extents.append((int(hit[0]), int(hit[-1]) + 1) if len(hit) else (0, volume.shape[axis]))
    return extents


def _tiles(extent: tuple[int, int], size: int, window: int, overlap: float, device: torch.device) -> list[_Tile]:
    """Evenly spaced tiles that cover `extent` on an axis of `size` voxels; one tile, centred, where the window is larger."""
    starts = _starts(extent, size, window, overlap)
    offsets = torch.arange(window, dtype=torch.float64) - (window - 1) / 2
    bell = torch.exp(-0.5 * (offsets / (window * GAUSSIAN)) ** 2)
    total = torch.zeros(size, dtype=torch.float64)
    for start in starts:
        total[start : start + window] += bell
    return [_Tile(start, (bell / total[start : start + window]).float().to(device)) for start in starts]


def _starts(extent: tuple[int, int], size: int, window: int, overlap: float) -> list[int]:
    low, high = extent
    gap = high - low - window
    if gap <= 0:
        return [min(max(low + gap // 2, 0), size - window)]
    steps = -(-gap // max(1, int(window * (1 - overlap))))
    return [low + round(gap * step / steps) for step in range(steps + 1)]


def _background_everywhere_but_in(axes: list[list[_Tile]], classes: int, shape: torch.Size, sliding: Sliding) -> Tensor:
    """Probabilities (C, X, Y, Z) to add the windows to: zero where there will be windows, background elsewhere.

    For a network of slices each slice is contiguous in memory, which is how they are written.
    """
    device = axes[0][0].weights.device
    if len(sliding.window) == 2:
        probabilities = torch.zeros(classes, shape[2], shape[0], shape[1], device=device).permute(0, 2, 3, 1)
    else:
        probabilities = torch.zeros(classes, *shape, device=device)
    x, y, z = (slice(tiles[0].start, tiles[-1].start + len(tiles[-1].weights)) for tiles in axes)
    probabilities[sliding.background] = 1
    probabilities[sliding.background, x, y, z] = 0
    return probabilities


def _region(tiles: tuple[_Tile, ...], sliding: Sliding) -> tuple[slice, ...]:
    return tuple(slice(tile.start, tile.start + width) for tile, width in zip(tiles, sliding.window_xyz, strict=True))


def _importance(tiles: tuple[_Tile, ...]) -> Tensor:
    x, y, z = (tile.weights for tile in tiles)
    return x[:, None, None] * y[:, None] * z


def _count(axes: list[list[_Tile]]) -> int:
    return len(axes[0]) * len(axes[1]) * len(axes[2])

"""What scans may differ in: real scans as another scanner or another contrast would have made them.

Each shift takes a scan on the model's grid, intensities 0 to 1 (X, Y, Z), with its tissue classes, and returns the shifted scan. Randomness is a function
of the scan's name, so every network is measured on the same images.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, zoom
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from Learn2SynthLib.learning.data import Example
from Learn2SynthLib.randomness import stream_seed
from Learn2SynthLib.synthesis.classes import TissueClasses
from Learn2SynthLib.volume.intensity import normalise

NOISE, GAMMA, BIAS, THICK_MM = 0.1, 2.0, 0.3, 6.0
# T1 and T2 in ms and proton density of fluid, grey and white matter at 1.5 T (BrainWeb: Kwan, Evans & Pike 1999, table I).
TISSUES = {"fluid": (2569.0, 329.0, 1.0), "grey": (833.0, 83.0, 0.86), "white": (500.0, 70.0, 0.77)}
# Repetition, echo and inversion time in ms of usual spin-echo protocols (inversion None: none); that of FLAIR darkens fluid of the T1 above.
SEQUENCES = {"T2": (5000.0, 100.0, None), "PD": (3000.0, 20.0, None), "FLAIR": (9000.0, 100.0, 1705.0)}


Shift = Callable[[Example, TissueClasses], Tensor]


def brain_only(example: Example, tissue: TissueClasses) -> Tensor:
    """The scan without what its label map says is outside the brain; gaps that count as fluid stay."""
    assert example.image is not None
    outside = torch.isin(example.classes, torch.tensor(tissue.outside, dtype=example.classes.dtype))
    return _scaled(example.image * ~outside)


def inverted(example: Example, tissue: TissueClasses) -> Tensor:
    """Bright becomes dark inside the head; the background stays black."""
    assert example.image is not None
    return _scaled(torch.where(example.image > 0.02, 1 - example.image, 0))


def noisy(example: Example, tissue: TissueClasses, level: float = NOISE) -> Tensor:
    """Rician noise of standard deviation `level`, image range being 1."""
    assert example.image is not None
    real, imaginary = (torch.from_numpy(_rng(example, part).normal(0, level, example.image.shape)).float() for part in ("real", "imaginary"))
    return _scaled(((example.image + real).square() + imaginary.square()).sqrt())


def power(example: Example, tissue: TissueClasses) -> Tensor:
    """Intensities to the power `GAMMA`."""
    assert example.image is not None
    return _scaled(example.image**GAMMA)


def biased(example: Example, tissue: TissueClasses, level: float = BIAS) -> Tensor:
    """Times the exponential of a smooth field of standard deviation `level` in the head, smooth over 60 mm."""
    assert example.image is not None
    grain = _rng(example, "bias").normal(size=example.image.shape)
    field = gaussian_filter(grain, [60 / 2.355 / spacing for spacing in example.grid.spacing_mm])
    head = example.image.numpy() > 0.02
    field = (field - field[head].mean()) / field[head].std()
    return _scaled(example.image * torch.from_numpy(np.exp(level * field)).float())


def thick(example: Example, tissue: TissueClasses) -> Tensor:
    """Slices of `THICK_MM` from front to back, each the mean over its thickness, interpolated linearly between."""
    assert example.image is not None
    step = round(THICK_MM / example.grid.spacing_mm[1])
    size = example.image.shape[1] // step
    slices = example.image[:, : size * step].unflatten(1, (size, step)).mean(2)
    back = torch.from_numpy(zoom(slices.numpy(), (1, step, 1), order=1, grid_mode=True, mode="nearest"))
    seen = torch.zeros_like(example.image)
    seen[:, : back.shape[1]] = back
    return _scaled(seen)


def contrast(name: str) -> Shift:
    """The scan in another contrast: tissue fractions from its T1 intensities, then the spin-echo signal of that mixture.

    A voxel between the median intensities of fluid, grey and white matter holds the two that it lies between, in linear parts, so that texture,
    partial volume and noise remain those of the scan.
    """
    signals = [spin_echo(*TISSUES[tissue], *SEQUENCES[name]) for tissue in ("fluid", "grey", "white")]

    def shifted(example: Example, tissue: TissueClasses) -> Tensor:
        assert example.image is not None
        medians = [float(example.image[example.classes == tissue.names.index(part)].median()) for part in _PARTS]
        seen = np.interp(example.image.numpy(), [0.0, *medians], [0.0, *signals])
        return _scaled(torch.from_numpy(seen).float())

    return shifted


def spin_echo(t1: float, t2: float, density: float, repetition: float, echo: float, inversion: float | None) -> float:
    """Magnitude of the spin-echo signal, after an inversion pulse where `inversion` is given. Times in ms."""
    recovery = 1 - math.exp(-repetition / t1)
    if inversion is not None:
        recovery = 1 - 2 * math.exp(-inversion / t1) + math.exp(-repetition / t1)
    return density * abs(recovery) * math.exp(-echo / t2)


_PARTS = ("cerebrospinal fluid", "cerebral cortex", "cerebral white matter")
SHIFTS: dict[str, Shift] = {
    "noise": noisy, "bias field": biased, "gamma 2": power, "thick slices": thick, "inverted": inverted,
    "T2 contrast": contrast("T2"), "PD contrast": contrast("PD"), "FLAIR contrast": contrast("FLAIR"),
}  # fmt: skip


def _scaled(image: Tensor) -> Tensor:
    return normalise(image[None, None])[0, 0]


def _rng(example: Example, purpose: str) -> np.random.Generator:
    return np.random.default_rng(stream_seed(0, f"{example.name} {purpose}"))

"""The synthesizer: label maps to images and targets, by draws that can be repeated.

Classes are painted in the space of the label map and then warped by linear interpolation, so borders hold partial volume and
gradients reach the deformation too; the target is warped along, by nearest neighbour.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import LEARNABLE, GridConfig, SynthesisConfig
from ..volume.intensity import normalise
from . import appearance
from .deformation import Window, source_positions, take
from .ranges import Ranges
from .resolution import degrade
from .sampling import STRIPPINGS, DrawSizes, SynthesisDraw, draw


@dataclass(frozen=True)
class Maps:
    """A batch of windows cut from label maps: tissue classes and target labels, each (B, *size) of small integers."""

    classes: Tensor
    target: Tensor

    def __getitem__(self, chosen: slice) -> Maps:
        return Maps(self.classes[chosen], self.target[chosen])


Values = dict[str, Tensor]


class Synthesizer(nn.Module):
    """Draws and renders synthetic images on one grid.

    ranges: prior and learned parameters. enhancement: a network that adds a residual to images of learned draws, or None.
    mirror: target value after a left/right flip, by target value.
    """

    def __init__(self, config: SynthesisConfig, grid: GridConfig, ranges: Ranges, mirror: Sequence[int], enhancement: nn.Module | None = None) -> None:
        super().__init__()
        self.config, self.classes, self.ranges, self.enhancement = config, ranges.classes, ranges, enhancement
        self.spacing_mm = tuple(grid.spacing_mm[: len(grid.shape)])
        self.window = Window(tuple(grid.shape), self.spacing_mm)
        self.sizes = DrawSizes(len(grid.shape), len(self.classes.names), len(config.bias_spacing_mm))
        self.mirror: Tensor
        self.register_buffer("mirror", torch.tensor(list(mirror)), persistent=False)

    @property
    def source_shape(self) -> tuple[int, ...]:
        """Shape of the windows to cut from label maps: the image and a margin that deformation may draw in."""
        return tuple(size + 2 * round(size / 8) for size in self.window.shape)

    def draw(self, rng: random.Random, learned: bool = False, wide: str = "") -> SynthesisDraw:
        return draw(self.ranges.taught if learned else self.config, self.sizes, rng, learned, wide)

    def render(self, maps: Maps, draws: Sequence[SynthesisDraw]) -> tuple[Tensor, Tensor]:
        """Images (B, 1, *shape) in [0, 1] and targets (B, *shape) of int64; the same draws give the same images, and none give none."""
        if not draws:
            return self._tensor([]).reshape(0, 1, *self.window.shape), maps.target.new_empty(0, *self.window.shape, dtype=torch.int64)
        return self.render_values(maps, draws, self.values(draws))

    def render_values(self, maps: Maps, draws: Sequence[SynthesisDraw], values: Values) -> tuple[Tensor, Tensor]:
        """`render` with its continuous parameters given apart, as `values` makes them; differentiable in each."""
        seeds = [d.seed for d in draws]
        positions = source_positions(values, seeds, self.window)
        painted = appearance.paint(maps.classes, self._palette(draws, values))
        mean, spread = take(painted, positions, self.spacing_mm).unbind(1)
        clean = appearance.mixture(mean, spread, values["texture"], seeds, self._in_voxels(self.config.texture_mm))
        images = self._enhanced(self._acquire(clean, draws, values), draws)
        return self._framed(images, self._warped_target(maps.target, positions, draws), draws)

    def augment(self, images: Tensor, target: Tensor, draws: Sequence[SynthesisDraw], acquire: bool = True) -> tuple[Tensor, Tensor]:
        """Real images (B, *size) and their targets through the same deformation and, if `acquire`, the same scanner."""
        values = self.values(draws)
        positions = source_positions(values, [d.seed for d in draws], self.window)
        clean = take(images[:, None].to(positions.dtype), positions, self.spacing_mm)[:, 0]
        seen = self._acquire(clean, draws, values) if acquire else clean[:, None]
        return self._framed(normalise(seen), self._warped_target(target, positions, draws), draws)

    def values(self, draws: Sequence[SynthesisDraw]) -> Values:
        """The continuous parameters of a batch: (B, n) each, in the units of SynthesisConfig, plus `flip`."""
        values = {name: self._tensor([getattr(d, name) for d in draws]) for name in ("rotation_degrees", "scaling", "shear", "translation_mm", "thickness_mm")}
        values["warp_mm"] = self._tensor([[d.warp_mm] for d in draws])
        values["warp_spacing_mm"] = self._tensor([[d.warp_spacing_mm] for d in draws])
        values["flip"] = self._tensor([[float(d.flip)] for d in draws])
        for name in LEARNABLE:
            learned = self._tensor([d.takes_learned(name) for d in draws]).bool()
            values[name] = self.ranges.value(name, self._tensor([d.positions[name] for d in draws]), learned)
        values["gamma"] = values["gamma"] * self._tensor([[float(d.gamma_applied)] for d in draws])
        return values

    def _tensor(self, rows: Sequence[object]) -> Tensor:
        reference = next(self.parameters(), None)
        dtype = reference.dtype if reference is not None else torch.float32
        return torch.tensor(rows, dtype=dtype, device=self.mirror.device)

    def _palette(self, draws: Sequence[SynthesisDraw], values: Values) -> Tensor:
        """(B, K, 2): mean and spread of each class, black where the draw removes it."""
        palette = torch.stack([values["contrast_mean"], values["contrast_spread"]], -1)
        return palette * self._tensor([self._kept(d) for d in draws])[:, :, None]

    def _kept(self, d: SynthesisDraw) -> list[float]:
        removed = set(self.classes.outside) if d.stripping != STRIPPINGS[0] else set()
        if d.stripping == STRIPPINGS[2]:
            removed.add(self.classes.fluid)
        if d.dark_background:
            removed.add(0)
        return [0.0 if k in removed else 1.0 for k in range(len(self.classes.names))]

    def _acquire(self, clean: Tensor, draws: Sequence[SynthesisDraw], values: Values) -> Tensor:
        """What the scanner makes of clean intensities: gamma, bias field, resolution, noise. (B, *shape) -> (B, 1, *shape)."""
        seeds = [d.seed for d in draws]
        images = appearance.gamma(clean, values["gamma"])
        images = appearance.bias_field(images, values["bias"], seeds, [self._in_voxels(mm) for mm in self.config.bias_spacing_mm])
        images = degrade(images, values["blur_mm"][:, 0], values["thickness_mm"], self.spacing_mm)
        rician = self._tensor([d.rician for d in draws]).bool()
        return appearance.noise(images, values["noise"], rician, seeds)[:, None]

    def _enhanced(self, images: Tensor, draws: Sequence[SynthesisDraw]) -> Tensor:
        """Scaled images; those of learned draws pass through the enhancement network."""
        images = normalise(images)
        if self.enhancement is None or not any(d.learned for d in draws):
            return images
        learned = self._tensor([d.learned for d in draws]).bool().reshape(-1, *[1] * (images.ndim - 1))
        return torch.where(learned, self.enhancement(images, [d.seed for d in draws]), images)

    def _framed(self, images: Tensor, target: Tensor, draws: Sequence[SynthesisDraw]) -> tuple[Tensor, Tensor]:
        """Image and target without what lies outside the field of view."""
        inside = torch.ones_like(target, dtype=torch.bool)
        for d, frame in zip(draws, inside):
            for axis, size in enumerate(frame.shape):
                low, high = (round(fraction * size) for fraction in d.crop[2 * axis : 2 * axis + 2])
                frame.narrow(axis, 0, low).fill_(False)
                frame.narrow(axis, size - high, high).fill_(False)
        return images * inside[:, None], target * inside

    def _warped_target(self, target: Tensor, positions: Tensor, draws: Sequence[SynthesisDraw]) -> Tensor:
        warped = take(target[:, None].to(positions.dtype), positions.detach(), self.spacing_mm, "nearest")[:, 0].long()
        flipped = self._tensor([d.flip for d in draws]).bool().reshape(-1, *[1] * (warped.ndim - 1))
        return torch.where(flipped, self.mirror[warped], warped)

    def _in_voxels(self, mm: float) -> list[float]:
        return [max(1.0, mm / step) for step in self.spacing_mm]

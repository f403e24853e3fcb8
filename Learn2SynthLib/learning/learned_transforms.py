"""Learned transforms: annotated scans (atlases) in the shapes and intensities of unlabelled scans train the network (Zhao et al. 2019).

A run has three phases. The registration of atlases to scans is learned, then the change of intensities that makes an atlas look like a scan, then the network
trains on transformed atlases: of one scan the shape and of another the intensities, with the atlas's own labels moved along. The transforms are learned on
whole heads of coarse voxels (common_space.py), and what they say is interpolated at the voxels of each window, or slice, that the network sees.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..randomness import stream
from ..synthesis.deformation import take
from .appearance_transform import AppearanceTransform
from .common_space import CommonSpace, scan_of
from .data import Example, Place
from .spatial_transform import SpatialTransform
from .strategy import Strategy, Task

REGISTRATION, APPEARANCE = "registration", "appearance"
_PAIRS = 2  # of atlas and scan, a step: torch's convolutions of a single small volume are slow on a CPU
_KEPT_BYTES = 2**30  # of transforms that were made


@dataclass(frozen=True)
class Atlas:
    """An annotated scan. image, target: (1, 1, X, Y, Z). seen, structures: the same in the common space (1, 1, *box), whose centre lies `centre_mm` from that
    of the scan's voxels."""

    example: Example
    image: Tensor
    target: Tensor
    seen: Tensor
    structures: Tensor
    centre_mm: Tensor

    @classmethod
    def of(cls, example: Example, space: CommonSpace, device: torch.device) -> Atlas:
        scan = scan_of(example)
        parts = (scan.data[None, None], example.target[None, None].float(), space.image(scan), space.target(example), space.centre_mm(scan))
        return cls(example, *(part.to(device) for part in parts))


@dataclass(frozen=True)
class Choice:
    """What one image is made of: which atlas, the scans that give its shape and its intensities, and where it is cut."""

    atlas: int
    shape: int
    intensities: int
    place: Place


class LearnedTransforms(Strategy):
    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.settings = settings = task.config.learned_transforms
        registration, appearance = settings.networks
        space = CommonSpace.about(task.real, settings.spacing_mm, max(registration.divisor, appearance.divisor))
        self.atlases = [Atlas.of(example, space, task.device) for example in task.real]
        self.scans = [space.image(scan).to(task.device) for scan in task.unlabelled]
        self.spatial = SpatialTransform(space.window, registration, settings.smoothness).to(task.device)
        self.appearance = AppearanceTransform(space.window, appearance, settings.appearance_mm).to(task.device)
        self.models: dict[str, nn.Module] = {REGISTRATION: self.spatial, APPEARANCE: self.appearance}
        self.optimisers = {name: torch.optim.Adam(model.parameters(), lr=settings.lr) for name, model in self.models.items()}
        self.registered = round(settings.spatial * task.config.steps)
        self.phases = (round((settings.spatial + settings.appearance) * task.config.steps),)
        self.transforms: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def step(self, index: int) -> dict[str, float]:
        (prepared,) = self.phases
        if index >= prepared:
            count = self.task.config.batch_size
            rngs = [stream(self.task.config.seed, "transformed", index * count + k) for k in range(count)]
            return {"synthetic_loss": self.task.train(*self.images(rngs, [self.choose(rng) for rng in rngs]))}
        rng = stream(self.task.config.seed, "transforms", index)
        atlases, scans = [rng.choice(self.atlases) for _ in range(_PAIRS)], [rng.choice(self.scans) for _ in range(_PAIRS)]
        seen, structures, scan = torch.cat([a.seen for a in atlases]), torch.cat([a.structures for a in atlases]), torch.cat(scans)
        if index < self.registered:
            return self._learn(REGISTRATION, self.spatial.loss(seen, scan), index / self.registered)
        _, back = self.spatial.between(seen, scan)
        return self._learn(APPEARANCE, self.appearance.loss(seen, back, structures), (index - self.registered) / (prepared - self.registered))

    def _learn(self, name: str, loss: Tensor, done: float) -> dict[str, float]:
        """One step of a transform network; `done`: the part of its phase that is over."""
        self.transforms.clear()
        optimiser = self.optimisers[name]
        for group in optimiser.param_groups:
            group["lr"] = self.settings.lr * (1 - done)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return {f"{name}_loss": float(loss.detach())}

    def choose(self, rng: random.Random) -> Choice:
        """Places are chosen in the atlas as it is: its structures do not move far."""
        atlas, shape, intensities = (rng.randrange(len(of)) for of in (self.atlases, self.scans, self.scans))
        place = self.task.cutting.place([self.atlases[atlas].example], rng)
        return Choice(atlas, shape, shape if self.settings.coupled else intensities, place)

    @torch.no_grad()
    def images(self, rngs: Sequence[random.Random], choices: Sequence[Choice], changed: bool = True) -> tuple[Tensor, Tensor]:
        """Images (B, 1, *shape) and targets (B, *shape), deformed and corrupted at random as real scans are; without `changed` intensities stay the atlas's."""
        images, targets = zip(*(self.window(choice, changed) for choice in choices))
        draws = [self.task.synthesizer.draw(rng) for rng in rngs]
        return self.task.synthesizer.augment(torch.stack(images), torch.stack(targets), draws, self.task.config.supervised.augmentation)

    @torch.no_grad()
    def window(self, choice: Choice, changed: bool = True) -> tuple[Tensor, Tensor]:
        """Intensities and target labels (*source_shape) of a transformed atlas; a label is that of the nearest voxel."""
        atlas, cutting = self.atlases[choice.atlas], self.task.cutting
        grid = atlas.example.grid
        flow, _ = self.transform(choice.atlas, choice.shape)
        moved = self.spatial.moved(cutting.positions(choice.place, grid).to(flow) - atlas.centre_mm, flow)  # from the box's centre
        in_atlas = moved + atlas.centre_mm  # from the centre of the atlas's voxels
        image, target = take(atlas.image, in_atlas, grid.spacing_mm), take(atlas.target, in_atlas, grid.spacing_mm, "nearest")
        if changed:
            _, change = self.transform(choice.atlas, choice.intensities)
            image = (image + take(change, moved, self.spatial.window.spacing_mm, outside="border")).clamp(0, 1)
        return image.reshape(cutting.source_shape), target.reshape(cutting.source_shape)

    @torch.no_grad()
    def transform(self, atlas: int, scan: int) -> tuple[Tensor, Tensor]:
        """Flow and change between two, as learned so far; made when first asked for, again after a resume, and again where there is no room to keep all."""
        if (atlas, scan) not in self.transforms:
            seen = self.atlases[atlas].seen
            flow, back = self.spatial.between(seen, self.scans[scan])
            change = self.appearance(seen, back)
            if (len(self.transforms) + 1) * (flow.nbytes + change.nbytes) > _KEPT_BYTES and self.transforms:
                del self.transforms[next(iter(self.transforms))]  # the oldest
            self.transforms[atlas, scan] = flow, change
        return self.transforms[atlas, scan]

    def shown(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Atlases in the shapes of scans, before and after their intensities are changed too."""
        both = []
        for changed in (False, True):
            rngs = [stream(self.task.config.seed, "preview", k) for k in range(count)]
            both.append(self.images(rngs, [self.choose(rng) for rng in rngs], changed))
        (before, target), (after, _) = both
        return before, after, target

    def state(self) -> dict[str, Any]:
        return {name: {"model": model.state_dict(), "optimiser": self.optimisers[name].state_dict()} for name, model in self.models.items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.transforms.clear()
        for name, model in self.models.items():
            model.load_state_dict(state[name]["model"])
            self.optimisers[name].load_state_dict(state[name]["optimiser"])

"""What must be known of networks before they are built, and how they are updated."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError
from ..settings import setting


@dataclass(frozen=True)
class Architecture:
    """What must be known of a network before it is built.

    features: its channels by default. scales: of as many as it can have, how many voxels along each axis one place stands for. least: how many it must have.
    """

    features: tuple[int, ...]
    scales: tuple[int, ...]
    least: int = 1


_UNET = Architecture((16, 32, 64, 128), (1, 2, 4, 8, 16, 32, 64))
_PATCHED = Architecture((16, 32, 64, 128), (2, 4, 8, 16, 32, 64, 128))
_RESIDUAL = Architecture((16, 64, 64, 128, 256, 512), (1, 2, 4, 8, 8, 8), least=6)  # of the image's own resolution, of the stem, of the encoder's four layers
ARCHITECTURES = {
    "unet": _UNET,
    "patched-unet": _PATCHED,
    "resnet10-unet": _RESIDUAL,
    "resnet18-unet": _RESIDUAL,
    "resnet34-unet": _RESIDUAL,
    "cooperative-unet": _UNET,
    "cooperative-patched-unet": _PATCHED,
}


@dataclass(frozen=True)
class NetworkConfig:
    """The segmentation network."""

    name: str = setting(
        "unet",
        "architecture; patched-: in blocks of 2 voxels a side, faster; resnet: MedicalNet's encoder, a U-Net's decoder; cooperative-: of that strategy",
        choices=tuple(ARCHITECTURES),
    )
    features: tuple[int, ...] = setting((), "channels at each resolution, finest first; none given: as the architecture has them by default", low=1, high=1024)
    pretrained: str = setting("", "what the weights begin with: a model (.l2s), a run, a shipped model (its name) or MedicalNet's (.pth); empty: at random")

    def __post_init__(self) -> None:
        architecture = ARCHITECTURES[self.name]
        if not self.features:
            object.__setattr__(self, "features", architecture.features)
        least, most = architecture.least, len(architecture.scales)
        if not least <= len(self.features) <= most:
            allowed = f"{least} to {most}" if least < most else f"{most}"
            raise InputError("features", f"{len(self.features)} values", f"{allowed} with {self.name}, as in {list(architecture.features)}")

    @property
    def scales(self) -> tuple[int, ...]:
        """Of each of the features, how many voxels along each axis one place stands for."""
        return ARCHITECTURES[self.name].scales[: len(self.features)]

    @property
    def divisor(self) -> int:
        """What every side of a window is a multiple of."""
        return max(self.scales)


@dataclass(frozen=True)
class OptimiserConfig:
    """How the segmentation network is updated."""

    name: str = setting("adam", "update rule", choices=("adam", "sgd"))
    lr: float = setting(2e-3, "learning rate", low=0, high=1000)
    momentum: float = setting(0.9, "momentum of sgd", low=0, high=0.999)
    precision: str = setting(
        "float32",
        "of plain steps; bfloat16: faster where the processor has it (steps that teach a synthesis, and those of cooperative, keep float32)",
        choices=("float32", "bfloat16"),
    )
    schedule: str = setting("cosine", "learning rate over the run, or over each of its phases", choices=("cosine", "constant"))

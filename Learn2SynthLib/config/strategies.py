"""What every strategy does, needs, and lets one set."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError
from ..settings import setting
from .networks import NetworkConfig
from .synthesis import LEARNABLE, SEARCHABLE, interval

MEASURED, PRIOR = "measured", "prior"


@dataclass(frozen=True)
class StrategyFacts:
    """What a strategy does, in words, and the roles of the cohort that it cannot do without.

    around: begins the name of the network that it builds around the one chosen; empty: it trains that one.
    """

    summary: str
    needs: tuple[str, ...]
    around: str = ""


STRATEGIES = {
    "learn2synth": StrategyFacts("trains on synthetic images; the scans teach the synthesis, never the network", ("label_map", "real")),
    "randomised": StrategyFacts("trains on synthetic images of random contrast (as SynthSeg does); the scans teach nothing", ("label_map",)),
    "mixed": StrategyFacts("trains on the scans first, then on these and images of random contrast, side by side", ("label_map", "real")),
    "fine_tuned": StrategyFacts("trains on images of random contrast first, then on the scans alone", ("label_map", "real")),
    "supervised": StrategyFacts("trains on the scans alone, augmented", ("real",)),
    "cooperative": StrategyFacts(
        "trains on the scans, augmented, and on hard examples that the network makes of them; a second network corrects shapes", ("real",), "cooperative-"
    ),
    "policy_search": StrategyFacts("trains on augmented scans, or on synthetic images; scans held apart choose how strongly and how often", ("real",)),
    "learned_transforms": StrategyFacts(
        "trains on the scans in the shapes and intensities of scans without labels, by transforms that it learns first", ("real", "unlabelled")
    ),
}


@dataclass(frozen=True)
class SupervisedConfig:
    """Training on the annotated real scans alone."""

    augmentation: bool = setting(True, "corrupt the real scans as the synthesis prior's scanner does; deformed they always are")


@dataclass(frozen=True)
class PolicySearchConfig:
    """Training on images augmented by sampled policies, whose distribution moves towards those that serve scans held apart (Xu et al. 2020)."""

    images: str = setting(
        "real", "what is augmented: real (the scans, some of them held apart) or synthetic (label maps, rendered)", choices=("real", "synthetic")
    )
    search: tuple[str, ...] = setting(
        SEARCHABLE, "which synthesis settings are searched; the others stay as they are", choices=SEARCHABLE, sizes=tuple(range(1, len(SEARCHABLE) + 1))
    )
    share: float = setting(0.25, "part of the scans, at least one, that only scores policies; with synthetic images all of them do", low=0, high=0.9)
    every: int = setting(2, "steps of the network for each comparison of two policies; a comparison costs a step more", low=1)
    start: float = setting(0.1, "part of the run before policies are compared: an untrained network tells nothing", low=0, high=1)
    duration: float = setting(0.8, "part of the run during which they are; then their distribution stays", low=1e-6, high=1)


@dataclass(frozen=True)
class MixedConfig:
    """Real and randomised images in every batch."""

    share: float = setting(0.5, "part of each batch that is real", low=0, high=1)
    synthetic_from: float = setting(0.33, "part of the run before batches hold synthetic images: anatomy is learned faster from one contrast", low=0, high=1)


@dataclass(frozen=True)
class FineTunedConfig:
    """Randomised images first, real scans after; augmented as `supervised.augmentation` says."""

    start: float = setting(0.7, "part of the run before the real scans take over", low=0, high=1)


@dataclass(frozen=True)
class RandomisedConfig:
    """Synthetic images from the prior alone (SynthSeg); it has no settings of its own."""


@dataclass(frozen=True)
class CooperativeConfig:
    """Two networks that train together, and hard examples from masked codes (Chen et al. 2021); real scans are augmented as `supervised.augmentation` says."""

    share: float = setting(0.0, "part of each batch that is synthetic, of random contrast; 0: real scans alone (the paper)", low=0, high=0.95)
    start: float = setting(0.1, "part of the run before hard examples are made: an untrained network makes noise", low=0, high=1)
    masked: tuple[float, ...] = interval(0, 0.5, "part of the channels or places of a code that is masked in a hard example", (0, 0.95))
    hard: float = setting(1.0, "weight of the losses on hard examples; 0: none are made", low=0, high=1000)
    reconstruction: float = setting(1.0, "weight of the mean squared error of images that are decoded again", low=1e-3, high=1000)


@dataclass(frozen=True)
class Learn2SynthConfig:
    """Synthetic images from the prior and from a synthesis that real scans teach (Hu et al. 2025)."""

    enhancement: str = setting(
        "parametric", "what is learned: the synthesis parameters, a network behind them, or both", choices=("parametric", "network", "both")
    )
    learn: tuple[str, ...] = setting(LEARNABLE, "which synthesis parameters are learned; the others keep their prior", choices=LEARNABLE)
    fixed: tuple[str, ...] = setting((), "which of them are learned as one value instead of a range", choices=LEARNABLE)
    search: tuple[str, ...] = setting(
        (), "synthesis settings that it does not learn, searched along by comparing policies; when and how often as policy_search has it", choices=SEARCHABLE
    )
    share: float = setting(0.5, "part of each batch drawn from the wide prior, so that the network serves any contrast; 0: none", low=0, high=0.95)
    wide_from: float = setting(0.33, "part of the run before batches hold wide images: anatomy is learned faster from the scans' contrast", low=0, high=1)
    any_contrast: float = setting(0.75, "part of these that is wide in contrast alone, all else drawn as learned: images like the scans", low=0, high=1)
    any_scanner: float = setting(
        0.0, "part of the learned images that is wide in gamma, bias field, blur and noise alone, from wide_from on: for scans worse than these", low=0, high=1
    )
    hypergradient: str = setting("one_sided", "exact, or the cheaper finite differences", choices=("exact", "one_sided", "central"))
    begin: str = setting(
        MEASURED, "where the synthesis begins: measured (as the annotated scans show it), prior, or a model or run whose learned synthesis is used again"
    )
    objective: str = setting(
        "matching",
        "loss: the loss of the stepped network on the scans (the paper); matching: how its gradient differs from that on synthetic images of the same anatomy",
        choices=("matching", "loss"),
    )
    memory: float = setting(0.0, "weight of earlier lessons in the mean of what scans teach; 0: none (the paper); 0.95 helps from the prior", low=0, high=0.999)
    epsilon: float = setting(1e-3, "length of the finite-difference step", low=1e-8, high=0.1)
    start: float = setting(0.06, "part of the run before the synthesis begins to learn: an untrained network teaches noise", low=0, high=1)
    duration: float = setting(0.4, "part of the run during which the synthesis learns, its rate falling to 0; then it stays", low=1e-6, high=1)
    every: int = setting(2, "steps of the network for each step of the synthesis while it learns", low=1)
    lr: float = setting(
        3e-3, "learning rate of the synthesis parameters, each measured in the width of its bounds; 0: the synthesis stays as it begins", low=0, high=1000
    )
    network_lr: float = setting(1e-3, "learning rate of the enhancement network", low=0, high=1000)
    network_features: tuple[int, ...] = setting((8, 16, 32), "channels of the enhancement network, finest first", low=1, high=512, sizes=tuple(range(1, 7)))

    def __post_init__(self) -> None:
        both = [name for name in self.search if name in self.by_gradient]
        if both:
            found = f"{', '.join(both)}, which the hypergradient learns"
            raise InputError("search", found, "what is not in learn2synth.learn", "leave it out of one of the two")
        if not self.learn and self.enhancement == "parametric":
            raise InputError("learn", "nothing", f"some of {', '.join(LEARNABLE)}", "learn2synth.lr=0 keeps the synthesis as it begins")

    @property
    def by_gradient(self) -> tuple[str, ...]:
        """The synthesis parameters whose ranges are learned."""
        return () if self.enhancement == "network" else self.learn


@dataclass(frozen=True)
class LearnedTransformsConfig:
    """Annotated scans in the shapes and intensities of unlabelled ones (Zhao et al. 2019); augmented as `supervised.augmentation` says."""

    spatial: float = setting(0.2, "part of the run in which the annotated scans are registered to the unlabelled ones", low=0, high=0.9)
    appearance: float = setting(0.1, "part of the run, after that, in which the changes of intensity are learned; then the network trains", low=0, high=0.9)
    coupled: bool = setting(False, "each image takes shape and intensities of one unlabelled scan; otherwise of two, drawn independently (the paper's best)")
    spacing_mm: float = setting(4.0, "voxel size at which the transforms are learned", unit="mm", low=1, high=10)
    smoothness: float = setting(1.0, "weight of the velocity's mean squared gradient, beside 1 - correlation of the images", low=0, high=1000)
    appearance_mm: float = setting(8.0, "distance over which changes of intensity are smooth within a structure", unit="mm", low=0, high=100)
    features: tuple[int, ...] = setting((16, 32, 32), "channels of the registration network, finest first", low=1, high=512, sizes=tuple(range(1, 7)))
    appearance_features: tuple[int, ...] = setting((8, 16, 32), "likewise of the network of changes", low=1, high=512, sizes=tuple(range(1, 7)))
    lr: float = setting(5e-3, "learning rate of the transform networks, falling to 0 in the part of each", low=0, high=1000)

    def __post_init__(self) -> None:
        if self.spatial + self.appearance >= 1:
            found = f"spatial {self.spatial:g} and appearance {self.appearance:g}"
            raise InputError("learned_transforms", found, "together below 1", "leave a part of the run to the network")

    @property
    def networks(self) -> tuple[NetworkConfig, NetworkConfig]:
        """Of registration, whose fields are smooth over blocks of voxels, and of changes of intensity, which may jump between two voxels."""
        return NetworkConfig("patched-unet", self.features), NetworkConfig("unet", self.appearance_features)

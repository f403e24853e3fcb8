"""The configuration of a run: every choice behind a trained model, complete, in one JSON file.

Defaults live here, presets under Resources/Presets/ state only what differs, `--set KEY=VALUE` comes last.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from .errors import InputError, nearest
from .model import Model
from .resources import read_named
from .settings import describe, from_json, record_setting, setting, to_json


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
    "mixed": StrategyFacts("trains on the scans and on images of random contrast, side by side", ("label_map", "real")),
    "fine_tuned": StrategyFacts("trains on images of random contrast first, then on the scans alone", ("label_map", "real")),
    "supervised": StrategyFacts("trains on the scans alone, augmented", ("real",)),
    "cooperative": StrategyFacts(
        "trains on the scans, augmented, and on hard examples that the network makes of them; a second network corrects shapes", ("real",), "cooperative-"
    ),
    "policy_search": StrategyFacts("trains on augmented scans, or on synthetic images; scans held apart choose how strongly and how often", ("real",)),
}
ANY_CONTRAST = "any"
MEASURED, PRIOR = "measured", "prior"
LEARNABLE = ("contrast_mean", "contrast_spread", "texture", "gamma", "bias", "blur_mm", "noise")
CONTRAST = LEARNABLE[:2]
SEARCHABLE = (
    *("rotation_degrees", "rotation_chance", "scaling", "scaling_chance", "warp_mm", "warp_spacing_mm", "warp_chance", "gamma", "gamma_chance"),  # the paper's
    *("flip", "crop", "noise", "bias", "blur_mm", "thick_slices", "slice_thickness_mm", "dark_background", "skull_strip"),
)
MEASURABLE = ("dark_background", "skull_strip", "strip_fluid", "thick_slices")  # probabilities: no gradient reaches them, but scans show them


def _interval(low: float, high: float, meaning: str, bounds: tuple[float, float], **more: Any) -> Any:
    """A range from which a value is drawn uniformly; `bounds` limit both the setting and what may be learned."""
    return setting((float(low), float(high)), meaning, low=bounds[0], high=bounds[1], sizes=(2,), interval=True, **more)


@dataclass(frozen=True)
class GridConfig:
    """The voxels that the network sees, in RAS order."""

    spacing_mm: tuple[float, ...] = setting((2.0, 2.0, 2.0), "voxel size along left-right, back-front, down-up", unit="mm", low=0.2, high=20, sizes=(3,))
    shape: tuple[int, ...] = setting((80, 96), "voxels of one training window: 2 numbers for slices, 3 for volumes", low=8, high=512, sizes=(2, 3))


@dataclass(frozen=True)
class SynthesisConfig:
    """The prior of the synthesis: what images are drawn before anything is learned (Billot et al. 2023, section 3)."""

    flip: float = setting(0.5, "probability of a left/right flip, sided labels swapped", low=0, high=1)
    rotation_degrees: tuple[float, ...] = _interval(-15, 15, "rotation about each axis", (-180, 180), unit="degrees")
    rotation_chance: float = setting(1.0, "probability of a rotation", low=0, high=1)
    scaling: tuple[float, ...] = _interval(0.85, 1.15, "scaling along each axis", (0.3, 3))
    scaling_chance: float = setting(1.0, "probability of a scaling", low=0, high=1)
    shear: tuple[float, ...] = _interval(-0.02, 0.02, "shear of each pair of axes", (-0.5, 0.5))
    translation_mm: tuple[float, ...] = _interval(-8, 8, "shift along each axis", (-200, 200), unit="mm")
    warp_mm: tuple[float, ...] = _interval(0, 3, "standard deviation of the stationary velocity at its control points", (0, 20), unit="mm")
    warp_spacing_mm: float = setting(20.0, "distance of the control points of the velocity", unit="mm", low=4, high=200)
    warp_chance: float = setting(1.0, "probability of a warp", low=0, high=1)
    contrast: str = setting(ANY_CONTRAST, "a table of contrast (t1, or a JSON file) in place of random means and spreads; any: none")
    contrast_mean: tuple[float, ...] = _interval(0, 1, "mean intensity of each tissue class", (0, 1))
    contrast_spread: tuple[float, ...] = _interval(0, 0.1, "standard deviation within each tissue class", (0, 0.3))
    texture: tuple[float, ...] = _interval(0, 0.5, "part of that variance which is smooth over `texture_mm`", (0, 1))
    texture_mm: float = setting(8.0, "distance over which texture varies", unit="mm", low=1, high=50)
    dark_background: float = setting(0.9, "probability that what has no label is black", low=0, high=1)
    skull_strip: float = setting(0.5, "probability that tissue outside the brain is removed", low=0, high=1)
    strip_fluid: float = setting(0.5, "probability that the fluid around the brain is removed with it", low=0, high=1)
    gamma: tuple[float, ...] = _interval(-0.4, 0.4, "logarithm of the exponent applied to intensities", (-1.5, 1.5))
    gamma_chance: float = setting(1.0, "probability that an exponent is applied", low=0, high=1)
    bias: tuple[float, ...] = _interval(0, 0.3, "standard deviation of the log bias field at each scale", (0, 1.5))
    bias_spacing_mm: tuple[float, ...] = setting(
        (160.0, 80.0, 40.0), "distances of the control points of the bias field, one per scale", unit="mm", low=8, high=500
    )
    blur_mm: tuple[float, ...] = _interval(0, 3, "full width at half maximum of the point spread", (0, 12), unit="mm")
    thick_slices: float = setting(0.25, "probability of thick slices in one direction", low=0, high=1)
    slice_thickness_mm: tuple[float, ...] = _interval(3, 7, "thickness and distance of thick slices", (0.2, 20), unit="mm")
    noise: tuple[float, ...] = _interval(0, 0.08, "standard deviation of the noise, image range being 1", (0, 0.5))
    rician: float = setting(0.5, "probability that the noise is Rician, otherwise Gaussian", low=0, high=1)
    crop: float = setting(0.1, "probability that the field of view cuts a part of the head off", low=0, high=1)
    crop_fraction: tuple[float, ...] = _interval(0.05, 0.3, "part of the window that is then cut off at one side", (0, 0.9))
    fluid_mm: float = setting(8.0, "unlabelled gaps of the brain up to this width count as cerebrospinal fluid; 0: none", unit="mm", low=0, high=50)
    real_label_maps: bool = setting(True, "the label maps of the real scans join the synthesis pool (their images never train the network of learn2synth)")
    real_share: float = setting(0.5, "about the part of the synthetic images that is then made from them, however few they are", low=0, high=0.95)


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
    lr: float = setting(2e-3, "learning rate", low=0)
    momentum: float = setting(0.9, "momentum of sgd", low=0, high=0.999)
    schedule: str = setting("cosine", "learning rate over the run", choices=("cosine", "constant"))


@dataclass(frozen=True)
class SupervisedConfig:
    """Training on the annotated real scans alone."""

    augmentation: bool = setting(True, "deform and corrupt the real scans by the synthesis prior's own stages")


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
    masked: tuple[float, ...] = _interval(0, 0.5, "part of the channels or places of a code that is masked in a hard example", (0, 0.95))
    hard: float = setting(1.0, "weight of the losses on hard examples; 0: none are made", low=0)
    reconstruction: float = setting(1.0, "weight of the mean squared error of images that are decoded again", low=1e-3)


@dataclass(frozen=True)
class Learn2SynthConfig:
    """Synthetic images from the prior and from a synthesis that real scans teach (Hu et al. 2025)."""

    enhancement: str = setting(
        "parametric", "what is learned: the synthesis parameters, a network behind them, or both", choices=("parametric", "network", "both")
    )
    learn: tuple[str, ...] = setting(LEARNABLE, "which synthesis parameters are learned; the others keep their prior", choices=LEARNABLE)
    fixed: tuple[str, ...] = setting((), "which of them are learned as one value instead of a range", choices=LEARNABLE)
    share: float = setting(0.375, "part of each batch drawn from the wide prior, which keeps the network contrast-agnostic", low=0, high=0.95)
    any_contrast: float = setting(0.5, "part of these that is wide in contrast alone, all else drawn as learned: images like the scans", low=0, high=1)
    hypergradient: str = setting("one_sided", "exact, or the cheaper finite differences", choices=("exact", "one_sided", "central"))
    begin: str = setting(
        MEASURED, "where the synthesis begins: measured (as the annotated scans show it), prior, or a model (.l2s) whose learned synthesis is used again"
    )
    objective: str = setting(
        "matching",
        "loss: the loss of the stepped network on the scans (the paper); matching: how its gradient differs from that on synthetic images of the same anatomy",
        choices=("matching", "loss"),
    )
    memory: float = setting(0.0, "weight of the lessons before in their running mean; 0: each alone (the paper); 0.95 helps from the prior", low=0, high=0.999)
    epsilon: float = setting(1e-3, "length of the finite-difference step", low=1e-8, high=0.1)
    start: float = setting(0.06, "part of the run before the synthesis begins to learn: an untrained network teaches noise", low=0, high=1)
    duration: float = setting(0.4, "part of the run during which the synthesis learns, its rate falling to 0; then it stays", low=1e-6, high=1)
    every: int = setting(2, "steps of the network for each step of the synthesis while it learns", low=1)
    lr: float = setting(3e-3, "learning rate of the synthesis parameters, each measured in the width of its bounds; 0: the synthesis stays as it begins", low=0)
    network_lr: float = setting(1e-3, "learning rate of the enhancement network", low=0)
    network_features: tuple[int, ...] = setting((8, 16, 32), "channels of the enhancement network, finest first", low=1, high=512, sizes=tuple(range(1, 7)))


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run, but for its data (the cohort) and the place it runs on."""

    steps: int = setting(1500, "training steps", low=1)
    seed: int = setting(0, "seed of every random choice", low=0, high=2**31 - 1)
    ndim: int = setting(2, "2: axial slices; 3: volumes", choices=(2, 3))
    batch_size: int = setting(8, "images of one step", low=1, high=4096)
    device: str = setting("auto", "auto, cpu, cuda, cuda:N or mps")
    strategy: str = setting("learn2synth", "how the network is trained", choices=tuple(STRATEGIES))
    target: str = setting("brain", "label table that the network predicts: a name or a JSON file")
    validate_every: int = setting(250, "steps between validations", low=1)
    preview_every: int = setting(250, "steps between previews", low=1)
    checkpoint_every: int = setting(100, "steps between checkpoints", low=1)
    patience: int = setting(10, "validations without gain after which the run advises to stop (it does not stop by itself)", low=1)
    grid: GridConfig = record_setting(GridConfig)
    synthesis: SynthesisConfig = record_setting(SynthesisConfig)
    network: NetworkConfig = record_setting(NetworkConfig)
    optimiser: OptimiserConfig = record_setting(OptimiserConfig)
    supervised: SupervisedConfig = record_setting(SupervisedConfig)
    policy_search: PolicySearchConfig = record_setting(PolicySearchConfig)
    mixed: MixedConfig = record_setting(MixedConfig)
    fine_tuned: FineTunedConfig = record_setting(FineTunedConfig)
    randomised: RandomisedConfig = record_setting(RandomisedConfig)
    learn2synth: Learn2SynthConfig = record_setting(Learn2SynthConfig)
    cooperative: CooperativeConfig = record_setting(CooperativeConfig)

    def __post_init__(self) -> None:
        if len(self.grid.shape) != self.ndim:
            raise InputError("grid.shape", f"{list(self.grid.shape)} with ndim {self.ndim}", f"{self.ndim} numbers", "set both, or use a preset")
        if any(size % self.network.divisor for size in self.grid.shape):
            network = f"{self.network.name} and {len(self.network.features)} entries in network.features"
            raise InputError("grid.shape", f"{list(self.grid.shape)}", f"multiples of {self.network.divisor} with {network}")
        if self._trained_name not in ARCHITECTURES:
            around = STRATEGIES[self.strategy].around
            allowed = ", ".join(name.removeprefix(around) for name in ARCHITECTURES if name.startswith(around))
            raise InputError("network.name", f"'{self.network.name}' with strategy '{self.strategy}'", allowed)

    @property
    def trained_network(self) -> NetworkConfig:
        """The network that is trained and that the model holds: `network`, or what the strategy builds around it."""
        return replace(self.network, name=self._trained_name)

    @property
    def _trained_name(self) -> str:
        around = STRATEGIES[self.strategy].around
        return around + self.network.name.removeprefix(around)

    def to_json(self) -> dict[str, Any]:
        return to_json(self)

    @classmethod
    def from_json(cls, values: Any, where: object) -> RunConfig:
        return from_json(cls, values, str(where))


def build_config(preset: str = "quick-2d", assignments: Iterable[str] = (), **overrides: Any) -> RunConfig:
    """A configuration: defaults, then a preset (name or JSON file), then `overrides` of top-level keys, then KEY=VALUE texts."""
    values = read_preset(preset)
    for key, value in overrides.items():
        if value is not None:
            values[key] = value
    for assignment in assignments:
        _assign(values, assignment)
    return RunConfig.from_json(values, "configuration")


def read_preset(name_or_path: str) -> dict[str, Any]:
    """The settings of a preset by name, of a JSON file (a run's config.json will do), or of a model that has learned some (`policy_search`)."""
    if name_or_path.endswith(".l2s"):
        return _learned_preset(Model.read(name_or_path), name_or_path)
    values, path = read_named("Presets", name_or_path, "--preset")
    from_json(RunConfig, values, str(path))
    return values


def _learned_preset(model: Model, where: str) -> dict[str, Any]:
    """The settings of the model's own run, with those in their place that it has learned."""
    learned, told = model.card.get("preset"), (model.card.get("provenance") or {}).get("config") or {}
    if not isinstance(learned, dict) or "synthesis" not in learned:
        raise InputError(where, "has learned no settings", "a model of policy_search", "use again what another strategy has learned with learn2synth.begin")
    return told | learned | {"synthesis": told.get("synthesis", {}) | learned["synthesis"]}


def explain_settings() -> str:
    """One line per setting: key, default, meaning."""
    rows = [(key, json.dumps(default), meaning) for key, default, meaning in describe(RunConfig)]
    width = max(len(key) for key, _, _ in rows)
    return "\n".join(f"  {key:<{width}}  {default}  {meaning}" for key, default, meaning in rows)


def _assign(values: dict[str, Any], assignment: str) -> None:
    """Puts the text KEY=VALUE into nested `values`; VALUE is JSON, or a bare word, or words separated by commas."""
    key, separator, text = assignment.partition("=")
    if not separator or not key:
        raise InputError("--set", f"'{assignment}'", "KEY=VALUE, for example optimiser.lr=1e-3")
    *parents, last = key.split(".")
    _check_key(key)
    for parent in parents:
        values = values.setdefault(parent, {})
    values[last] = _parse(text)


def _check_key(key: str) -> None:
    known = [name for name, _, _ in describe(RunConfig)]
    if key not in known:
        raise InputError("--set", f"unknown key '{key}'", remedy=nearest(key, known))


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return [_parse(part) for part in text.split(",")] if "," in text else text

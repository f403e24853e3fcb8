"""Everything that decides a run, complete, in one JSON file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..errors import InputError
from ..settings import from_json, record_setting, setting, to_json
from .networks import ARCHITECTURES, NetworkConfig, OptimiserConfig
from .strategies import (
    STRATEGIES,
    CooperativeConfig,
    FineTunedConfig,
    Learn2SynthConfig,
    LearnedTransformsConfig,
    MixedConfig,
    PolicySearchConfig,
    RandomisedConfig,
    SupervisedConfig,
)
from .synthesis import GridConfig, SynthesisConfig


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
    learned_transforms: LearnedTransformsConfig = record_setting(LearnedTransformsConfig)

    def __post_init__(self) -> None:
        if len(self.grid.shape) != self.ndim:
            raise InputError("grid.shape", f"{list(self.grid.shape)} with ndim {self.ndim}", f"{self.ndim} numbers", "set both, or use a preset")
        self._check_window("network.features", self.network)
        if self.strategy == "learn2synth" and self.learn2synth.enhancement != "parametric":
            self._check_window("learn2synth.network_features", NetworkConfig("unet", self.learn2synth.network_features))
        if self._trained_name not in ARCHITECTURES:
            around = STRATEGIES[self.strategy].around
            allowed = ", ".join(name.removeprefix(around) for name in ARCHITECTURES if name.startswith(around))
            raise InputError("network.name", f"'{self.network.name}' with strategy '{self.strategy}'", allowed)

    def _check_window(self, key: str, network: NetworkConfig) -> None:
        """Whether the network can halve a window as often as it has levels, and has more than one place left to norm; `key`: where its channels are set."""
        shape, divisor = self.grid.shape, network.divisor
        whose = f"with {network.name} and {len(network.features)} entries in {key}"
        if any(size % divisor for size in shape):
            raise InputError("grid.shape", f"{list(shape)}", f"multiples of {divisor} {whose}")
        if max(shape) == divisor:
            raise InputError("grid.shape", f"{list(shape)}", f"a side of at least {2 * divisor} {whose}", "or name fewer")

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

"""The configuration of a run: every choice behind a trained model, complete, in one JSON file."""

from .building import build_config, explain_settings, read_preset
from .networks import ARCHITECTURES, NetworkConfig
from .run import RunConfig
from .strategies import MEASURED, PRIOR, STRATEGIES
from .synthesis import ANY_CONTRAST, CONTRAST, LEARNABLE, MEASURABLE, SCANNER, SEARCHABLE, GridConfig, SynthesisConfig

__all__ = [
    "ANY_CONTRAST",
    "ARCHITECTURES",
    "CONTRAST",
    "LEARNABLE",
    "MEASURABLE",
    "MEASURED",
    "PRIOR",
    "SCANNER",
    "SEARCHABLE",
    "STRATEGIES",
    "GridConfig",
    "NetworkConfig",
    "RunConfig",
    "SynthesisConfig",
    "build_config",
    "explain_settings",
    "read_preset",
]

"""The table of strategies."""

from __future__ import annotations

from .learn2synth import Learn2Synth
from .mixed import Mixed
from .randomised import Randomised
from .strategy import Strategy
from .supervised import Supervised

STRATEGIES: dict[str, type[Strategy]] = {
    "supervised": Supervised,
    "mixed": Mixed,
    "randomised": Randomised,
    "learn2synth": Learn2Synth,
}

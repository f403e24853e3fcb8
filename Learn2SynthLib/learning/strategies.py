"""The table of strategies; what each is and needs, in words, stands in `config.STRATEGIES`."""

from __future__ import annotations

from .cooperative import Cooperative
from .fine_tuned import FineTuned
from .learn2synth import Learn2Synth
from .learned_transforms import LearnedTransforms
from .mixed import Mixed
from .policy_search import PolicySearch
from .randomised import Randomised
from .strategy import Strategy
from .supervised import Supervised

STRATEGIES: dict[str, type[Strategy]] = {
    "learn2synth": Learn2Synth,
    "randomised": Randomised,
    "mixed": Mixed,
    "fine_tuned": FineTuned,
    "supervised": Supervised,
    "cooperative": Cooperative,
    "policy_search": PolicySearch,
    "learned_transforms": LearnedTransforms,
}

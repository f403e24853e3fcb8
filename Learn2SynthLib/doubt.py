"""Which structures of a segmentation deserve a second look, by their estimated quality (`segmentation/quality.py`)."""

from __future__ import annotations

from collections.abc import Mapping

# Below a Dice of 0.5 a structure shares less than half of itself with the reference. Of those estimated below, 80 % were; of those that were, 73 % are told,
# of those below 0.3 92 %, and of those above 0.7 0.3 % (Benchmarks/results/quality.json: 8 networks, 24 scans of people that the estimate was not fitted to).
DOUBTFUL = 0.5
_NAMED = 8  # structures that a sentence names


def doubtful(quality: Mapping[str, float]) -> dict[str, float]:
    """The structures whose estimated Dice is below `DOUBTFUL`, worst first."""
    return {name: value for name, value in sorted(quality.items(), key=lambda item: item[1]) if value < DOUBTFUL}


def probably_failed(quality: Mapping[str, float]) -> bool:
    """Whether most structures are doubtful: so are all 10 of 192 segmentations there with a mean Dice below 0.3, and 2 of the 126 above 0.5."""
    return 2 * len(doubtful(quality)) > len(quality)


def listed(doubts: Mapping[str, float]) -> str:
    """'pallidum (0.31), amygdala (0.42)'; of many the first few."""
    named = [f"{name} ({value:.2f})" for name, value in doubts.items()]
    return ", ".join(named[:_NAMED]) + (f" and {len(named) - _NAMED} more" if len(named) > _NAMED else "")


def cautions(quality: Mapping[str, float]) -> list[str]:
    """What a user should know before using the segmentation: nothing, which structures are doubtful, and that most of them are."""
    doubts = doubtful(quality)
    told = [f"Doubtful, with the Dice that a good reference would probably give: {listed(doubts)}."] if doubts else []
    return told + (["This segmentation probably failed: look at it."] if probably_failed(quality) else [])

"""What a user is told of doubtful structures."""

from __future__ import annotations

from Learn2SynthLib.doubt import DOUBTFUL, cautions, doubtful, listed, probably_failed


def test_doubtful_structures_come_worst_first() -> None:
    assert list(doubtful({"a": DOUBTFUL, "b": DOUBTFUL - 0.01, "c": 0.0, "d": 0.9}).items()) == [("c", 0.0), ("b", DOUBTFUL - 0.01)]


def test_good_segmentations_are_not_talked_of() -> None:
    assert cautions({"a": 0.9, "b": DOUBTFUL}) == []
    assert cautions({}) == [] and not probably_failed({})


def test_a_few_doubts_are_one_sentence() -> None:
    (sentence,) = cautions({"thalamus": 0.8, "pallidum": 0.314})
    assert sentence.endswith(": pallidum (0.31).")


def test_more_than_half_is_a_failure() -> None:
    assert not probably_failed({"a": 0.1, "b": 0.9})
    assert probably_failed({"a": 0.1, "b": 0.2, "c": 0.9})
    assert cautions({"a": 0.1})[1] == "This segmentation probably failed: look at it."


def test_a_list_stays_short() -> None:
    assert listed({f"s{k}": k / 100 for k in range(40)}).endswith("s7 (0.07) and 32 more")
    assert listed({"s": 0.25}) == "s (0.25)"

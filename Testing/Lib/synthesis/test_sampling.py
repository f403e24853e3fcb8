import json

import pytest

from Learn2SynthLib.config import SynthesisConfig
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.randomness import stream
from Learn2SynthLib.synthesis.sampling import DrawSizes, SynthesisDraw, draw

SIZES = DrawSizes(3, 7, 3)


def drawn(index: int, learned: bool = False) -> SynthesisDraw:
    return draw(SynthesisConfig(), SIZES, stream(0, "test", index), learned)


def test_a_draw_survives_json() -> None:
    record = json.loads(json.dumps(drawn(1).to_json()))
    assert SynthesisDraw.from_json(record, "file") == drawn(1)


def test_the_same_stream_draws_the_same_and_another_index_something_else() -> None:
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_a_learned_draw_differs_in_its_flag_only() -> None:
    assert drawn(3, True).to_json() == drawn(3).to_json() | {"learned": True}


def test_draws_stay_in_the_ranges_of_the_prior_and_use_them_up() -> None:
    config, draws = SynthesisConfig(), [drawn(k) for k in range(400)]
    for name in ("rotation_degrees", "scaling", "translation_mm"):
        values = [value for d in draws for value in getattr(d, name)]
        low, high = getattr(config, name)
        assert low <= min(values) < low + 0.05 * (high - low) and high - 0.05 * (high - low) < max(values) <= high
    for share, wanted in (
        (sum(d.flip for d in draws), config.flip),
        (sum(any(d.thickness_mm) for d in draws), config.thick_slices),
        (sum(any(d.crop) for d in draws), config.crop),
    ):
        assert share / len(draws) == pytest.approx(wanted, abs=0.08)


@pytest.mark.parametrize("record", [[], {"seed": 1}, {"sed": 1}])
def test_what_is_no_draw_is_refused(record: object) -> None:
    with pytest.raises(InputError, match="file"):
        SynthesisDraw.from_json(record, "file")

import json
from dataclasses import replace

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


def test_what_seldom_applies_is_left_out_as_often_and_changes_nothing_else() -> None:
    chances = {"rotation_chance": 0.2, "scaling_chance": 0.7, "warp_chance": 0.0, "gamma_chance": 0.5}
    rare = [draw(replace(SynthesisConfig(), **chances), SIZES, stream(0, "test", k)) for k in range(300)]
    assert sum(any(d.rotation_degrees) for d in rare) / 300 == pytest.approx(0.2, abs=0.08)
    assert sum(d.scaling != (1, 1, 1) for d in rare) / 300 == pytest.approx(0.7, abs=0.08)
    assert sum(d.gamma_applied for d in rare) / 300 == pytest.approx(0.5, abs=0.08)
    assert not any(d.warp_mm for d in rare)
    changed = ("rotation_degrees", "scaling", "warp_mm", "gamma_applied")
    for k, d in enumerate(rare):
        assert replace(drawn(k), **{name: getattr(d, name) for name in changed}) == d


def test_a_draw_in_the_pose_of_another_keeps_its_own_appearance() -> None:
    one, other = drawn(1), drawn(2)
    posed = one.in_pose_of(other)
    assert posed.rotation_degrees == other.rotation_degrees and posed.crop == other.crop and posed.seed == other.seed
    assert posed.positions == one.positions and posed.stripping == one.stripping


@pytest.mark.parametrize(
    "record",
    [[], {"seed": 1}, {"sed": 1}, *(drawn(1).to_json() | wrong for wrong in ({"positions": []}, {"stripping": "some"}, {"wide": "some"}, {"wide": []}))],
)
def test_what_is_no_draw_is_refused(record: object) -> None:
    with pytest.raises(InputError, match="file"):
        SynthesisDraw.from_json(record, "file")

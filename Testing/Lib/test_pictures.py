"""Pictures: upright brains, the table's colours, nothing cut off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from Learn2SynthLib import pictures
from Learn2SynthLib.charts import RangeChart
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.learned import LearnedRange
from Learn2SynthLib.pictures import AFTER, BEFORE, PAPER, Sheet


def holds(picture: Image.Image, colour: tuple[int, int, int]) -> bool:
    return bool((np.asarray(picture) == colour).all(-1).any())


def edges_are_blank(picture: Image.Image) -> bool:
    pixels = np.asarray(picture)
    return all((edge == PAPER).all() for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))


def test_front_is_up_and_left_is_left() -> None:
    volume = torch.zeros(4, 6, 3)  # RAS: the last y is in front, the first x is the person's left
    volume[0, 5, 1] = 1
    assert pictures.axial(volume, 1).shape == (6, 4)
    assert pictures.axial(volume, 1)[0, 0] == 1


def test_grey_spans_black_to_white_and_clips() -> None:
    levels = pictures.grey(np.array([[-1.0, 0.0, 0.5, 1.0, 7.0]]))
    assert levels.shape == (1, 5, 3) and levels[0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_a_constant_image_is_no_division_by_zero() -> None:
    assert not pictures.grey(np.ones((2, 2)), 1, 1).any()


def test_labels_have_the_colours_of_the_table() -> None:
    table = load_table("brain")
    drawn = pictures.coloured(np.array([[0, 2, 999]]), table)
    assert drawn[0].tolist() == [[0, 0, 0], list(table[2].colour), [0, 0, 0]]


def test_an_overlay_leaves_the_background_alone() -> None:
    table = load_table("brain")
    image, labels = np.array([[1.0, 1.0]]), np.array([[0, 6]])
    assert pictures.overlay(image, labels, table)[0, 0].tolist() == [255, 255, 255]
    assert pictures.overlay(image, labels, table, 1.0)[0, 1].tolist() == list(table[6].colour)
    assert pictures.overlay(image, labels, table, 0.0)[0, 1].tolist() == [255, 255, 255]


def test_a_sheet_holds_every_tile_magnified() -> None:
    tiles = [[np.full((20, 16, 3), 40 * r + 90 * c, np.uint8) for c in range(2)] for r in range(3)]
    drawn = Sheet(["first", "second"], magnify=3).draw(tiles)
    pixels = np.asarray(drawn)
    assert drawn.width == 2 * 48 + 4
    for r in range(3):
        for c in range(2):
            assert (pixels == 40 * r + 90 * c).all(-1).sum() > 0.9 * 60 * 48


def test_captions_make_room_for_themselves() -> None:
    tiles = [[np.zeros((20, 30, 3), np.uint8)]]
    plain, captioned = Sheet(["a"]).draw(tiles), Sheet(["a", ], groups=[("group", 1)]).draw(tiles, ["a row"])
    assert captioned.width > plain.width and captioned.height > plain.height


def test_long_captions_are_wrapped_within_their_tile() -> None:
    for line in pictures.wrapped("one caption of many words that no tile could hold", 80, 15):
        assert pictures.text_width(line, 15) <= 80


def test_text_is_kept_whole_when_wrapped() -> None:
    text = "every word of it, in order"
    assert " ".join(pictures.wrapped(text, 60, 15)) == text


def test_a_page_has_blank_edges_and_is_as_wide_as_its_widest_picture() -> None:
    drawn = pictures.page("Title", ["A paragraph of text. " * 8, pictures.blank(300, 20), pictures.blank(500, 10)])
    assert drawn.width == 500 + 2 * pictures.MARGIN and edges_are_blank(drawn)


def test_a_legend_breaks_its_lines_and_shows_every_colour() -> None:
    table = load_table("brain")
    values = table.values[1:]
    narrow, wide = pictures.legend(table, values, 200), pictures.legend(table, values, 2000)
    assert narrow.height > wide.height and narrow.width == 200
    for value in values:
        assert holds(narrow, table[value].colour)


def some_ranges(count: int) -> list[LearnedRange]:
    return [LearnedRange("mean intensity", f"tissue {k}", "", (0.0, 1.0), (0.2, 0.4), (0.0, 1.0)) for k in range(count)]


def test_a_chart_shows_before_and_after() -> None:
    drawn = RangeChart(900, columns=2).draw(some_ranges(5))
    assert drawn.width == 900 and holds(drawn, BEFORE) and holds(drawn, AFTER)


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_a_chart_of_any_length_is_as_wide_as_asked(count: int) -> None:
    assert RangeChart(700).draw(some_ranges(count)).width == 700


def test_a_png_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    pictures.write_png(pictures.blank(3, 2), tmp_path / "a" / "übersicht.png")
    with Image.open(tmp_path / "a" / "übersicht.png") as picture:
        assert picture.size == (3, 2)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError):
        pictures.write_png(pictures.blank(3, 2), tmp_path / "file" / "a.png")
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["übersicht.png"]

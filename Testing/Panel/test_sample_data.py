"""What Slicer's Sample Data module is told; nothing is downloaded."""

from __future__ import annotations

import re
import sys
from types import ModuleType
from typing import Any

import pytest
from Learn2SynthPanel import sample_data
from PIL import Image

# What Slicer 5.12 knows.
ARGUMENTS = {
    *("category", "sampleName", "uris", "fileNames", "nodeNames", "customDownloader", "thumbnailFileName"),
    *("loadFileTypes", "loadFiles", "loadFileProperties", "checksums"),
}
LICENCES = {"MIT", "BSD-2-Clause", "Apache-2.0"}  # what may be passed on, and may train a model that is passed on


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The registrations that a double of the Sample Data module receives."""
    calls: list[dict[str, Any]] = []

    class SampleDataLogic:
        @staticmethod
        def registerCustomSampleDataSource(**arguments: Any) -> None:
            assert set(arguments) <= ARGUMENTS
            calls.append(arguments)

    double = ModuleType("SampleData")
    double.SampleDataLogic = SampleDataLogic  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "SampleData", double)
    sample_data.register()
    return calls


def test_there_is_something_to_segment_and_something_to_train_with(offered: list[dict[str, Any]]) -> None:
    assert {call["category"] for call in offered} == {"Learn2Synth"}
    kinds = [call["loadFileProperties"].get("labelmap", False) for call in offered]
    assert kinds.count(False) >= 2 and kinds.count(True) >= 2
    assert {call["loadFileTypes"] for call in offered} == {"VolumeFile"}


@pytest.mark.parametrize("key", ["sampleName", "uris", "fileNames", "nodeNames", "checksums", "thumbnailFileName"])
def test_no_two_have_the_same(offered: list[dict[str, Any]], key: str) -> None:
    assert len({call[key] for call in offered}) == len(offered)


def test_addresses_are_permanent_and_files_are_checked(offered: list[dict[str, Any]]) -> None:
    for call in offered:
        assert re.fullmatch(r"https://raw\.githubusercontent\.com/[\w-]+/[\w-]+/[0-9a-f]{40}/[\w./+-]+", call["uris"])
        assert re.fullmatch(r"SHA256:[0-9a-f]{64}", call["checksums"])


def test_files_keep_their_format(offered: list[dict[str, Any]]) -> None:
    for call in offered:
        stem, _, suffix = call["fileNames"].partition(".")
        assert stem == call["nodeNames"] and suffix in ("nii.gz", "mgz") and call["uris"].endswith("." + suffix)


def test_pictures_have_the_size_that_sample_data_shows(offered: list[dict[str, Any]]) -> None:
    for call in offered:
        with Image.open(call["thumbnailFileName"]) as picture:
            assert picture.size == (260, 280)


def test_the_licence_is_said_and_lets_models_be_shared(offered: list[dict[str, Any]]) -> None:
    for call in offered:
        source, licence = re.search(r"\((.+), (.+)\)$", call["sampleName"]).groups()  # type: ignore[union-attr]
        assert source and licence in LICENCES


def test_without_sample_data_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "SampleData", None)
    sample_data.register()

"""Devices by name, as far as a computer without them can tell."""

from __future__ import annotations

import pytest
import torch

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.segmentation.device import choose_device

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:0", "cuda:", "mps:1", "CUDA"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="--device"):
        choose_device(name)


def test_devices_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == CPU
    with pytest.raises(InputError, match=r"no CUDA device.*auto, cpu"):
        choose_device("cuda:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == CUDA
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(InputError, match=r"2 CUDA devices.*cuda:0, cuda:1"):
        choose_device("cuda:2")

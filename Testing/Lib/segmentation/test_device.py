"""Devices by name, as far as a computer without them can tell."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.torch_version import TorchVersion

from Learn2SynthLib.computer import describe_computer
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.segmentation.device import check_precision, choose_device, is_out_of_memory, mps_is_usable

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
    monkeypatch.setattr("Learn2SynthLib.segmentation.device.has_kernels", lambda index: True)
    assert choose_device("auto") == CUDA
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(InputError, match=r"2 CUDA devices.*cuda:0, cuda:1"):
        choose_device("cuda:2")


def test_cards_that_torch_has_no_kernels_for_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    told, old = "CUDA error: no kernel image is available for execution on the device", {"cuda:0"}

    def ones(count: int, device: str) -> torch.Tensor:
        if device in old:
            raise RuntimeError(told)
        return torch.zeros(count)

    monkeypatch.setattr(torch, "ones", ones)
    for name, value in {"is_available": True, "device_count": 2, "get_device_name": "Old Card"}.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(name=f"Card {index}", total_memory=8 * 2**30))
    assert choose_device("auto") == torch.device("cuda", 1) and list(describe_computer().devices)[:2] == ["cuda:1", "cpu"]
    with pytest.raises(InputError, match=r"'cuda:0', but torch .* has no kernels for the Old Card"):
        choose_device("cuda:0")
    old.add("cuda:1")
    assert choose_device("auto") == CPU and "no kernels for the Old Card" in describe_computer().summary
    told = "CUDA error: out of memory"  # is no fault of the card
    assert choose_device("auto") == CUDA


@pytest.mark.parametrize(
    ("there", "version", "words"),
    [(False, "2.13.0", "finds no Apple GPU"), (True, "2.2.2", "torch 2.2.2 computes wrongly on Apple's GPU"), (True, "2.10.0", "")],
)
def test_apples_gpu_is_taken_where_torch_computes_rightly_on_it(monkeypatch: pytest.MonkeyPatch, there: bool, version: str, words: str) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: there)
    monkeypatch.setattr(torch, "__version__", TorchVersion(version))
    assert mps_is_usable() == ("mps" in describe_computer().devices) == (not words)
    if words:
        with pytest.raises(InputError, match=words):
            choose_device("mps")
    else:
        assert choose_device("mps") == torch.device("mps")


@pytest.mark.parametrize(
    "told",
    [
        *("CUDA out of memory. Tried to allocate", "can't allocate memory: you tried", "DefaultCPUAllocator: not enough memory"),
        *("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling", "Unable to find a valid cuDNN algorithm to run convolution"),
    ],
)
def test_want_of_memory_is_recognised_on_every_system(told: str) -> None:
    assert is_out_of_memory(RuntimeError(told)) and is_out_of_memory(MemoryError()) and not is_out_of_memory(RuntimeError("size mismatch"))


def test_a_precision_that_the_device_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_precision("bfloat16", CPU)
    check_precision("float32", torch.device("mps"))
    with pytest.raises(InputError, match=r"'bfloat16' with device mps.*float32"):
        check_precision("bfloat16", torch.device("mps"))
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda there=there: there)
        if there:
            check_precision("bfloat16", CUDA)
        else:
            with pytest.raises(InputError, match="cuda:0, which lacks it"):
                check_precision("bfloat16", CUDA)

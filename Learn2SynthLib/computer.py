"""What this computer offers, in words: versions, devices, memory, and why there is no GPU where there is none; and how memory is used best on it."""

from __future__ import annotations

import ctypes
import platform
from dataclasses import asdict, dataclass
from typing import Any

import psutil
import torch

from .run import environment
from .segmentation.device import has_kernels, mps_is_usable

_GIB = 2**30
_KEEP = {-1: 2**31 - 1, -2: 2**28, -3: 2**30}  # bytes; glibc's M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD


@dataclass(frozen=True)
class Computer:
    """summary: one sentence. devices: name to give to --device -> what it is, the one that `auto` takes first. environment: versions by name."""

    summary: str
    devices: dict[str, str]
    environment: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def report(self) -> str:
        """All of it, a line each."""
        facts = {**{f"device {name}": what for name, what in self.devices.items()}, **self.environment}
        width = max(map(len, facts))
        return "\n".join([self.summary, *(f"  {name:<{width}}  {fact}" for name, fact in facts.items())])


def describe_computer() -> Computer:
    devices = {**_cuda_devices(), "cpu": _processor()}
    if mps_is_usable():
        devices["mps"] = "Apple's GPU, taken on request only"
    first = next(iter(devices))
    reason = "" if first != "cpu" else f" ({_why_no_gpu()})"
    return Computer(f"torch {torch.__version__} on {devices[first]}{reason}", devices, environment())


def keep_freed_memory() -> bool:
    """Lets this process keep the memory of freed tensors for the next ones; returns whether that could be arranged (with glibc, so on most Linux systems).

    By default large blocks are given back at once, and the system clears the next ones page by page, which takes a sixth of a training step on volumes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all(mallopt(parameter, size) for parameter, size in _KEEP.items())


def _cuda_devices() -> dict[str, str]:
    if not torch.cuda.is_available():
        return {}
    found = {index: torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count()) if has_kernels(index)}
    return {f"cuda:{index}": f"{device.name}, {device.total_memory / _GIB:.0f} GB" for index, device in found.items()}


def _processor() -> str:
    return f"{psutil.cpu_count()} CPU cores, {psutil.virtual_memory().total / _GIB:.0f} GB of memory"


def _why_no_gpu() -> str:
    if torch.cuda.is_available():
        return f"this torch has no kernels for the {torch.cuda.get_device_name(0)}: install a build that supports this card"
    if torch.version.cuda or getattr(torch.version, "hip", None):
        return "this torch is built for GPUs, but finds no GPU or no driver that is new enough"
    if platform.system() == "Darwin":
        return "on a Mac, choose mps where it is offered"
    return "no GPU is used: this is the CPU build of torch; with an NVIDIA GPU, install a CUDA build"

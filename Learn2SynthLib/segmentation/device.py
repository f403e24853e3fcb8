"""The device to compute on, and the memory it has left."""

from __future__ import annotations

import psutil
import torch

from ..errors import InputError

_ALLOWED = "auto, cpu, cuda, cuda:N, mps"
_OUT_OF_MEMORY = (
    *("out of memory", "can't allocate memory", "not enough memory"),
    *("alloc_failed", "unable to find a valid cudnn algorithm", "unable to find an engine"),  # cuBLAS and cuDNN, which find no room for their own
)
_NO_KERNELS = ("no kernel image", "invalid device function")
_MPS_SINCE = "2.4"  # before, addcmul_ on a part of a tensor changes nothing there and raises nothing (pytorch issue 118115): segmentations would be noise


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is the first CUDA device that torch can compute on, or else the CPU.

    Apple's GPU (`mps`) is taken on request only, because not every torch has all operations of a network of volumes for it.
    Raises InputError for an unknown name and for a device that this computer lacks.
    """
    if name == "auto":
        usable = (index for index in range(_cuda_count()) if has_kernels(index))
        return next((torch.device("cuda", index) for index in usable), torch.device("cpu"))
    kind, colon, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not (kind == "cuda" and index.isdecimal())):
        raise InputError("--device", f"'{name}'", _ALLOWED)
    if kind == "cuda":
        return _cuda(name, int(index or 0))
    if kind == "mps" and not torch.backends.mps.is_available():
        raise InputError("--device", "'mps', but this torch finds no Apple GPU", "auto, cpu", "use --device cpu")
    if kind == "mps" and not mps_is_usable():
        remedy = f"use --device cpu, or torch {_MPS_SINCE} or newer"
        raise InputError("--device", f"'mps', but torch {torch.__version__} computes wrongly on Apple's GPU", "auto, cpu", remedy)
    return torch.device(kind)


def mps_is_usable() -> bool:
    """Whether there is an Apple GPU, and a torch that computes rightly on it."""
    return torch.backends.mps.is_available() and torch.__version__ >= _MPS_SINCE  # which compares versions, not letters


def check_precision(precision: str, device: torch.device) -> None:
    """Raises InputError when the device cannot train in that precision."""
    usable = device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_bf16_supported())
    if precision == "bfloat16" and not usable:
        raise InputError("optimiser.precision", f"'bfloat16' with device {device}, which lacks it", "float32")


def has_kernels(index: int) -> bool:
    """Whether this torch computes on that CUDA device: builds leave out old cards, which shows only when something is computed."""
    try:
        torch.ones(1, device=f"cuda:{index}").add_(1)
    except RuntimeError as error:
        return not any(words in str(error) for words in _NO_KERNELS)
    return True


def _cuda_count() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _cuda(name: str, index: int) -> torch.device:
    count = _cuda_count()
    if not count:
        remedy = "use --device cpu, or install a CUDA build of torch"
        raise InputError("--device", f"'{name}', but torch finds no CUDA device", "auto, cpu", remedy)
    if index >= count:
        raise InputError("--device", f"'{name}', but there are {count} CUDA devices", ", ".join(f"cuda:{i}" for i in range(count)))
    if not has_kernels(index):
        found = f"'{name}', but torch {torch.__version__} has no kernels for the {torch.cuda.get_device_name(index)}"
        raise InputError("--device", found, "auto, cpu", "use --device cpu, or install a build of torch that supports this card")
    return torch.device("cuda", index)


def available_bytes(device: torch.device) -> int:
    """Memory that can still be taken on the device: free, or kept by torch for reuse."""
    if device.type != "cuda":
        return int(psutil.virtual_memory().available)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + kept


def is_out_of_memory(error: Exception) -> bool:
    """True for what Python, and torch on any device and system, raises when an allocation fails."""
    told = str(error).lower()
    return isinstance(error, MemoryError) or any(words in told for words in _OUT_OF_MEMORY)

"""Pretrained weights: a network begins with what another training left (Med3D: Chen, Ma & Zheng 2019).

Tensors are taken over by name and shape: all of a model of the same architecture, the encoder of a 3D-ResNet in MedicalNet's layout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..labels import LabelTable
from ..model import Model
from ..volume.cohort import file_digest
from .card import read_card, read_network
from .segmenter import find_model

_CHECKPOINT = "a .l2s model, or a checkpoint of tensors in MedicalNet's layout: {'state_dict': {'module.conv1.weight': ...}}"
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # of batch norm; instance norm keeps none


@dataclass(frozen=True)
class Pretrained:
    """What another training left.

    name: as the user gave it. weights: named as our networks name theirs. table: the rows of its last layer, if known. data: the subjects that it knows.
    """

    name: str
    path: Path
    weights: Mapping[str, Tensor]
    table: LabelTable | None
    data: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def read(cls, name: str) -> Pretrained:
        """Of a bundle, the best model of a run, a shipped model, or a checkpoint in MedicalNet's layout. Raises InputError when it is none of them."""
        path = find_model(name)
        if path.suffix != ".l2s":
            return cls(name, path, _checkpoint(path), None)
        model = Model.read(path)
        card = read_card(model, path)
        return cls(name, path, read_network(model, card, path).state_dict(), card.table, model.data)

    def fitting(self, network: nn.Module, table: LabelTable) -> dict[str, Tensor]:
        """What a network whose last layer has the rows of `table` can take over.

        What has a channel for each class is left out where these mean something else. Raises InputError when no kernel of the encoder fits: what follows
        it is worth nothing without it, nor are norms without their kernels.
        """
        own, same = network.state_dict(), self.table is not None and _meaning(self.table) == _meaning(table)
        shared = {name: tensor for name, tensor in self.weights.items() if name in own and own[name].shape == tensor.shape}
        fitting = {name: tensor for name, tensor in shared.items() if same or not _counts_classes(name)}
        if not any(tensor.ndim > 1 for name, tensor in fitting.items() if _in("encoder", name)):
            found = f"no kernel fits the network's encoder ({self._difference(own)})"
            raise InputError(self.name, found, remedy="choose ndim, network.name and network.features as it has them")
        return fitting

    def load_into(self, network: nn.Module, table: LabelTable) -> dict[str, Any]:
        """Puts what fits into the network and tells: the file's name and sha256, the number of tensors loaded, the names of the network's own that were kept
        and of the file's that were not used, the subjects that the file knows. Raises InputError as `fitting` does."""
        taken = self.fitting(network, table)
        network.load_state_dict(taken, strict=False)
        kept, unused = ([name for name in names if name not in taken] for names in (network.state_dict(), self.weights))
        told = {"file": Path(self.name).name, "sha256": file_digest(self.path), "loaded": len(taken), "kept": kept, "unused": unused}
        return told | {"data": list(self.data)}

    def _difference(self, own: Mapping[str, Tensor]) -> str:
        """The first kernel of an encoder that both have, or the first of either."""
        theirs, ours = ([name for name, tensor in weights.items() if tensor.ndim > 1 and _in("encoder", name)] for weights in (self.weights, own))
        shared = next((name for name in theirs if name in ours), None)
        if shared:
            return f"{shared} is {list(self.weights[shared].shape)} there, {list(own[shared].shape)} here"
        return f"there are {', '.join(theirs[:2])} ... there, {', '.join(ours[:2])} ... here"


def _checkpoint(path: Path) -> dict[str, Tensor]:
    """The weights of a 3D-ResNet, named as those of our residual encoder; nothing in the file is executed."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for what it cannot or will not read
        raise InputError(path, f"cannot be read as weights ({type(error).__name__})", _CHECKPOINT) from error
    tensors = content.get("state_dict") if isinstance(content, Mapping) else None
    if not isinstance(tensors, Mapping) or not tensors or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise InputError(path, "holds no 'state_dict' of tensors", _CHECKPOINT)
    named = {str(name).removeprefix("module."): tensor for name, tensor in tensors.items()}
    kept = {f"encoder.{name}": tensor for name, tensor in named.items() if not name.endswith(_STATISTICS)}
    broken = [name for name, tensor in kept.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise InputError(path, f"the weights '{broken[0]}' are not finite", "finite numbers", "copy or export it again")
    return kept


def _counts_classes(name: str) -> bool:
    """Whether a tensor has a channel for each class: the last layer, and the first one of a network that corrects class probabilities."""
    return _in("head", name) or (_in("slow", name) and name.endswith("encoder.0.convolutions.0.weight"))


def _in(part: str, name: str) -> bool:
    """Whether a tensor belongs to that part of a network: `encoder`, `head`, `slow`."""
    return part in name.split(".")


def _meaning(table: LabelTable) -> list[tuple[str, tuple[int, ...]]]:
    """What the rows stand for, whatever their numbers and colours."""
    return [(label.name, label.freesurfer) for label in table.labels]

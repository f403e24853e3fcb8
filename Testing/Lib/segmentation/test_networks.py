import math

import pytest
import torch
from torch import Tensor

from Learn2SynthLib.config import ARCHITECTURES, NetworkConfig
from Learn2SynthLib.segmentation.losses import log_dice_loss, segmentation_loss
from Learn2SynthLib.segmentation.networks import NETWORKS, build_network
from Learn2SynthLib.segmentation.unet import from_blocks, to_blocks


def narrow(name: str) -> NetworkConfig:
    """The architecture with few channels: as few features as it allows, but three at least, no two alike."""
    return NetworkConfig(name, tuple(range(4, 4 + max(3, ARCHITECTURES[name].least))))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("ndim", [2, 3])
def test_every_network_gives_logits_of_the_images_size_and_learns_in_every_weight(name: str, ndim: int) -> None:
    config = narrow(name)
    network = build_network(config, ndim, 1, 5)
    images = torch.rand(2, 1, *(config.divisor * k for k in range(1, ndim + 1)))
    logits = network(images)
    assert logits.shape == (2, 5, *images.shape[2:])
    segmentation_loss(logits, torch.randint(0, 5, (2, *images.shape[2:]))).backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in network.parameters())


def test_a_block_of_voxels_comes_back_to_its_place() -> None:
    images = torch.rand(2, 3, 4, 6, 8)
    blocks = to_blocks(images)
    assert torch.equal(blocks[1, :, 1, 2, 3], images[1, :, 2:4, 4:6, 6:8].flatten())
    assert torch.equal(from_blocks(blocks), images)
    assert torch.equal(from_blocks(to_blocks(images[..., 0])), images[..., 0])


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_smooth_so_that_finite_differences_mean_something(name: str) -> None:
    """The gradient with respect to the image changes in proportion to a small change of the weights: no kinks in between."""
    torch.manual_seed(0)
    network = build_network(narrow(name), 2, 1, 3).double()
    images, target = torch.rand(2, 1, 32, 32, dtype=torch.float64), torch.randint(0, 3, (2, 32, 32))
    weights = {k: w.detach() for k, w in network.named_parameters()}
    direction = {k: torch.randn_like(w) for k, w in weights.items()}

    def change(step: float) -> torch.Tensor:
        def gradient(w: dict) -> torch.Tensor:
            return torch.func.grad(lambda x: segmentation_loss(torch.func.functional_call(network, w, x), target))(images)

        return (gradient({k: w + step * direction[k] for k, w in weights.items()}) - gradient(weights)) / step

    fine, coarse = change(1e-6), change(1e-4)
    assert float((fine - coarse).norm() / fine.norm()) < 0.05


def test_the_loss_is_small_for_the_truth_and_large_for_its_opposite() -> None:
    target = torch.randint(0, 3, (2, 10, 10), generator=torch.Generator().manual_seed(0))
    truth = 30.0 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1)
    assert float(segmentation_loss(truth, target)) < 0.02
    assert float(segmentation_loss(-truth, target)) > 10


def correct(probabilities: Tensor, target: Tensor) -> Tensor:
    return probabilities.gather(1, target.unsqueeze(1)).squeeze(1)


def test_dice_of_a_known_overlap() -> None:
    target = torch.zeros(1, 10, 10, dtype=torch.long)
    target[0, :4] = 1
    predicted = torch.zeros(1, 10, 10, dtype=torch.long)
    predicted[0, 2:6] = 1
    probabilities = torch.nn.functional.one_hot(predicted, 2).movedim(-1, 1).float()
    assert float(log_dice_loss(probabilities, correct(probabilities, target), target)) == pytest.approx(-math.log((2 * 20 + 1) / (40 + 40 + 1)), abs=1e-4)


def test_structures_that_are_not_in_the_batch_do_not_count() -> None:
    probabilities, target = torch.rand(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.zeros(1, 8, 8, dtype=torch.long)
    assert float(log_dice_loss(probabilities, correct(probabilities, target), target)) == 0

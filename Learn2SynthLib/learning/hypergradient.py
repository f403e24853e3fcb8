"""Hypergradients: how the loss on real scans, after one step of the network, depends on the synthetic images before it.

One step of learned synthesis (Hu et al. 2025, section 3.1), split into parts that know nothing of each other:
    g  = d L_synthetic(phi, x) / d phi
    phi' = update(phi, g)                      the optimiser's own step
    v  = d L_real(phi') / d phi'
    u  = v * d phi' / d g                      `through_update`, closed form
    w  = (d g / d x)^T u                       `Pullback`, exact or by finite differences
and w goes on through the synthesizer to its parameters by ordinary back-propagation. The network never sees v.

Losses are functions of the weights (`torch.func.functional_call`). Their gradients are taken by `torch.autograd.grad` and not by
`torch.func.grad`, which keeps the graph of a second derivative whether or not one is wanted; tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Weights = dict[str, Tensor]
Loss = Callable[[Weights, Tensor], Tensor]  # (weights, images) -> scalar
Pullback = Callable[[Weights], Tensor]  # u, shaped like the weights -> w, shaped like the images


class Differentiated(NamedTuple):
    """A loss, its gradient with respect to the weights, and how that gradient is pulled back to the images (once: the graph is freed)."""

    loss: Tensor
    gradient: Weights
    pullback: Pullback


def exact(loss: Loss, weights: Weights, images: Tensor, epsilon: float = 0.0) -> Differentiated:
    """The pullback by a second backward pass. `epsilon` is not used."""
    weights, images = _leaves(weights, images)
    value = loss(weights, images)
    gradient = torch.autograd.grad(value, list(weights.values()), create_graph=True)

    def pullback(u: Weights) -> Tensor:
        return torch.autograd.grad(gradient, images, [u[name] for name in weights])[0]

    return Differentiated(value.detach(), {name: g.detach() for name, g in zip(weights, gradient)}, pullback)


def one_sided(loss: Loss, weights: Weights, images: Tensor, epsilon: float = 1e-3) -> Differentiated:
    """The pullback by one more gradient at weights moved by `epsilon` along u (Liu et al. 2019, DARTS, section 2.3)."""
    weights, images = _leaves(weights, images)
    value = loss(weights, images)
    *gradient, here = torch.autograd.grad(value, [*weights.values(), images])

    def pullback(u: Weights) -> Tensor:
        step = epsilon / norm(u)
        return (_image_gradient(loss, moved(weights, u, step), images) - here) / step

    return Differentiated(value.detach(), dict(zip(weights, gradient)), pullback)


def central(loss: Loss, weights: Weights, images: Tensor, epsilon: float = 1e-3) -> Differentiated:
    """The pullback by two more gradients, at weights moved by `epsilon` along and against u."""
    weights, images = _leaves(weights, images)
    value = loss(weights, images)
    gradient = torch.autograd.grad(value, list(weights.values()))

    def pullback(u: Weights) -> Tensor:
        step = epsilon / norm(u)
        ahead, behind = (_image_gradient(loss, moved(weights, u, side * step), images) for side in (1, -1))
        return (ahead - behind) / (2 * step)

    return Differentiated(value.detach(), dict(zip(weights, gradient)), pullback)


METHODS: dict[str, Callable[..., Differentiated]] = {"exact": exact, "one_sided": one_sided, "central": central}


def through_update(optimiser: torch.optim.Optimizer, gradient: Weights, v: Weights) -> Weights:
    """u = v * d phi' / d g, for the step that `optimiser` has just made with `gradient`; element-wise.

    gradient, v: by the names of the weights, in the order in which the optimiser holds them. SGD (with momentum) or Adam.
    """
    group = optimiser.param_groups[0]
    rule = _RULES[type(optimiser)]
    states = (optimiser.state[parameter] for parameter in group["params"])
    return {name: v[name] * rule(group, state, gradient[name]) for name, state in zip(gradient, states)}


def norm(weights: Weights) -> Tensor:
    """Euclidean length of all weights together; a smallest positive number for zeros, so that nothing is divided by 0."""
    return torch.stack([w.square().sum() for w in weights.values()]).sum().sqrt().clamp(min=1e-30)


def moved(weights: Weights, direction: Weights, step: Tensor) -> Weights:
    """Weights a step along a direction, as constants."""
    return {name: w.detach() + step * direction[name] for name, w in weights.items()}


def _leaves(weights: Weights, images: Tensor) -> tuple[Weights, Tensor]:
    """The same values as the beginning of a graph of their own."""
    return {name: w.detach().requires_grad_() for name, w in weights.items()}, images.detach().requires_grad_()


def _image_gradient(loss: Loss, weights: Weights, images: Tensor) -> Tensor:
    return torch.autograd.grad(loss(weights, images), images)[0]


def _sgd_rule(group: dict, state: dict, gradient: Tensor) -> Tensor:
    """phi' = phi - lr * (momentum * buffer + g)."""
    return torch.full_like(gradient, -group["lr"])


def _adam_rule(group: dict, state: dict, gradient: Tensor) -> Tensor:
    """phi' = phi - lr * m / (sqrt(s) + eps), m and s the moments after the step, corrected for their start at 0.

    Where s is 0 the gradient has always been 0; the root has no derivative there, and 0 is the one that lets nothing through.
    """
    beta1, beta2 = group["betas"]
    step = float(state["step"])
    first, second = 1 - beta1**step, 1 - beta2**step
    mean, root = state["exp_avg"] / first, (state["exp_avg_sq"] / second).sqrt()
    scale = root + group["eps"]
    by_mean = (1 - beta1) / first / scale
    by_root = mean * (1 - beta2) / second * gradient / (root.clamp(min=1e-30) * scale.square())
    return torch.where(root > 0, -group["lr"] * (by_mean - by_root), torch.zeros_like(root))


_RULES = {torch.optim.SGD: _sgd_rule, torch.optim.Adam: _adam_rule}

"""The hypergradient of whole steps against central differences of the very same steps, in float64."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from Learn2SynthLib.config import RunConfig
from Learn2SynthLib.learning.hypergradient import METHODS, central, exact, norm, one_sided, through_update
from Learn2SynthLib.learning.learn2synth import Learn2Synth
from Learn2SynthLib.learning.strategy import Task
from Learn2SynthLib.segmentation.losses import segmentation_loss

Weights = dict[str, Tensor]


def quadratic(weights: Weights, images: Tensor) -> Tensor:
    return (torch.tanh(images @ weights["w"]) + weights["b"]).square().mean()


def problem() -> tuple[Weights, Tensor, Weights]:
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    weights = {"w": draw(3, 2), "b": draw(2)}
    return weights, draw(5, 3), {"w": draw(3, 2), "b": draw(2)}


def test_the_exact_pullback_is_the_product_with_the_mixed_derivative() -> None:
    weights, images, u = problem()
    found = exact(quadratic, weights, images)
    expected = torch.zeros_like(images)
    for index in range(images.numel()):
        step = torch.zeros_like(images).flatten().index_fill(0, torch.tensor([index]), 1e-6).reshape(images.shape)
        ahead, behind = (torch.func.grad(quadratic)(weights, images + side * step) for side in (1, -1))
        expected.view(-1)[index] = sum(((ahead[k] - behind[k]) * u[k]).sum() for k in u) / 2e-6
    assert torch.allclose(found.pullback(u), expected, rtol=1e-5, atol=1e-8)
    assert torch.equal(found.loss, quadratic(weights, images))


def test_the_exact_form_is_the_vector_jacobian_product_of_the_gradient() -> None:
    weights, images, u = problem()
    gradient, pull = torch.func.vjp(lambda x: torch.func.grad(quadratic)(weights, x), images)
    found = exact(quadratic, weights, images)
    assert all(torch.allclose(found.gradient[name], gradient[name]) for name in weights)
    assert torch.allclose(found.pullback(u), pull(u)[0])


@pytest.mark.parametrize(("method", "epsilon", "error"), [(one_sided, 1e-5, 1e-4), (central, 1e-4, 1e-6)])
def test_finite_differences_approach_the_exact_pullback(method: Callable, epsilon: float, error: float) -> None:
    weights, images, u = problem()
    reference = exact(quadratic, weights, images)
    found = method(quadratic, weights, images, epsilon)
    for name in weights:
        assert torch.allclose(found.gradient[name], reference.gradient[name])
    expected = reference.pullback(u)
    assert float((found.pullback(u) - expected).norm() / expected.norm()) < error


@pytest.mark.parametrize("method", METHODS.values())
def test_no_pull_gives_no_gradient_and_no_nan(method: Callable) -> None:
    weights, images, u = problem()
    w = method(quadratic, weights, images, 1e-3).pullback({name: torch.zeros_like(v) for name, v in u.items()})
    assert torch.equal(w, torch.zeros_like(w))


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(
    "make", [lambda p: torch.optim.SGD(p, lr=0.1), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), lambda p: torch.optim.Adam(p, lr=0.1)]
)
def test_the_derivative_of_the_update_is_that_of_the_optimiser(make: Callable, steps: int) -> None:
    generator = torch.Generator().manual_seed(1)
    start, v = (torch.randn(4, generator=generator, dtype=torch.float64) for _ in range(2))
    gradients = [torch.randn(4, generator=generator, dtype=torch.float64) for _ in range(steps)]

    def stepped(last: Tensor) -> tuple[Tensor, torch.optim.Optimizer]:
        parameter = torch.nn.Parameter(start.clone())
        optimiser = make([parameter])
        for gradient in [*gradients[:-1], last]:
            parameter.grad = gradient.clone()
            optimiser.step()
        return parameter.detach(), optimiser

    u = through_update(stepped(gradients[-1])[1], {"p": gradients[-1]}, {"p": v})["p"]
    for k in range(4):
        bump = torch.zeros(4, dtype=torch.float64).index_fill(0, torch.tensor([k]), 1e-7)
        slope = (stepped(gradients[-1] + bump)[0] - stepped(gradients[-1] - bump)[0])[k] / 2e-7
        assert float(u[k]) == pytest.approx(float(slope * v[k]), rel=1e-5, abs=1e-9)


def test_where_adam_has_never_seen_a_gradient_nothing_goes_through() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    optimiser = torch.optim.Adam([parameter], lr=0.1)
    gradient = torch.tensor([0.0, 1.0])
    parameter.grad = gradient.clone()
    optimiser.step()
    u = through_update(optimiser, {"p": gradient}, {"p": torch.ones(2)})["p"]
    assert u.isfinite().all() and u[0] == 0


# --- whole steps


def captured_gradient(strategy: Learn2Synth, index: int) -> dict[str, Tensor]:
    """The hypergradient; the synthesis is left as it was."""
    strategy.teacher.step = lambda: None  # type: ignore[method-assign,assignment]
    strategy.step(index)
    return {name: p.grad.clone() for name, p in strategy.task.synthesizer.named_parameters() if p.grad is not None}


def real_loss_after_step(task: Task, index: int) -> float:
    """What the hypergradient differentiates, by an ordinary step: the real loss of the stepped network."""
    task = copy.deepcopy(task)
    strategy = Learn2Synth(task)
    batch = strategy._batch(index, teach=False)
    task.train(batch.joined(batch.images), batch.target)
    images, target = task.lesson(index, task.config.batch_size)
    return float(segmentation_loss(task.network(images), target).detach())


def along(task: Task, direction: dict[str, Tensor], step: float) -> Task:
    task = copy.deepcopy(task)
    with torch.no_grad():
        for name, parameter in task.synthesizer.named_parameters():
            parameter += step * direction[name]
    return task


CASES = [("sgd", "parametric", 0.5, 2), ("adam", "parametric", 0.5, 2), ("adam", "parametric", 0.0, 3), ("sgd", "network", 0.0, 2), ("adam", "both", 0.5, 2)]


@pytest.mark.parametrize(("optimiser", "enhancement", "share", "ndim"), CASES)
def test_a_whole_step_agrees_with_central_differences(
    optimiser: str, enhancement: str, share: float, ndim: int, tiny: Callable[..., RunConfig], make_task: Callable[..., Task]
) -> None:
    settings = [
        f"optimiser.name={optimiser}",
        f"learn2synth.enhancement={enhancement}",
        f"learn2synth.share={share}",
        "learn2synth.any_contrast=0",  # such images follow the synthesis, but do not teach it
        "learn2synth.hypergradient=exact",
        "learn2synth.objective=loss",
        "learn2synth.begin=prior",
        "optimiser.lr=0.01",
    ]
    task = make_task(tiny(ndim, *settings), torch.float64)
    for index in range(3):  # Adam's first step is the sign of the gradient: it has no derivative worth comparing
        task.train(*task.randomised(index, 4))
    generator = torch.Generator().manual_seed(3)
    inside = {name: torch.rand(p.shape, generator=generator, dtype=torch.float64) for name, p in task.synthesizer.named_parameters()}
    with torch.no_grad():  # away from the bounds and from the zeros at which an enhancement starts
        for name, parameter in task.synthesizer.named_parameters():
            parameter.copy_(0.2 + 0.6 * inside[name].sort(0).values if name.startswith("ranges") else parameter + 0.2 * (inside[name] - 0.5))
    gradient = captured_gradient(Learn2Synth(copy.deepcopy(task)), index=0)
    direction = {name: g / norm(gradient) for name, g in gradient.items()}
    step = 1e-6
    difference = (real_loss_after_step(along(task, direction, step), 0) - real_loss_after_step(along(task, direction, -step), 0)) / (2 * step)
    assert float(norm(gradient)) == pytest.approx(difference, rel=2e-3)
    for name, part in gradient.items():  # each parameter apart, so that none hides behind a larger one
        if float(part.norm()) > 1e-3 * float(norm(gradient)):
            alone = {other: part / part.norm() if other == name else torch.zeros_like(g) for other, g in gradient.items()}
            slope = (real_loss_after_step(along(task, alone, step), 0) - real_loss_after_step(along(task, alone, -step), 0)) / (2 * step)
            assert float(part.norm()) == pytest.approx(slope, rel=1e-2), name


@pytest.mark.parametrize("method", ["one_sided", "central"])
def test_the_cheaper_forms_agree_with_the_exact_one(method: str, tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    found = {}
    for name in ("exact", method):
        task = make_task(tiny(2, f"learn2synth.hypergradient={name}", "learn2synth.epsilon=1e-5"), torch.float64)
        gradient = captured_gradient(Learn2Synth(task), index=0)
        found[name] = torch.cat([g.flatten() for g in gradient.values()])
    assert float(torch.cosine_similarity(found["exact"], found[method], 0)) > 0.999


def test_matching_is_the_lesson_of_the_scans_less_that_of_their_counterparts(tiny: Callable[..., RunConfig], make_task: Callable[..., Task]) -> None:
    def gradient(objective: str, of_counterparts: bool = False) -> Tensor:
        task = make_task(tiny(2, "learn2synth.hypergradient=exact", f"learn2synth.objective={objective}"), torch.float64)
        for index in range(3):
            task.train(*task.randomised(index, 4))
        if of_counterparts:
            task.lesson = lambda step, count: task.counterparts(step, count)  # type: ignore[method-assign]
        return torch.cat([g.flatten() for g in captured_gradient(Learn2Synth(task), index=0).values()])

    expected = gradient("loss") - gradient("loss", of_counterparts=True)
    assert expected.any() and torch.allclose(gradient("matching"), expected, rtol=1e-8, atol=1e-14)

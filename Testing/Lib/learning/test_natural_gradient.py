"""The search for the best combination of choices, held against its mathematics."""

import itertools
import json
import math
import random

import pytest
import torch

from Learn2SynthLib.learning.natural_gradient import CategoricalSearch, fisher_length


def search_at(*probabilities: list[float]) -> CategoricalSearch:
    search = CategoricalSearch([len(p) for p in probabilities], radius=0.01)
    search.probabilities = [torch.tensor(p, dtype=torch.float64) for p in probabilities]
    return search


def fisher(p: torch.Tensor) -> torch.Tensor:
    """The Fisher matrix of a categorical distribution in all its probabilities but the last, from its definition."""
    scores = torch.stack([score(k, p) for k in range(len(p))])
    return (p[:, None, None] * scores[:, :, None] * scores[:, None, :]).sum(0)


def score(category: int, p: torch.Tensor) -> torch.Tensor:
    """Gradient of log p(category) in all probabilities but the last."""
    free = p[:-1].clone().requires_grad_()
    whole = torch.cat([free, 1 - free.sum()[None]])
    return torch.autograd.grad(whole[category].log(), free)[0]


P = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)


@pytest.mark.parametrize("category", [0, 1, 2])
def test_the_natural_gradient_is_that_of_the_fisher_matrix(category: int) -> None:
    analytic = torch.linalg.solve(fisher(P), score(category, P))
    found = search_at(P.tolist()).natural_gradient([category])[0]
    assert torch.allclose(found[:-1], analytic) and float(found.sum()) == pytest.approx(0)


def test_the_length_of_a_step_is_that_of_the_fisher_matrix() -> None:
    step = torch.tensor([0.04, -0.01, -0.03], dtype=torch.float64)
    expected = 2 * step[:-1] @ fisher(P) @ step[:-1]
    assert fisher_length([step, step], [P, P]) ** 2 == pytest.approx(float(expected))


def test_comparisons_climb_the_natural_gradient_of_the_chance_to_win() -> None:
    """Over all pairs of samples the mean step before its length is fixed: the natural gradient of the mean rank."""
    losses, search = [0.3, 0.1, 0.7], search_at(P.tolist())
    mean = torch.zeros(3, dtype=torch.float64)
    for one, other in itertools.permutations(range(3), 2):
        better, worse = (one, other) if losses[one] < losses[other] else (other, one)
        mean += P[one] * P[other] * (search.natural_gradient([better])[0] - search.natural_gradient([worse])[0]) / 2
    rank = torch.tensor([sum(float(P[o]) * ((losses[k] < losses[o]) - (losses[k] > losses[o])) for o in range(3)) for k in range(3)], dtype=torch.float64)
    analytic = torch.linalg.solve(fisher(P), sum(P[k] * rank[k] * score(k, P) for k in range(3)))
    assert torch.allclose(mean[:-1], analytic)


def test_a_step_has_its_length_and_favours_the_better() -> None:
    search = search_at([0.25] * 4, [0.5, 0.5])
    before = search.probabilities
    search.update([1, 0], [2, 0])
    assert fisher_length([a - b for a, b in zip(search.probabilities, before)], before) == pytest.approx(0.01)
    assert search.probabilities[0][1] > 0.25 > search.probabilities[0][2] and torch.equal(search.probabilities[1], before[1])


def test_equal_samples_change_nothing() -> None:
    search = CategoricalSearch([3, 3])
    before = json.dumps(search.state())
    search.update([1, 2], [1, 2])
    assert json.dumps(search.state()) == before


@pytest.mark.parametrize("sizes", [[2], [2, 3, 11], [11] * 5])
def test_probabilities_stay_probabilities(sizes: list[int]) -> None:
    search, rng = CategoricalSearch(sizes), random.Random(0)
    for _ in range(200):
        search.update([0] * len(sizes), search.sample(rng))
        for p in search.probabilities:
            assert float(p.sum()) == pytest.approx(1) and float(p.min()) >= search.floor(len(p)) * (1 - 1e-9)
    assert all(int(p.argmax()) == 0 for p in search.probabilities)


def test_steps_shrink_where_nothing_is_to_be_learned_and_not_where_all_agree() -> None:
    lost, led, rng = CategoricalSearch([5] * 6), CategoricalSearch([5] * 6), random.Random(1)
    for _ in range(300):
        lost.update(lost.sample(rng), lost.sample(rng))
    for k in range(6):
        led.update([k % 2] * 6, [4 - k % 2] * 6)
    assert lost.step_length < 0.4 and led.step_length > 0.8


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_best_of_a_noisy_separable_function_is_found(seed: int) -> None:
    """Six choices of five; noise as large as what one whole choice is worth; 400 comparisons."""
    rng = random.Random(seed)
    best = [rng.randrange(5) for _ in range(6)]
    search = CategoricalSearch([5] * 6)
    for _ in range(400):
        policies = [search.sample(rng) for _ in range(2)]
        losses = [sum(k != b for k, b in zip(policy, best)) + rng.gauss(0, 1) for policy in policies]
        search.update(*(policies if losses[0] < losses[1] else policies[::-1]))
    found = [int(p.argmax()) for p in search.probabilities]
    assert sum(k == b for k, b in zip(found, best)) >= 5
    assert math.prod(float(p[b]) for p, b in zip(search.probabilities, best)) > 1000 * (1 / 5) ** 6


def test_a_search_goes_on_from_its_state() -> None:
    one, rng = CategoricalSearch([3, 4]), random.Random(0)
    for _ in range(20):
        one.update(one.sample(rng), one.sample(rng))
    other = CategoricalSearch([3, 4])
    other.load_state(json.loads(json.dumps(one.state())))
    for search in (one, other):
        search.update([0, 1], [2, 3])
    assert one.state() == other.state()

import pytest
import torch

from Learn2SynthLib.synthesis.fields import along_axes, neighbour_correlation, normal, smooth_field, spline_basis

LIKE = torch.zeros(())


def test_the_spline_reproduces_constants_and_straight_lines() -> None:
    basis = spline_basis(40, 7.0)
    points = torch.arange(-1, basis.shape[1] - 1, dtype=torch.float64) * 7.0
    assert torch.allclose(basis.sum(1), torch.ones(40, dtype=torch.float64))
    assert torch.allclose(basis @ points, torch.arange(40, dtype=torch.float64))


@pytest.mark.parametrize("shape", [(40, 48), (20, 24, 28)])
def test_a_smooth_field_has_unit_variance_everywhere_and_is_smooth(shape: tuple[int, ...]) -> None:
    fields = smooth_field(range(400), "bias", shape, [10.0] * len(shape), LIKE)
    assert fields.std(0).mean() == pytest.approx(1, abs=0.05)
    assert fields.std(0).amin() > 0.8 and fields.std(0).amax() < 1.2
    assert fields.diff(dim=1).std() < 0.25


@pytest.mark.parametrize("control", [1.0, 2.5, 8.0])
def test_neighbours_are_as_alike_as_is_said(control: float) -> None:
    fields = smooth_field(range(200), "texture", (64,), [control], LIKE)
    assert (fields[:, 1:] * fields[:, :-1]).mean().item() == pytest.approx(neighbour_correlation(control), abs=0.04)


def test_each_image_has_its_own_field_whatever_batch_it_is_in() -> None:
    both = normal([3, 4], "noise", (5, 6), LIKE)
    assert torch.equal(both[1], normal([4], "noise", (5, 6), LIKE)[0])
    assert not torch.equal(both[0], both[1])
    assert not torch.equal(both[0], normal([3], "grain", (5, 6), LIKE)[0])


def test_matrices_act_along_their_own_axes() -> None:
    values, a, b = torch.rand(2, 3, 4), torch.rand(5, 3), torch.rand(2, 6, 4)
    assert torch.allclose(along_axes(values, [a, b]), torch.einsum("ix,bjy,bxy->bij", a, b, values), atol=1e-6)

import pytest
import torch

from Learn2SynthLib.synthesis.deformation import Window, displacement, source_positions, take

WINDOW = {2: Window((24, 30), (2.0, 1.5)), 3: Window((12, 14, 16), (2.0, 1.5, 1.0))}


def still(ndim: int, **changes: list[float]) -> dict[str, torch.Tensor]:
    pairs = ndim * (ndim - 1) // 2
    values = {
        "rotation_degrees": [0.0] * pairs,
        "scaling": [1.0] * ndim,
        "shear": [0.0] * pairs,
        "translation_mm": [0.0] * ndim,
        "warp_mm": [0.0],
        "warp_spacing_mm": [20.0],
        "flip": [0.0],
    }
    return {name: torch.tensor([value]) for name, value in (values | changes).items()}


@pytest.mark.parametrize("ndim", [2, 3])
def test_nothing_moves_without_a_deformation(ndim: int) -> None:
    window = WINDOW[ndim]
    source = torch.rand(1, 1, *window.shape)
    positions = source_positions(still(ndim), [0], window)
    assert torch.allclose(take(source, positions, window.spacing_mm), source, atol=1e-5)


def test_a_shift_in_mm_is_a_shift_in_voxels_of_that_spacing() -> None:
    window = WINDOW[2]
    source = torch.rand(1, 1, *window.shape)
    moved = take(source, source_positions(still(2, translation_mm=[4.0, -3.0]), [0], window), window.spacing_mm)
    assert torch.allclose(moved[..., :-2, 2:], source[..., 2:, :-2], atol=1e-5)


def test_ninety_degrees_turn_the_first_axis_into_the_second() -> None:
    window = Window((21, 21), (1.0, 1.0))
    source = torch.rand(1, 1, 21, 21)
    turned = take(source, source_positions(still(2, rotation_degrees=[90.0]), [0], window), window.spacing_mm)
    assert torch.allclose(turned[0, 0], torch.rot90(source[0, 0], -1), atol=1e-4) or torch.allclose(turned[0, 0], torch.rot90(source[0, 0], 1), atol=1e-4)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_flip_mirrors_left_and_right_only(ndim: int) -> None:
    window = WINDOW[ndim]
    source = torch.rand(1, 1, *window.shape)
    flipped = take(source, source_positions(still(ndim, flip=[1.0]), [0], window), window.spacing_mm)
    assert torch.allclose(flipped, source.flip(2), atol=1e-5)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_warp_is_a_diffeomorphism_of_the_size_asked_for(ndim: int) -> None:
    window = Window((48,) * ndim, (2.0,) * ndim)
    moved = displacement(torch.full((8, 1), 4.0), torch.full((8, 1), 20.0), range(8), window)
    assert 1.0 < float(moved.std()) < 4.0  # a spline of control points varies less than the points themselves
    mapping = moved + 2.0 * torch.stack(torch.meshgrid(*[torch.arange(48.0)] * ndim, indexing="ij"), -1)
    steps = [mapping.diff(dim=axis + 1)[(slice(None), *[slice(0, 47)] * ndim)] for axis in range(ndim)]
    assert torch.linalg.det(torch.stack(steps, -1)).min() > 0


def test_each_image_has_its_own_smoothness() -> None:
    window = WINDOW[2]
    strengths, controls = torch.full((2, 1), 3.0), torch.tensor([[10.0], [30.0]])
    together = displacement(strengths, controls, [5, 5], window)
    alone = [displacement(strengths[k : k + 1], controls[k : k + 1], [5], window) for k in range(2)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-6)
    bends = [float(one.diff(n=2, dim=1).abs().mean()) for one in alone]
    assert bends[0] > 2 * bends[1]


def test_the_inverse_of_a_warp_is_the_warp_of_the_opposite_velocity() -> None:
    window = Window((64, 64), (1.0, 1.0))
    there, back = (displacement(torch.full((1, 1), strength), torch.full((1, 1), 20.0), [5], window) for strength in (3.0, -3.0))
    start = torch.stack(torch.meshgrid(*[torch.arange(64.0) - 31.5] * 2, indexing="ij"), -1)
    returned = there + take(back.movedim(-1, 1), start + there, window.spacing_mm).movedim(1, -1)
    assert returned[:, 12:-12, 12:-12].abs().max() < 0.3
    assert there[:, 12:-12, 12:-12].abs().max() > 2

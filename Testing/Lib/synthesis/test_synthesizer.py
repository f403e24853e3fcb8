from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from Learn2SynthLib.config import LEARNABLE, SynthesisConfig
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.randomness import stream
from Learn2SynthLib.synthesis.sampling import SynthesisDraw
from Learn2SynthLib.synthesis.synthesizer import Maps, Synthesizer

Make = Callable[..., Synthesizer]
MakeMaps = Callable[..., Maps]


def draws_of(synthesizer: Synthesizer, count: int = 2, learned: bool = False) -> list[SynthesisDraw]:
    return [synthesizer.draw(stream(0, "test", k), learned) for k in range(count)]


PLAIN = SynthesisConfig(
    flip=0,
    rotation_degrees=(0, 0),
    scaling=(1, 1),
    shear=(0, 0),
    translation_mm=(0, 0),
    warp_mm=(0, 0),
    skull_strip=0,
    dark_background=0,
    gamma=(0, 0),
    bias=(0, 0),
    blur_mm=(0, 0),
    thick_slices=0,
    noise=(0, 0),
    contrast_spread=(0, 0),
    crop=0,
)


@pytest.mark.parametrize("ndim", [2, 3])
def test_images_are_finite_in_range_and_of_the_window(ndim: int, make_synthesizer: Make, make_maps: MakeMaps) -> None:
    synthesizer = make_synthesizer(ndim)
    images, target = synthesizer.render(make_maps(synthesizer.source_shape), draws_of(synthesizer))
    assert images.shape == (2, 1, *synthesizer.window.shape) and target.shape == (2, *synthesizer.window.shape)
    assert images.isfinite().all() and images.min() >= 0 and images.max() <= 1 and images.std() > 0.01
    assert target.dtype == torch.int64


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_same_draw_gives_the_same_image_alone_or_in_a_batch(ndim: int, make_synthesizer: Make, make_maps: MakeMaps) -> None:
    synthesizer = make_synthesizer(ndim)
    maps, draws = make_maps(synthesizer.source_shape), draws_of(synthesizer)
    together, again = synthesizer.render(maps, draws)[0], synthesizer.render(maps, draws)[0]
    alone = synthesizer.render(maps[1:], draws[1:])[0]
    assert torch.equal(together, again)
    assert torch.allclose(together[1:], alone, atol=1e-5)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_draw_written_as_json_makes_the_same_image(ndim: int, make_synthesizer: Make, make_maps: MakeMaps) -> None:
    synthesizer = make_synthesizer(ndim)
    maps, draws = make_maps(synthesizer.source_shape), draws_of(synthesizer)
    restored = [SynthesisDraw.from_json(d.to_json(), "draw") for d in draws]
    assert torch.equal(synthesizer.render(maps, draws)[0], synthesizer.render(maps, restored)[0])


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", ["rotation_degrees", "scaling", "shear", "translation_mm", "warp_mm", *LEARNABLE])
def test_gradients_reach_every_continuous_parameter_and_are_right(name: str, ndim: int, make_synthesizer: Make, make_maps: MakeMaps) -> None:
    synthesizer = make_synthesizer(ndim, learn=("noise",)).double()
    maps, draws = make_maps(synthesizer.source_shape), draws_of(synthesizer)
    values = {key: value.detach().double() for key, value in synthesizer.values(draws).items()}
    values["blur_mm"] = values["blur_mm"] + 2.5  # below the voxel size a blur has no effect to measure
    weights = torch.rand(2, 1, *synthesizer.window.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def energy(value: torch.Tensor) -> torch.Tensor:
        return (weights * synthesizer.render_values(maps, draws, values | {name: value})[0]).sum()

    value = values[name].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(value), value)
    direction = torch.randn(value.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    step = 1e-6
    difference = (energy(values[name] + step * direction) - energy(values[name] - step * direction)) / (2 * step)
    assert gradient.abs().sum() > 0
    assert float((gradient * direction).sum()) == pytest.approx(float(difference), rel=2e-3, abs=1e-6)


@pytest.mark.parametrize("ndim", [2, 3])
def test_without_any_corruption_the_image_shows_the_contrast_of_the_classes(ndim: int, make_synthesizer: Make, make_maps: MakeMaps) -> None:
    synthesizer = make_synthesizer(ndim, PLAIN)
    maps, draws = make_maps(synthesizer.source_shape), draws_of(synthesizer)
    images, target = synthesizer.render(maps, draws)
    margin = [slice(size // 2 - s // 2, size // 2 - s // 2 + s) for size, s in zip(synthesizer.source_shape, synthesizer.window.shape, strict=True)]
    assert torch.equal(target, maps.target[(slice(None), *margin)].long())
    shown = maps.classes[(slice(None), *margin)]
    for image, classes in zip(images[:, 0], shown, strict=True):
        for k in classes.unique():
            assert image[classes == k].std() < 1e-3 or (classes == k).sum() < 2


def test_a_flip_mirrors_the_image_and_swaps_sided_labels(make_synthesizer: Make, make_maps: MakeMaps) -> None:
    synthesizer = make_synthesizer(2, PLAIN)
    maps, draws = make_maps(synthesizer.source_shape), draws_of(synthesizer)
    images, target = synthesizer.render(maps, draws)
    flipped, mirrored = synthesizer.render(maps, [replace(d, flip=True) for d in draws])
    table = load_table("brain-sided")
    swap = torch.tensor([table.mirrored()[value] for value in table.values])
    assert torch.allclose(flipped, images.flip(2), atol=1e-5)
    assert torch.equal(mirrored, swap[target].flip(1))
    assert not torch.equal(mirrored, target.flip(1))


def test_skull_stripping_blackens_what_is_not_brain_and_leaves_the_target(make_synthesizer: Make, make_maps: MakeMaps) -> None:
    synthesizer = make_synthesizer(2, PLAIN)
    maps, draws = make_maps(synthesizer.source_shape), draws_of(synthesizer)
    whole, target = synthesizer.render(maps, draws)
    images, same = synthesizer.render(maps, [replace(d, stripping="brain only") for d in draws])
    outside = synthesizer.classes.names.index("extracerebral 502")
    rows, columns = (slice((size - s) // 2, (size - s) // 2 + s) for size, s in zip(synthesizer.source_shape, synthesizer.window.shape, strict=True))
    removed = maps.classes[:, rows, columns] == outside
    assert torch.equal(target, same)
    assert removed.any() and images[:, 0][removed].max() < 1e-3 < whole[:, 0][removed].max()


def test_a_cut_field_of_view_is_black_and_background(make_synthesizer: Make, make_maps: MakeMaps) -> None:
    synthesizer = make_synthesizer(2, PLAIN)
    maps, draws = make_maps(synthesizer.source_shape), draws_of(synthesizer)
    images, target = synthesizer.render(maps, [replace(d, crop=(0.25, 0.0, 0.0, 0.5)) for d in draws])
    assert images[:, :, :4].abs().max() == 0 and target[:, :4].max() == 0
    assert images[..., 12:].abs().max() == 0 and target[..., 12:].max() == 0
    assert images[:, :, 4:, :12].max() > 0


def test_learned_draws_alone_follow_the_learned_ranges(make_synthesizer: Make, make_maps: MakeMaps) -> None:
    synthesizer = make_synthesizer(2, learn=("contrast_mean",))
    maps, prior, taught = make_maps(synthesizer.source_shape), draws_of(synthesizer), draws_of(synthesizer, learned=True)
    assert torch.allclose(synthesizer.render(maps, prior)[0], synthesizer.render(maps, taught)[0], atol=1e-5)
    with torch.no_grad():
        synthesizer.ranges.ends["contrast_mean"].fill_(0.5)
    assert not torch.allclose(synthesizer.render(maps, prior)[0], synthesizer.render(maps, taught)[0], atol=1e-2)


def test_real_images_are_deformed_with_their_labels(make_synthesizer: Make, make_maps: MakeMaps) -> None:
    synthesizer = make_synthesizer(2)
    maps = make_maps(synthesizer.source_shape)
    images = maps.target.float() / maps.target.max()
    deformed, target = synthesizer.augment(images, maps.target, [replace(d, flip=False, crop=(0.0,) * 4) for d in draws_of(synthesizer)], acquire=False)
    inside = target > 0
    correlation = torch.corrcoef(torch.stack([deformed[:, 0][inside], target[inside].float()]))[0, 1]
    assert correlation > 0.8
    corrupted, _ = synthesizer.augment(images, maps.target, draws_of(synthesizer), acquire=True)
    assert not torch.allclose(corrupted, deformed, atol=1e-2)

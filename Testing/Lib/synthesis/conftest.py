"""A small synthesizer over a made-up head: sided and unsided structures, fluid, tissue outside."""

from collections.abc import Callable, Sequence

import pytest
import torch

from Learn2SynthLib.config import GridConfig, SynthesisConfig
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.synthesis.classes import TissueClasses
from Learn2SynthLib.synthesis.ranges import Ranges
from Learn2SynthLib.synthesis.synthesizer import Maps, Synthesizer

IDS = (0, 2, 41, 3, 42, 4, 43, 24, 502)


@pytest.fixture
def classes() -> TissueClasses:
    return TissueClasses.of([(load_table("freesurfer"), IDS)])


@pytest.fixture
def make_synthesizer(classes: TissueClasses) -> Callable[..., Synthesizer]:
    def make(
        ndim: int = 2, config: SynthesisConfig | None = None, learn: Sequence[str] = (), fixed: Sequence[str] = (), enhancement: torch.nn.Module | None = None
    ) -> Synthesizer:
        config = config or SynthesisConfig()
        target = load_table("brain-sided")
        mirrored = target.mirrored()
        mirror = [mirrored[value] for value in target.values]
        return Synthesizer(config, GridConfig((2.0, 2.0, 2.0), (16, 24, 20)[:ndim]), Ranges(config, classes, learn, fixed), mirror, enhancement)

    return make


@pytest.fixture
def make_maps(classes: TissueClasses) -> Callable[..., Maps]:
    def make(shape: Sequence[int], count: int = 2, seed: int = 0) -> Maps:
        """Blocks of random labels in a head of white matter, left and right apart."""
        table, target = load_table("freesurfer"), load_table("brain-sided")
        generator = torch.Generator().manual_seed(seed)
        coarse = torch.randint(1, len(IDS), (count, 1, *[max(2, size // 4) for size in shape]), generator=generator)
        blocks = torch.nn.functional.interpolate(coarse.float(), size=tuple(shape)).long()[:, 0]
        ids = torch.tensor(IDS)[blocks]
        to_class, to_target = classes.mapping_from(table), table.mapping_to(target)
        pick = [torch.tensor([mapping[int(i)] for i in ids.flatten()], dtype=torch.uint8).reshape(ids.shape) for mapping in (to_class, to_target)]
        return Maps(*pick)

    return make

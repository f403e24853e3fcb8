"""A whole training in miniature: made-up heads on disk, a network of a few hundred weights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from Learn2SynthLib.config import RunConfig, build_config
from Learn2SynthLib.learning.data import load_examples, preparation_for
from Learn2SynthLib.learning.factory import make_network, make_synthesizer
from Learn2SynthLib.learning.strategy import Task
from Learn2SynthLib.volume.cohort import Cohort, Subject
from Learn2SynthLib.volume.files import write_image, write_label_map
from Learn2SynthLib.volume.image import Grid, Image, LabelMap

IDS = (2, 41, 3, 42, 4, 43, 10, 49)
SIZE = 28


def made_up_head(seed: int) -> tuple[Image, LabelMap]:
    """An ellipsoid of blocks of random structures, each with an intensity of its own and some noise."""
    rng = np.random.default_rng(seed)
    blocks = rng.choice(IDS, (7, 7, 7)).repeat(4, 0).repeat(4, 1).repeat(4, 2)
    radius = np.linalg.norm((np.indices((SIZE,) * 3) - SIZE / 2 + 0.5) / np.array([12, 13, 11])[:, None, None, None], axis=0)
    labels = np.where(radius < 1, blocks, 0)
    intensity = np.array([20 + 7 * (i % 40) for i in range(64)])
    image = np.where(labels > 0, intensity[labels], 0) + rng.normal(0, 2, labels.shape)
    grid = Grid((SIZE,) * 3, np.diag([2.0, 2.0, 2.0, 1.0]))
    return Image(torch.from_numpy(image).float(), grid), LabelMap(torch.from_numpy(labels).int(), grid)


@pytest.fixture(scope="session")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images and labels of six people, in a folder."""
    folder = tmp_path_factory.mktemp("köpfe und mehr")
    for seed in range(6):
        image, labels = made_up_head(seed)
        write_image(image, folder / f"sub-{seed}_T1w.nii.gz")
        write_label_map(labels, folder / f"sub-{seed}_dseg.nii.gz")
    return folder


@pytest.fixture
def cohort(heads: Path) -> Cohort:
    """Three label maps, two real scans, one validation scan, and the scans of the people of two label maps without them."""

    def subject(seed: int, role: str) -> Subject:
        image = None if role == "label_map" else heads / f"sub-{seed}_T1w.nii.gz"
        labels = None if role == "unlabelled" else heads / f"sub-{seed}_dseg.nii.gz"
        return Subject(f"sub-{seed}", role, image, labels, "freesurfer")

    roles = ["label_map"] * 3 + ["real"] * 2 + ["validation"]
    return Cohort((*(subject(seed, role) for seed, role in enumerate(roles)), *(subject(seed, "unlabelled") for seed in (0, 1))))


@pytest.fixture
def tiny() -> Callable[..., RunConfig]:
    def make(ndim: int = 2, *assignments: str, **overrides: object) -> RunConfig:
        shape = "grid.shape=[16,16]" if ndim == 2 else "grid.shape=[16,16,16]"
        settings = [
            "network.features=[3,4]",
            "learn2synth.network_features=[2,3]",
            "learn2synth.every=1",
            "learn2synth.start=0",
            "learn2synth.duration=1",
            "learn2synth.wide_from=0",
            "mixed.synthetic_from=0",
            "batch_size=4",
            shape,
            *assignments,
        ]
        return build_config("quick-2d", settings, **({"ndim": ndim, "steps": 2, "device": "cpu", "target": "brain-sided"} | overrides))

    return make


@pytest.fixture
def make_task(cohort: Cohort) -> Callable[..., Task]:
    def make(config: RunConfig, dtype: torch.dtype = torch.float32) -> Task:
        preparation = preparation_for(config, ["freesurfer"])
        torch.manual_seed(0)
        network = make_network(config, len(preparation.target.labels)).to(dtype)
        synthesizer = make_synthesizer(config, preparation).to(dtype)
        kind = torch.optim.SGD if config.optimiser.name == "sgd" else torch.optim.Adam
        options = {"momentum": config.optimiser.momentum} if config.optimiser.name == "sgd" else {}
        optimiser = kind(network.parameters(), lr=config.optimiser.lr, **options)
        maps, real = (load_examples(cohort.of(role), preparation) for role in ("label_map", "real"))
        unlabelled = [preparation.unlabelled(subject) for subject in cohort.of("unlabelled")]
        return Task(config, preparation.target, network, optimiser, synthesizer, maps, real, torch.device("cpu"), unlabelled)

    return make

"""The models that the extension ships, from data to bundle, by one command that is resumed with the same words:

    python Benchmarks/shipped.py NAME --run FOLDER [--strategy learn2synth]

NAME is a recipe: Benchmarks/recipes/NAME.json, its stages, one training each. What a stage does not set is as in the one before; its run is FOLDER/1, FOLDER/2
and so on, its model FOLDER/1.l2s and so on, weights in float16, and paths in it are seen from FOLDER. Training begins after the last stage whose model is
there: with a shipped model in the place of its own stage's, it goes on from there on any machine. data.sha256 beside the recipe names every file of the data,
in the layout of `sha256sum`. With the files as they were then and the same versions, the weights are the same again, but for rounding. The model of the last
stage becomes Resources/Models/NAME.l2s. Data: LEARN2SYNTH_DATA or ../shared/data; SynthSeg's label maps and NiiVue's T1 alone, because their licences let the
weights be shared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))

from people import DATA

from Learn2SynthLib.computer import keep_freed_memory
from Learn2SynthLib.config import STRATEGIES, RunConfig
from Learn2SynthLib.console import Console
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.learning.session import train_run
from Learn2SynthLib.model import Model
from Learn2SynthLib.resources import resource
from Learn2SynthLib.run import Run
from Learn2SynthLib.volume.cohort import Cohort, Subject

RECIPES = HERE.parent / "recipes"
LICENCE = "Apache-2.0. Trained on SynthSeg's label maps (Apache-2.0; cite Billot et al., Medical Image Analysis 86, 2023) and NiiVue's T1 image (BSD-2-Clause)."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(path.stem for path in RECIPES.glob("*.json")))
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--strategy", choices=STRATEGIES, help="another than the recipe's, to compare with: nothing is shipped then")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    stages = read_stages(options.name)
    options.run.mkdir(parents=True, exist_ok=True)
    os.chdir(options.run)
    try:
        model = trained(stages, options.strategy, options.name)
    except InputError as error:
        sys.exit(f"error: {error}")
    if options.strategy is None:
        path = resource("Models", f"{options.name}.l2s")
        model.write(path)
        print(f"written: {path} ({path.stat().st_size / 2**20:.1f} MB)")


def read_stages(name: str) -> list[dict[str, Any]]:
    """The settings of each stage of a recipe."""
    texts = json.loads((RECIPES / f"{name}.json").read_text(encoding="utf-8"))
    return list(accumulate(texts, lambda before, text: before | text))


def trained(stages: Sequence[Mapping[str, Any]], strategy: str | None, name: str) -> Model:
    """The model of the last stage, from runs in the folder that we are in."""
    for number in range(trained_before(len(stages)) + 1, len(stages) + 1):
        stage = stages[number - 1]
        config = RunConfig.from_json({**stage, "strategy": strategy or stage["strategy"]}, f"stage {number}")
        cohort, run = cohort_of(config), Run(str(number))
        run.check(config.to_json(), cohort.to_json())
        if run.status() != "finished" and train_run(config, cohort, run, Console(as_json=False).show)["event"] != "finished":
            sys.exit("stopped; the same command resumes it")
        shippable(Model.read(run.model_path), name).write(model_of(number))
    return Model.read(model_of(len(stages)))


def trained_before(count: int) -> int:
    """The last of so many stages whose model is in the folder that we are in; 0: none is."""
    return max((number for number in range(1, count + 1) if model_of(number).is_file()), default=0)


def model_of(stage: int) -> Path:
    return Path(f"{stage}.l2s")


def cohort_of(config: RunConfig) -> Cohort:
    """The files of the recipes. Raises InputError when one is missing or not what it was."""
    paths = [checked(*line.split(maxsplit=1)) for line in (RECIPES / "data.sha256").read_text(encoding="utf-8").splitlines()]
    maps = [Subject(path.name.removesuffix(".nii.gz"), "label_map", None, path) for path in paths if path.parent.name == "synthseg_label_maps"]
    image, labels = (next(path for path in paths if path.name.endswith(f"{kind}.nii.gz") and path.parent.name.startswith("niivue")) for kind in ("T1w", "dseg"))
    taught = "real" in STRATEGIES[config.strategy].needs
    return Cohort((*maps, Subject("sub-niivue", "real" if taught else "validation", image, labels)))


def checked(digest: str, name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        raise InputError(path, "no such file", remedy="point LEARN2SYNTH_DATA at the data")
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise InputError(path, "is not the file that the recipe was made for", f"sha256 {digest}")
    return path


def shippable(model: Model, name: str) -> Model:
    """The model under its name, with its licence, weights in float16."""
    weights = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in safetensors.torch.load(model.weights).items()}
    return Model({**model.card, "name": name, "licence": LICENCE}, safetensors.torch.save(weights))


if __name__ == "__main__":
    main()

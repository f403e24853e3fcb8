import json
from pathlib import Path

import pytest

from Learn2SynthLib.config import ARCHITECTURES, LEARNABLE, STRATEGIES, NetworkConfig, RunConfig, SynthesisConfig, build_config, explain_settings, read_preset
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.learning.strategies import STRATEGIES as REGISTERED
from Learn2SynthLib.model import Model
from Learn2SynthLib.resources import names, resource
from Learn2SynthLib.segmentation.networks import NETWORKS
from Learn2SynthLib.settings import describe


def test_a_configuration_survives_json_with_every_default_written_out() -> None:
    config = build_config(assignments=["learn2synth.learn=noise,bias", "synthesis.noise=[0,0.05]"], steps=7)
    record = json.loads(json.dumps(config.to_json()))
    assert RunConfig.from_json(record, "file") == config
    single = {"steps", "seed", "ndim", "batch_size", "device", "strategy", "target", "validate_every", "preview_every", "checkpoint_every", "patience"}
    assert set(record) == single | {"grid", "synthesis", "network", "optimiser", *STRATEGIES}


def test_the_words_of_the_configuration_are_those_of_the_tables() -> None:
    assert list(REGISTERED) == list(STRATEGIES)
    assert all(name in SynthesisConfig.__dataclass_fields__ for name in LEARNABLE)
    assert next(meaning for key, _, meaning in describe(RunConfig) if key == "network.name").endswith(f"({', '.join(NETWORKS)})")


@pytest.mark.parametrize("preset", names("Presets", ".json"))
def test_every_preset_is_valid_and_states_only_what_differs(preset: str) -> None:
    stated = json.loads(resource("Presets", f"{preset}.json").read_text())
    assert build_config(preset).to_json() | {"device": "auto"} == build_config(preset).to_json()
    assert {"quick-2d", "standard-3d", "low-memory"} <= set(names("Presets", ".json"))
    assert len(json.dumps(stated)) < 500


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("synthesis.nois=[0,1]", "did you mean 'synthesis.noise'"),
        ("steps=0", "allowed: at least 1"),
        ("steps=1.5", "a whole number"),
        ("steps=true", "a whole number"),
        ("synthesis.noise=[0.2,0.1]", "runs backwards"),
        ("synthesis.noise=0.1", "2 values"),
        ("synthesis.noise=[0,3]", "from 0 to 0.5"),
        ("optimiser.name=adm", "did you mean 'adam'"),
        ("grid.shape=[81,96]", "multiples of 8"),
        ("ndim=3", "with ndim 3"),
        ("learn2synth.learn=noise,colour", "'colour'"),
        ("network.name=resnet10-unet network.features=[8,16]", "network, features: 2 values; allowed: 6 with resnet10-unet"),
        ("network.features=[1,1,1,1,1,1,1,1]", "allowed: 1 to 7 with unet"),
        ("steps", "KEY=VALUE"),
        ("optimiser.lr=NaN", "a number"),
        ("optimiser.lr=1e300", "from 0 to 1000"),
        ("learn2synth.network_lr=1e39", "from 0 to 1000"),
        ("optimiser.lr=Infinity", "a number"),
        ("optimiser.lr=1" + 400 * "0", "a number"),
        ("learn2synth.learn=[]", "learn: nothing; allowed: some of contrast_mean"),
        ("grid.shape=[8,8]", "a side of at least 16 with unet and 4 entries in network.features"),
        ("grid.shape=[34,34] network.features=[8,16] learn2synth.enhancement=network", "multiples of 4 with unet and 3 entries in learn2synth.network"),
        ("grid.shape=[8,8] network.features=[8,16] learn2synth.enhancement=both learn2synth.network_features=[2,2,2,2]", "a side of at least 16"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_the_way_out(assignment: str, words: str) -> None:
    with pytest.raises(InputError, match=words.replace("(", r"\(")) as caught:
        build_config(assignments=assignment.split())
    assert "\n" not in str(caught.value)


def test_windows_that_every_network_can_use_are_taken() -> None:
    build_config(assignments=["grid.shape=[8,16]"])
    build_config(assignments=["grid.shape=[34,34]", "network.features=[8,16]"])
    build_config(assignments=["grid.shape=[34,34]", "network.features=[8,16]", "learn2synth.enhancement=network"], strategy="randomised")


def test_a_whole_number_may_be_written_with_an_exponent() -> None:
    steps = build_config(assignments=["steps=1e3"]).steps
    assert steps == 1000 and isinstance(steps, int)


def test_features_that_are_not_given_are_those_of_the_architecture() -> None:
    config = build_config(assignments=["network.name=resnet10-unet"])
    assert config.to_json()["network"]["features"] == list(ARCHITECTURES["resnet10-unet"].features) and config.network.divisor == 8
    assert RunConfig.from_json(config.to_json(), "file") == config
    assert (NetworkConfig("patched-unet", (4, 8, 16)).scales, NetworkConfig("patched-unet", (4, 8, 16)).divisor) == ((2, 4, 8), 8)


def test_paths_are_kept_whole_and_words_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mine", "prior", "any", "brain"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    words = ["learn2synth.begin=prior", "synthesis.contrast=any", "target=brain"]
    config = build_config(assignments=[*words, "network.pretrained=mine"])
    assert (config.learn2synth.begin, config.synthesis.contrast, config.target) == ("prior", "any", "brain")
    assert config.network.pretrained == str(tmp_path / "mine")
    assert build_config(assignments=["learn2synth.begin=./prior", "target=gone.json"], target="brain").target == "gone.json"


def test_paths_in_a_preset_are_kept_whole_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "preset.json").write_text(json.dumps({"target": "mine", "network": {"pretrained": "mine"}}), encoding="utf-8-sig")  # as Windows writes it
    monkeypatch.chdir(tmp_path)
    config = build_config("preset.json", ["target=brain"])
    assert (config.target, config.network.pretrained) == ("brain", str(tmp_path / "mine"))


def test_a_runs_own_config_serves_as_a_preset(tmp_path: Path) -> None:
    config = build_config("low-memory", steps=5)
    (tmp_path / "config.json").write_text(json.dumps(config.to_json()))
    assert build_config(str(tmp_path / "config.json")) == config


def test_every_setting_is_explained() -> None:
    text = explain_settings()
    for key, _, meaning in describe(RunConfig):
        assert key in text and meaning in text and len(meaning) > 3


def test_what_a_newer_program_has_learned_is_refused_where_it_is_read(tmp_path: Path) -> None:
    model = Model.read(resource("Models", "brain-tiny.l2s"))
    config = {**model.card["provenance"]["config"], "brand_new": 3}
    Model({**model.card, "preset": {"synthesis": {}}, "provenance": {"config": config}}, model.weights).write(tmp_path / "new.l2s")
    with pytest.raises(InputError, match="brand_new"):
        read_preset(str(tmp_path / "new.l2s"))

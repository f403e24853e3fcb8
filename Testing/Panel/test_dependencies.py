"""What Slicer's Python lacks: found without importing it, installed through Slicer's own means, each refusal told with its remedy."""

from __future__ import annotations

import subprocess
import sys
import types
from typing import Any

import pytest
from Learn2SynthPanel.jobs import dependencies
from packaging.requirements import Requirement

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.resources import resource


class Packaging(types.ModuleType):
    """`slicer.packaging` as far as it is used.

    declines: what the user says no to. fails: pip does. does_not_import: why torch, once it is installed, is none for Slicer. calls: what was asked for.
    """

    def __init__(self, *missing: str) -> None:
        super().__init__("slicer.packaging")
        self.missing, self.declines, self.fails = set(missing), False, False
        self.does_not_import: Exception | None = None
        self.calls: list[Any] = []

    def load_requirements(self, path: str) -> list[Requirement]:
        with open(path, encoding="utf-8") as file:
            return [Requirement(line.strip()) for line in file if line.strip() and not line.startswith("#")]

    def pip_check(self, requirement: Requirement) -> bool:
        return requirement.name not in self.missing

    def pip_ensure(self, requirements: list[Requirement], requester: str) -> None:
        self.calls.append((requirements, requester))
        if self.declines:
            raise RuntimeError("User declined")
        if self.fails:
            raise subprocess.CalledProcessError(7, "pip")
        self.missing -= {requirement.name for requirement in requirements}

    def install_torch(self, askConfirmation: bool, torchVersionRequirement: str) -> object:
        self.calls.append((askConfirmation, torchVersionRequirement))
        if self.declines:
            return None
        self.missing.discard("torch")
        if self.does_not_import:
            raise self.does_not_import
        return object()


@pytest.fixture
def packaging(monkeypatch: pytest.MonkeyPatch) -> Packaging:
    """All is installed, and Slicer has the PyTorch extension."""
    packaging = Packaging()
    logic = types.SimpleNamespace(installTorch=packaging.install_torch)
    for name, module in (("slicer", types.SimpleNamespace(packaging=packaging)), ("slicer.packaging", packaging)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", types.SimpleNamespace(PyTorchUtilsLogic=lambda: logic))
    return packaging


OTHERS = [requirement for requirement in Packaging().load_requirements(str(resource("requirements.txt")))]


def test_nothing_is_missing_and_nothing_is_imported_to_know_it(packaging: Packaging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # an import would fail
    assert dependencies.missing() == []
    dependencies.install()
    assert packaging.calls == [(OTHERS, "Learn2Synth")]


def test_what_slicer_brings_itself_is_never_replaced() -> None:
    assert OTHERS and not {"numpy", "scipy", "simpleitk", "torch"} & {requirement.name.lower() for requirement in OTHERS if requirement.marker is None}


def test_torch_comes_first_and_through_its_extension(packaging: Packaging) -> None:
    packaging.missing = {"torch", "nibabel"}
    assert dependencies.missing() == ["torch>=2.2", "nibabel>=5.0"]
    dependencies.install()
    assert packaging.calls == [(True, ">=2.2"), (OTHERS, "Learn2Synth")] and dependencies.missing() == []


@pytest.mark.parametrize(
    ("missing", "found"),
    [({"torch"}, "were not installed (PyTorch was declined, or pip failed: the Python console tells)"), ({"tqdm"}, "were not installed (User declined)")],
)
def test_a_no_of_the_user_is_told_and_nothing_else_is_asked(packaging: Packaging, missing: set[str], found: str) -> None:
    packaging.missing, packaging.declines = missing, True
    with pytest.raises(InputError) as refusal:
        dependencies.install()
    assert refusal.value.found == found and "Install..." in refusal.value.remedy and len(packaging.calls) == 1


@pytest.mark.parametrize("error", [ImportError("DLL load failed"), OSError("libcudart.so: cannot open shared object file")])
def test_a_torch_that_slicer_cannot_import_itself_is_judged_by_whether_it_is_there(packaging: Packaging, error: Exception) -> None:
    packaging.missing, packaging.does_not_import = {"torch", "tqdm"}, error
    dependencies.install()
    assert packaging.missing == set() and packaging.calls == [(True, ">=2.2"), (OTHERS, "Learn2Synth")]


def test_without_the_extension_it_is_named(packaging: Packaging, monkeypatch: pytest.MonkeyPatch) -> None:
    packaging.missing = {"torch"}
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(InputError, match="install the extension 'PyTorch' in the Extensions Manager"):
        dependencies.install()
    assert packaging.calls == []


def test_without_the_extension_what_is_there_can_be_used(packaging: Packaging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    dependencies.install()


def test_pip_that_fails_is_told_with_a_remedy(packaging: Packaging) -> None:
    packaging.missing, packaging.fails = {"nibabel"}, True
    with pytest.raises(InputError, match=r"pip ended with code 7.*Python console.*network connection"):
        dependencies.install()


def test_what_is_still_missing_is_named(packaging: Packaging, monkeypatch: pytest.MonkeyPatch) -> None:
    packaging.missing = {"nibabel", "psutil"}
    monkeypatch.setattr(packaging, "pip_ensure", lambda *_arguments, **_options: None)  # as under Slicer's own tests
    with pytest.raises(InputError, match="still missing: nibabel>=5.0, psutil>=5.9"):
        dependencies.install()


@pytest.mark.parametrize("action", [dependencies.missing, dependencies.install])
def test_a_slicer_that_is_too_old_is_told(packaging: Packaging, monkeypatch: pytest.MonkeyPatch, action: Any) -> None:
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    with pytest.raises(InputError, match="Slicer: is older than 5.12; update Slicer"):
        action()

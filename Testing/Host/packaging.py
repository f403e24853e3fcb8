"""`slicer.packaging` of the test host: knows what is installed, writes down what would be, and installs nothing."""

from __future__ import annotations

import importlib.metadata
import types
from typing import Any

import slicer.util
from packaging.requirements import Requirement


class Packaging(types.ModuleType):
    """The functions of the real module that we use. Tests set `missing` (names that count as not installed) and read `installed`."""

    def __init__(self) -> None:
        super().__init__("slicer.packaging")
        self.missing: set[str] = set()
        self.installed: list[str] = []

    def load_requirements(self, path: str) -> list[Requirement]:
        with open(path, encoding="utf-8") as file:
            lines = [line.split("#")[0].strip() for line in file]
        return [Requirement(line) for line in lines if line]

    def pip_check(self, requirement: str | Requirement) -> bool:
        wanted = Requirement(str(requirement))
        if wanted.marker and not wanted.marker.evaluate():
            return True
        try:
            return wanted.name not in self.missing and wanted.specifier.contains(importlib.metadata.version(wanted.name), prereleases=True)
        except importlib.metadata.PackageNotFoundError:
            return False

    def pip_ensure(self, requirements: list[str | Requirement], requester: str) -> None:
        """Raises RuntimeError when the user declines."""
        missing = [str(requirement) for requirement in requirements if not self.pip_check(requirement)]
        if missing and not self._install(missing, f"{requester} - Install Python Packages"):
            raise RuntimeError("User declined package installation")

    def install_torch(self, askConfirmation: bool, torchVersionRequirement: str) -> types.ModuleType | None:
        """`PyTorchUtilsLogic.installTorch`, which asks here whatever it is told. None when the user declines."""
        return types.ModuleType("torch") if self._install([f"torch{torchVersionRequirement}"], "PyTorch") else None

    def _install(self, requirements: list[str], title: str) -> bool:
        agreed = slicer.util.confirmOkCancelDisplay("Install Python packages?\n" + "\n".join(requirements), title)
        if agreed:
            self.installed += requirements
            self.missing -= {Requirement(requirement).name for requirement in requirements}
        return agreed


def pytorch_utils(packaging: Packaging) -> Any:
    """The module `PyTorchUtils` of Slicer's PyTorch extension."""
    module: Any = types.ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = lambda: types.SimpleNamespace(installTorch=packaging.install_torch)
    return module

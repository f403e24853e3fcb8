"""`slicer.packaging` of the test host: knows what is installed, writes down what would be, and installs nothing."""

from __future__ import annotations

import importlib.metadata
import subprocess
import types
from collections.abc import Callable
from typing import Any

import slicer
import slicer.util
from packaging.requirements import Requirement

Requirements = str | Requirement | list[str | Requirement]


class Packaging(types.ModuleType):
    """The functions of the real module. Tests set `missing` (names that count as not installed) and `fails` (pip does), and read `installed`."""

    def __init__(self) -> None:
        super().__init__("slicer.packaging")
        self.reset()

    def reset(self) -> None:
        self.missing: set[str] = set()
        self.fails = False
        self.installed: list[str] = []

    def load_requirements(self, path: Any) -> list[Requirement]:
        with open(path, encoding="utf-8") as file:
            lines = [line.split("#")[0].strip() for line in file]
        return [Requirement(line) for line in lines if line and not line.startswith("-")]

    def pip_check(self, req: Requirements) -> bool:
        return all(self._is_there(requirement) for requirement in _listed(req))

    def pip_ensure(
        self,
        requirements: Requirements,
        constraints: Any = None,
        skip_packages: list[str] | None = None,
        prompt_install: bool = True,
        prompt_restart: bool = True,
        requester: str | None = None,
        skip_in_testing: bool = True,
        show_progress: bool = True,
    ) -> list[str] | None:
        """Raises RuntimeError when the user declines, CalledProcessError when pip fails."""
        missing = [requirement for requirement in _listed(requirements) if not self.pip_check(requirement)]
        if not missing or (skip_in_testing and slicer.app.testingEnabled()):
            return None
        listed = "\n".join(map(str, missing))
        if prompt_install and not slicer.util.confirmOkCancelDisplay(f"Install Python packages?\n{listed}", f"{requester} - Install Python Packages"):
            raise RuntimeError("User declined package installation")
        return self.pip_install(list(map(str, missing)), requester=requester)

    def pip_install(
        self,
        requirements: str | list[str],
        constraints: Any = None,
        no_deps_requirements: Any = None,
        skip_packages: list[str] | None = None,
        blocking: bool = True,
        show_progress: bool = True,
        requester: str | None = None,
        parent: Any = None,
        logCallback: Callable[[str], None] | None = None,
        completedCallback: Callable[[int], None] | None = None,
    ) -> None:
        """Blocking, a failure raises CalledProcessError; else it is told to `completedCallback`, soon after."""
        if not blocking:
            import qt

            qt.QTimer.singleShot(0, lambda: self._complete(requirements, logCallback, completedCallback))
        elif self.fails:
            raise subprocess.CalledProcessError(1, "pip install")
        else:
            self._install(requirements)

    def pip_uninstall(self, requirements: str | list[str], **_options: Any) -> None:
        self.missing |= {requirement.name for requirement in _listed(requirements)}

    def isPipInstallInProgress(self) -> bool:
        return False

    def install_torch(self, askConfirmation: bool = False, forceComputationBackend: str | None = None, torchVersionRequirement: str | None = None) -> Any:
        """`PyTorchUtils.PyTorchUtilsLogic.installTorch`: None when the user declines or pip fails, else a module."""
        if askConfirmation and not slicer.util.confirmOkCancelDisplay("PyTorch will be downloaded and installed. Continue?", "PyTorch"):
            return None
        if self.fails:
            return None
        self._install("torch" + (torchVersionRequirement or ""))
        return types.ModuleType("torch")

    def _install(self, requirements: str | list[str]) -> None:
        self.installed += map(str, _listed(requirements))
        self.missing -= {requirement.name for requirement in _listed(requirements)}

    def _complete(self, requirements: str | list[str], log: Callable[[str], None] | None, completed: Callable[[int], None] | None) -> None:
        if log is not None:
            log(f"Collecting {requirements}")
        if not self.fails:
            self._install(requirements)
        if completed is not None:
            completed(1 if self.fails else 0)

    def _is_there(self, requirement: Requirement) -> bool:
        if requirement.marker is not None and not requirement.marker.evaluate():
            return True
        try:
            return requirement.name not in self.missing and requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True)
        except importlib.metadata.PackageNotFoundError:
            return False


def _listed(requirements: Requirements) -> list[Requirement]:
    if isinstance(requirements, str):
        requirements = [requirements] if ";" in requirements else list(requirements.split())
    return [Requirement(str(one)) for one in (requirements if isinstance(requirements, list) else [requirements])]


def pytorch_utils(packaging: Packaging) -> types.ModuleType:
    """The module `PyTorchUtils` of Slicer's PyTorch extension."""
    module: Any = types.ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = lambda: types.SimpleNamespace(installTorch=packaging.install_torch, torchInstalled=lambda: packaging.pip_check("torch"))
    return module

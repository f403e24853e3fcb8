"""The packages that the network needs in Slicer's Python: looked up without importing any, installed at the point of need, after asking."""

from __future__ import annotations

import subprocess
from typing import Any

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.resources import resource

from ..translation import tr as _

TORCH = "torch>=2.2"
REQUESTER = "Learn2Synth"


def missing() -> list[str]:
    """Requirements that Slicer's Python does not fulfil, torch first. Raises InputError when Slicer is too old to tell."""
    packaging = _packaging()
    return [str(requirement) for requirement in _requirements(packaging) if not packaging.pip_check(requirement)]


def install() -> None:
    """Asks the user, then installs what is missing. Raises InputError when the user declines or the installation fails."""
    packaging = _packaging()
    try:
        torch, *others = _requirements(packaging)
        if not packaging.pip_check(torch):
            _install_torch()
        packaging.pip_ensure(others, requester=REQUESTER)
    except subprocess.CalledProcessError as error:
        found = _("could not be installed (pip ended with code {code}; its messages are in the Python console)").format(code=error.returncode)
        raise InputError(_("packages"), found, remedy=_("check the network connection, proxy and free disk space, then try again")) from error
    except RuntimeError as error:  # declined by the user, or refused by the PyTorch extension
        raise InputError(_("packages"), _("were not installed ({reason})").format(reason=error), remedy=_("press Install... when you are ready")) from error
    if lacking := missing():
        raise InputError(_("packages"), _("still missing: {names}").format(names=", ".join(lacking)), remedy=_("press Install... and confirm"))


def _packaging() -> Any:
    try:
        import slicer.packaging
    except ImportError as error:
        raise InputError("Slicer", _("is older than 5.12"), remedy=_("update Slicer")) from error
    return slicer.packaging


def _requirements(packaging: Any) -> list[Any]:
    """As objects: the oldest `slicer.packaging` takes no text."""
    from packaging.requirements import Requirement  # Slicer's own module stands on it

    return [Requirement(TORCH), *packaging.load_requirements(str(resource("requirements.txt")))]


def _install_torch() -> None:
    """Through Slicer's PyTorch extension, which chooses the build that fits the graphics card."""
    try:
        from PyTorchUtils import PyTorchUtilsLogic
    except ImportError as error:
        remedy = _("install the extension 'PyTorch' in the Extensions Manager and restart Slicer")
        raise InputError("PyTorch", _("is missing, and the extension that installs it too"), remedy=remedy) from error
    try:
        installed = PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=TORCH.removeprefix("torch"))
    except (ImportError, OSError):  # it ends by an import into Slicer's own process, where we need no torch; whether it is there is looked up later
        return
    if installed is None:
        raise RuntimeError(_("PyTorch was declined, or pip failed: the Python console tells"))

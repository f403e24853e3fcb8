"""Starts the host: the platform, a font and a theme, the names that module code imports, then the application."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any


def prepare() -> None:
    """To be called before module code is imported. Without a display, Qt and VTK draw off screen."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) and sys.platform == "linux":
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    if os.environ.get("QT_QPA_PLATFORM") == "offscreen" and sys.platform == "linux":
        os.environ.pop("DISPLAY", None)
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

    from Testing.Host.application import install_names

    install_names()


def start(real_dialogs: bool = False) -> Any:
    """A `Host`; one in a process. real_dialogs: for a person at a screen."""
    prepare()

    from Testing.Host.dialogs import real_file_dialogs
    from Testing.Host.host import Host

    host = Host(real_dialogs)
    if real_dialogs:
        real_file_dialogs()
    _make_legible(host.app)
    return host


def _make_legible(app: Any) -> None:
    """The same looks everywhere; where the system has no font, matplotlib's."""
    import qt

    app.setStyle("Fusion")
    if not qt.QFontDatabase.families():
        for font in _bundled_fonts():
            qt.QFontDatabase.addApplicationFont(str(font))
    if "DejaVu Sans" in qt.QFontDatabase.families():
        app.setFont(qt.QFont("DejaVu Sans", 9))


def _bundled_fonts() -> list[Path]:
    try:
        import matplotlib
    except ImportError:
        return []
    return sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("DejaVuSans*.ttf"))

"""Starts the host."""

from __future__ import annotations

import os
import sys

from Testing.Host.application import install_names
from Testing.Host.host import Host
from Testing.Host.qt_names import qt


def start(screen: bool = False) -> Host:
    """screen: for a person at one; else everything is drawn off screen. One host in a process."""
    if not screen:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        if sys.platform == "linux":
            os.environ.pop("DISPLAY", None)
            os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    install_names()
    host = Host(screen)
    host.app.setStyle("Fusion")
    if "DejaVu Sans" in qt.QFontDatabase.families():
        host.app.setFont(qt.QFont("DejaVu Sans", 9))
    return host

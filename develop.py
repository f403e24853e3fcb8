#!/usr/bin/env python3
"""Sets up a virtual environment in this checkout and runs the demo or the tests in it.

    python3 develop.py demo [options of `learn2synth demo`]
    python3 develop.py test [options of pytest]

Needs Python 3.10 or newer and nothing else. What is set up already is not set up again. The tests of the Slicer panel also need
slicer-core, PySide6 and, on Linux, OpenGL; where these cannot be had, they are skipped and the reason is said.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
RESOURCES = ROOT / "Resources"
# The environment is up to date as long as none of these changes.
REQUIREMENTS = (ROOT / "pyproject.toml", RESOURCES / "requirements-torch.txt", RESOURCES / "requirements-demo.txt")
DEMO_DATA = ["--no-deps", "-r", str(REQUIREMENTS[2])]
# What VTK and Qt load, and the packages of Debian and Ubuntu that bring it: a software renderer, so no screen is needed.
OPENGL = ("libGL.so.1", "libEGL.so.1", "libxkbcommon.so.0")
OPENGL_PACKAGES = ("libgl1", "libegl1", "libegl-mesa0", "libgl1-mesa-dri", "libxkbcommon0")


def main(arguments):
    """Runs one verb; returns its exit code."""
    verbs = {"demo": demo, "test": test}
    if not arguments or arguments[0] not in verbs:
        print(__doc__.strip())
        return 0 if arguments in (["--help"], ["-h"]) else 2
    if sys.version_info < (3, 10):  # noqa: UP036 (who has an older Python shall read why it does not work)
        print("Python 3.10 or newer is needed, this is " + sys.version.split()[0], file=sys.stderr)
        return 2
    return verbs[arguments[0]](arguments[1:])


def demo(options):
    """The main job on real data."""
    code = set_up("demo", [["-e", str(ROOT)], DEMO_DATA])
    output = [] if "--output" in options else ["--output", "demo"]
    return code or run([PYTHON, "-m", "Learn2SynthLib", "demo", *output, *options])


def test(options):
    """Style, types, tests; the exit code of the first that fails."""
    code = set_up("test", [["-e", f"{ROOT}[test]"], DEMO_DATA])
    if code:
        return code
    set_up_host()
    for tool in (["ruff", "check", "."], ["mypy"], ["pytest", *options]):
        print(f"\n== {' '.join(tool)}", flush=True)
        code = run([PYTHON, "-m", *tool])
        if code:
            print(f"{tool[0]} failed", file=sys.stderr)
            return code
    return 0


def set_up(purpose, installations):
    """Makes the environment ready for a purpose; returns pip's exit code when that fails."""
    if is_ready(purpose):
        return 0
    print(f"Setting up {ENVIRONMENT} for the {purpose}; the first time takes a few minutes and downloads about 400 MB.", flush=True)
    code = make_environment() or install_torch()
    for options in installations:
        code = code or pip("install", "--quiet", *options)
    if not code:
        stamp(purpose).write_text(state())
    return code


def set_up_host():
    """Makes ready what the tests of the panel stand on: libraries of the system, and wheels that not every system has."""
    missing = missing_libraries()
    if missing and not install_libraries():
        command = " ".join(["sudo", *apt_get()])
        print(f"The tests in Testing/Panel are skipped: {', '.join(missing)} missing. On Debian and Ubuntu: {command}", flush=True)
    if is_ready("host"):
        return
    print("Setting up slicer-core and PySide6 for the tests of the panel; the first time downloads about 300 MB.", flush=True)
    if pip("install", "--quiet", "-e", f"{ROOT}[host]") == 0:
        stamp("host").write_text(state())
    else:
        print("The tests in Testing/Panel are skipped: slicer-core or PySide6 cannot be installed here (pip says why above).", flush=True)


def missing_libraries():
    """Those that the loader does not find; elsewhere than on Linux the wheels need none."""
    return [name for name in OPENGL if not loads(name)] if sys.platform == "linux" else []


def loads(library):
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def install_libraries():
    """True when apt-get is there, may install, and did."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return False
    run(["apt-get", "update", "-qq"])  # a fresh machine has no lists of packages; an old list may do
    return run(apt_get()) == 0


def apt_get():
    return ["apt-get", "install", "-y", "--no-install-recommends", *OPENGL_PACKAGES]


def is_ready(purpose):
    return PYTHON.is_file() and stamp(purpose).is_file() and stamp(purpose).read_text() == state()


def stamp(purpose):
    """The file that says for which state of the requirements the environment was made ready."""
    return ENVIRONMENT / f"ready-for-{purpose}"


def state():
    """What the environment depends on, as one number: the requirement files, Python, and the place of the checkout."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {ROOT}".encode())
    for path in REQUIREMENTS:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def make_environment():
    if PYTHON.is_file() and run([PYTHON, "-c", f"import pip, sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"]) == 0:
        return 0
    try:
        # With links, as `python -m venv` does: a copy of a Python that brings its own library, such as uv's, does not find that.
        venv.create(ENVIRONMENT, clear=True, symlinks=sys.platform != "win32", with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"The virtual environment cannot be made: {error}", file=sys.stderr)
        print("On Debian and Ubuntu: sudo apt install python3-venv", file=sys.stderr)
        return 1
    return 0


def install_torch():
    """The CPU build alone; its dependencies come with the package, from the usual index."""
    code = pip("install", "--no-deps", "--retries", "1", "-r", str(REQUIREMENTS[1]))
    if code:
        print("The CPU build of torch is not available here; taking the default build, which is larger.", flush=True)
        return pip("install", "--no-deps", "torch==2.13.0")
    return code


def pip(*options):
    return run([PYTHON, "-m", "pip", "--disable-pip-version-check", *options])


def run(command):
    """Exit code of a command, in this checkout."""
    try:
        return subprocess.call([str(part) for part in command], cwd=ROOT)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

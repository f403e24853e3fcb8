#!/usr/bin/env python3
"""Sets up a virtual environment in this checkout and runs the demo or the tests in it.

    python3 develop.py demo [options of `learn2synth demo`]
    python3 develop.py test [options of pytest]

Needs Python 3.10 or newer and nothing else. What is set up already is not set up again.
"""

import hashlib
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
    for tool in (["ruff", "check", "."], ["mypy", "Learn2SynthLib"], ["pytest", *options]):
        print(f"\n== {' '.join(tool)}", flush=True)
        code = run([PYTHON, "-m", *tool])
        if code:
            print(f"{tool[0]} failed", file=sys.stderr)
            return code
    return 0


def set_up(purpose, installations):
    """Makes the environment ready for a purpose; returns pip's exit code when that fails."""
    stamp, wanted = ENVIRONMENT / f"ready-for-{purpose}", state()
    if stamp.is_file() and stamp.read_text() == wanted and PYTHON.is_file():
        return 0
    print(f"Setting up {ENVIRONMENT} for the {purpose}; the first time takes a few minutes and downloads about 400 MB.", flush=True)
    code = make_environment() or install_torch()
    for options in installations:
        code = code or pip("install", "--quiet", *options)
    if not code:
        stamp.write_text(wanted)
    return code


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
        venv.create(ENVIRONMENT, clear=True, with_pip=True)
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

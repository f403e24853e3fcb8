"""The house stands: floors, a contract without torch, no global randomness, nothing of the host application."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "Learn2SynthLib"
FILES = sorted(LIBRARY.rglob("*.py"))
FLOORS = (
    ("", "errors", "labels", "settings", "config", "files", "locking", "run", "model", "resources", "randomness", "learned", "doubt"),
    ("volume", "pictures"),
    ("synthesis", "segmentation"),
    ("learning",),
)
ROOMMATES = {"charts": "pictures"}  # files that count as one package
TOP = len(FLOORS)  # every other module: the command line and what it is made of
CONTRACT = [f"Learn2SynthLib.{name}" for name in FLOORS[0] if name]
HOSTS = {"slicer", "qt", "ctk", "vtk", "PythonQt", "PySide6", "PyQt5"}
# Draws of a global generator: every function of these modules but those named, and torch's functions without `generator=`.
SAFE = {"random": {"Random"}, "np.random": {"default_rng", "Generator"}, "numpy.random": {"default_rng", "Generator"}}
TORCH_DRAWS = {"rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "normal", "bernoulli", "multinomial", "poisson"}
IN_PLACE_DRAWS = {"normal_", "uniform_", "bernoulli_", "random_", "exponential_", "cauchy_", "geometric_", "log_normal_"}
SEEDING = {"torch.manual_seed", "torch.seed", "torch.cuda.manual_seed", "torch.cuda.manual_seed_all", "random.seed", "np.random.seed"}
INITIAL_WEIGHTS = {("learning/trainer.py", "torch.manual_seed")}  # the one place that seeds torch, for a network's first weights


def room(path: Path) -> str:
    """The package, or the module at the top, that a library file belongs to; '' for the library's own __init__."""
    parts = path.relative_to(LIBRARY).with_suffix("").parts
    return "" if parts == ("__init__",) else ROOMMATES.get(parts[0], parts[0])


def floor(name: str) -> int:
    return next((level for level, names in enumerate(FLOORS) if name in names), TOP)


def imported_rooms(path: Path) -> Iterator[str]:
    """Rooms of the library that a file imports, at the top or inside a function."""
    package = ("Learn2SynthLib", *path.relative_to(LIBRARY).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = (*package[: len(package) - node.level + 1], *(node.module or "").split(".")) if node.level else tuple((node.module or "").split("."))
            base = tuple(part for part in base if part)
            targets = [(*base, alias.name) for alias in node.names] if base == ("Learn2SynthLib",) else [base]
        else:
            continue
        for target in targets:
            if target[0] == "Learn2SynthLib":
                name = target[1] if len(target) > 1 else ""
                name = ROOMMATES.get(name, name)
                yield name if (LIBRARY / name).is_dir() or (LIBRARY / f"{name}.py").is_file() else ""


def forbidden_imports(path: Path) -> list[str]:
    """Rooms that a file may not import: above its own, or beside it on floors where rooms do not know each other."""
    own = room(path)
    level = floor(own)
    shared = level in (0, TOP)
    return [name for name in imported_rooms(path) if floor(name) > level or (floor(name) == level and name != own and not shared)]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(LIBRARY)))
def test_a_file_imports_only_from_lower_floors_or_its_own_package(path: Path) -> None:
    assert forbidden_imports(path) == []


def test_the_floors_are_seen() -> None:
    assert "synthesis" in set(imported_rooms(LIBRARY / "learning" / "strategy.py"))
    assert "errors" in set(imported_rooms(LIBRARY / "labels.py"))
    assert "" in set(imported_rooms(LIBRARY / "run.py"))


def fresh(code: str) -> str:
    """What a new interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60).stdout


def test_the_contract_needs_the_standard_library_only() -> None:
    heavy = "{'torch', 'numpy', 'scipy', 'nibabel', 'SimpleITK', 'PIL', 'tqdm', 'safetensors', 'psutil'}"
    assert fresh(f"import sys, {', '.join(CONTRACT)}; print(sorted({heavy} & set(sys.modules)))").strip() == "[]"


def test_the_contract_is_imported_in_a_moment() -> None:
    """In processor time, and the fastest of a few: a busy machine is slow for reasons of its own."""
    code = f"import time; start = time.process_time(); import {', '.join(CONTRACT)}; print(time.process_time() - start)"
    seconds = []
    while len(seconds) < 3 or (min(seconds) >= 0.2 and len(seconds) < 8):
        seconds.append(float(fresh(code)))
    assert min(seconds) < 0.2


def test_help_comes_at_once() -> None:
    seconds = []
    while len(seconds) < 3 or (min(seconds) >= 1 and len(seconds) < 8):
        start = time.perf_counter()
        fresh("from Learn2SynthLib.__main__ import build_parser; build_parser().format_help()")
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1


def dotted(node: ast.expr) -> str:
    """'torch.cuda.manual_seed' of the expression that is called; '' for the parts that are no names."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def draws_globally(call: ast.Call) -> bool:
    name = dotted(call.func)
    owner, _, function = name.rpartition(".")
    if name in SEEDING:
        return True
    if owner in SAFE:
        return function not in SAFE[owner]
    own_generator = any(keyword.arg == "generator" for keyword in call.keywords)
    return not own_generator and ((owner == "torch" and function in TORCH_DRAWS) or function in IN_PLACE_DRAWS)


def global_draws(source: str) -> list[str]:
    return [dotted(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and draws_globally(node)]


@pytest.mark.parametrize(
    "line",
    ["random.random()", "random.seed(1)", "np.random.rand(3)", "torch.rand(2)", "torch.manual_seed(0)", "tensor.normal_()", "torch.randn(2, device=d)"],
)
def test_global_draws_are_seen(line: str) -> None:
    assert global_draws(line)


@pytest.mark.parametrize(
    "line",
    ["random.Random(1)", "rng.random()", "np.random.default_rng(1)", "torch.randn(2, generator=g)", "torch.Generator().manual_seed(1)"],
)
def test_generators_of_their_own_are_allowed(line: str) -> None:
    assert not global_draws(line)


def test_nothing_draws_from_a_global_generator() -> None:
    found = {(path.relative_to(LIBRARY).as_posix(), name) for path in FILES for name in global_draws(path.read_text(encoding="utf-8"))}
    assert found <= INITIAL_WEIGHTS


def imported_modules(path: Path) -> Iterator[str]:
    """Modules that a file imports by absolute name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(LIBRARY)))
def test_the_library_imports_nothing_of_the_host_application(path: Path) -> None:
    modules = {name.split(".")[0] for name in imported_modules(path)}
    assert not modules & HOSTS


def test_files_stay_small() -> None:
    long = {str(path.relative_to(LIBRARY)): lines for path in FILES if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 300}
    assert not long, f"split them: {long}"

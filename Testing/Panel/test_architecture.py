"""The panel stands on the contract alone, its logic knows no Qt, and the .ui file and the code speak of the same widgets."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = REPOSITORY / "Learn2Synth"
FILES = sorted(MODULE.rglob("*.py"))
WITH_QT = ("Learn2Synth.py", "sections")
CONTRACT = {"", "errors", "labels", "settings", "config", "files", "run", "model", "resources", "learned", "doubt"}
FOREIGN = {"torch", "nibabel", "scipy", "SimpleITK", "PIL", "safetensors", "tqdm", "psutil", "PySide6", "Testing"}
UI = ElementTree.parse(REPOSITORY / "Resources" / "UI" / "Learn2Synth.ui").getroot()
WIDGETS = {widget.get("name"): widget for widget in UI.iter("widget")}
OF_THE_SCENE = ("qMRMLNodeComboBox", "qMRMLCheckableNodeComboBox")
INPUTS = ("QPushButton", "QComboBox", "QCheckBox", "QSpinBox", "QLineEdit", "QSlider", "QTableWidget", "QListWidget", "ctkPathLineEdit")
TO_BE_USED = (*OF_THE_SCENE, *INPUTS, "ctkCollapsibleButton")


def imports(path: Path) -> Iterator[tuple[str, list[str]]]:
    """(module, names taken from it) of every absolute import, at the top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or "", [alias.name for alias in node.names]


def library_modules(path: Path) -> set[str]:
    found = set()
    for module, taken in imports(path):
        package, _, rest = module.partition(".")
        if package == "Learn2SynthLib":
            found |= {rest.split(".")[0]} if rest else {name for name in taken if (REPOSITORY / package / f"{name}.py").is_file()} or {""}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(MODULE)))
def test_the_panel_imports_the_contract_and_nothing_heavy(path: Path) -> None:
    assert library_modules(path) <= CONTRACT
    assert {module.split(".")[0] for module, _ in imports(path)} & FOREIGN == set()


@pytest.mark.parametrize("path", [path for path in FILES if not {path.name, path.parent.name} & set(WITH_QT)], ids=lambda p: p.name)
def test_what_is_no_section_knows_no_qt(path: Path) -> None:
    assert {module.split(".")[0] for module, _ in imports(path)} & {"qt", "ctk"} == set()


def test_the_code_names_widgets_that_the_ui_file_has_and_uses_all_that_act() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in FILES)
    named = set(re.findall(r"\bui\.([A-Za-z0-9]+)", code))
    assert named <= set(WIDGETS)
    acting = {name for name, widget in WIDGETS.items() if widget.get("class") in (*OF_THE_SCENE, *INPUTS)}
    assert acting <= named


def test_every_widget_of_the_scene_is_connected_with_it() -> None:
    connected = {connection.findtext("receiver") for connection in UI.iter("connection") if connection.findtext("signal") == "mrmlSceneChanged(vtkMRMLScene*)"}
    assert connected == {name for name, widget in WIDGETS.items() if widget.get("class") in OF_THE_SCENE}


def test_every_widget_to_be_used_has_a_tooltip() -> None:
    with_tip = {name for name, widget in WIDGETS.items() if any(child.get("name") == "toolTip" for child in widget.findall("property"))}
    assert {name for name, widget in WIDGETS.items() if widget.get("class") in TO_BE_USED} - with_tip == set()

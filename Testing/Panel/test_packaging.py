"""What Slicer builds, installs and lists of this repository: CMake's lists against the folders, metadata, icon, requirements."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "Learn2Synth"
INDEX = ROOT / "Docs" / "ExtensionsIndex" / "Learn2Synth.json"
FOR_DEVELOPERS = {"Resources/requirements-demo.txt", "Resources/requirements-torch.txt"}  # only develop.py reads them
WITH_SLICER = {f"{name}; everywhere" for name in ("numpy", "scipy", "simpleitk")}
# Slicer's macros as far as they matter here: what is listed has to be there, inside, and is copied to one folder.
SLICER_STUB = """
set(Slicer_USE_FILE "${Slicer_DIR}/nothing.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${Slicer_DIR}/nothing.cmake")
set(Slicer_EXTENSION_CPACK "${Slicer_DIR}/nothing.cmake")
set(BUILD_TESTING ON)
function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS OR NOT MY_NAME OR NOT MY_SCRIPTS)
    message(FATAL_ERROR "NAME and SCRIPTS are needed, '${MY_UNPARSED_ARGUMENTS}' is unknown")
  endif()
  foreach(file ${MY_SCRIPTS} ${MY_RESOURCES})
    configure_file("${CMAKE_CURRENT_SOURCE_DIR}/${file}" "${CMAKE_BINARY_DIR}/qt-scripted-modules/${file}" COPYONLY)
  endforeach()
endfunction()
function(slicer_add_python_unittest)
  cmake_parse_arguments(MY "" "SCRIPT" "" ${ARGN})
  file(APPEND "${CMAKE_BINARY_DIR}/tests.txt" "${CMAKE_CURRENT_SOURCE_DIR}/${MY_SCRIPT}\\n")
endfunction()
"""


def cmake_lists(folder: Path) -> dict[str, list[str]]:
    """name -> values of every set() of a CMakeLists.txt."""
    text = re.sub(r"#.*", "", (folder / "CMakeLists.txt").read_text(encoding="utf-8"))
    return {name: [a or b for a, b in re.findall(r'"([^"]*)"|([^\s"]+)', values)] for name, values in re.findall(r"\bset\((\w+)([^)]*)\)", text)}


def files_below(folder: Path, pattern: str) -> set[str]:
    """Files that belong to the repository, relative to the folder above."""
    files = (path for path in folder.rglob(pattern) if path.is_file() and "__pycache__" not in path.parts and path.name != ".DS_Store")
    return {path.relative_to(folder.parent).as_posix() for path in files}


LISTS = cmake_lists(ROOT) | cmake_lists(MODULE)
METADATA = {name: values[0] for name, values in LISTS.items() if name.startswith("EXTENSION_")}
ENTRY = json.loads(INDEX.read_text(encoding="utf-8"))


# --- what is built and installed


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("LIBRARY_SCRIPTS", files_below(ROOT / "Learn2SynthLib", "*.py")),
        ("LIBRARY_RESOURCES", files_below(ROOT / "Resources", "*") - FOR_DEVELOPERS),
        ("MODULE_SCRIPTS", {path.removeprefix("Learn2Synth/") for path in files_below(MODULE, "*.py")}),
    ],
)
def test_cmake_lists_what_is_in_the_folder_and_nothing_else(name: str, there: set[str]) -> None:
    listed = LISTS[name]
    assert sorted(there - set(listed)) == [], "not listed"
    assert sorted(set(listed) - there) == [], "listed, but not there"
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("name", ["LIBRARY_SCRIPTS", "LIBRARY_RESOURCES", "MODULE_SCRIPTS"])
def test_no_listed_path_leaves_its_folder(name: str) -> None:
    assert [path for path in LISTS[name] if path.startswith("/") or ".." in path.split("/") or "\\" in path] == []


@pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("cc")), reason="needs cmake and a C compiler")
def test_cmake_makes_a_folder_in_which_module_library_and_resources_find_each_other(tmp_path: Path) -> None:
    (tmp_path / "SlicerConfig.cmake").write_text(SLICER_STUB, encoding="utf-8")
    (tmp_path / "nothing.cmake").touch()
    build = tmp_path / "build"
    configured = subprocess.run(["cmake", "-S", ROOT, "-B", build, f"-DSlicer_DIR={tmp_path}"], capture_output=True, text=True, check=False)
    assert configured.returncode == 0, configured.stderr
    assert (build / "tests.txt").read_text(encoding="utf-8").split() == [str(MODULE / "Learn2Synth.py")]
    modules = build / "qt-scripted-modules"
    program = "from Learn2SynthPanel import sample_data; from Learn2SynthLib import labels, resources; print(sample_data.__file__, resources.resource())"
    program += "; labels.load_table('brain'); assert resources.names('Presets', '.json') and resources.resource('UI', 'Learn2Synth.ui').is_file()"
    ran = subprocess.run([sys.executable, "-c", program], cwd=modules, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == [str(modules / "Learn2SynthPanel" / "sample_data.py"), str(modules / "Resources")]


# --- what Slicer shows


def test_the_metadata_is_complete_and_each_stands_on_one_line() -> None:
    wanted = ("HOMEPAGE", "ICONURL", "SCREENSHOTURLS", "CATEGORY", "CONTRIBUTORS", "DESCRIPTION", "DEPENDS")
    lines = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8").splitlines()
    for name in wanted:
        assert METADATA[f"EXTENSION_{name}"]
        assert f'set(EXTENSION_{name} "{METADATA[f"EXTENSION_{name}"]}")' in lines
        assert "${" not in METADATA[f"EXTENSION_{name}"]


def test_the_package_brings_our_licence_and_readme() -> None:
    for name in ("LICENSE", "README"):
        assert Path(METADATA[f"EXTENSION_{name}_FILE"].replace("${CMAKE_CURRENT_SOURCE_DIR}", str(ROOT))).is_file()


def test_the_description_is_two_sentences_at_most() -> None:
    assert 1 <= METADATA["EXTENSION_DESCRIPTION"].count(". ") + METADATA["EXTENSION_DESCRIPTION"].endswith(".") <= 2


def test_icon_and_screenshots_are_files_of_this_repository() -> None:
    raw = METADATA["EXTENSION_HOMEPAGE"].replace("https://github.com/", "https://raw.githubusercontent.com/") + f"/{ENTRY['scm_revision']}/"
    for address in [METADATA["EXTENSION_ICONURL"], *METADATA["EXTENSION_SCREENSHOTURLS"].split()]:
        assert address.startswith(raw) and address.endswith(".png")
        assert (ROOT / address.removeprefix(raw)).is_file(), address


def test_the_icon_is_what_slicer_asks_for_and_the_module_has_the_same() -> None:
    with Image.open(ROOT / "Learn2Synth.png") as icon:
        assert (icon.format, icon.size, icon.mode) == ("PNG", (128, 128), "RGBA")
        assert icon.getchannel("A").getextrema() == (0, 255)
    assert (ROOT / "Learn2Synth.png").read_bytes() == (ROOT / "Resources" / "Icons" / "Learn2Synth.png").read_bytes()


# --- what the Extensions Index checks


def test_the_entry_has_the_keys_of_the_schema_and_no_others() -> None:
    assert {"$schema", "category", "scm_url"} <= set(ENTRY)
    assert set(ENTRY) <= {
        *("$schema", "category", "scm_url", "scm_revision", "scm_type", "build_dependencies", "build_subdirectory"),
        *("dicom_support_rule", "enabled", "tier"),
    }
    assert ENTRY["$schema"] == "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.2.json#"
    assert isinstance(ENTRY["tier"], int) and 1 <= ENTRY["tier"] <= 5
    assert ENTRY["build_subdirectory"] == "." and ENTRY["scm_type"] == "git"


def test_the_entry_and_cmake_agree() -> None:
    project = re.search(r"project\s*\(\s*([^\s)]+)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))
    assert project and project[1] == INDEX.stem == "Learn2Synth"
    assert ENTRY["category"] == METADATA["EXTENSION_CATEGORY"] == "Segmentation"
    assert ENTRY["build_dependencies"] == METADATA["EXTENSION_DEPENDS"].split() == ["PyTorch"]
    assert ENTRY["scm_url"] == METADATA["EXTENSION_HOMEPAGE"]


def test_the_address_is_one_that_the_index_takes() -> None:
    assert re.fullmatch(r"https://github\.com/[\w-]+/Slicer\w+", ENTRY["scm_url"])  # named Slicer + extension


def test_the_licence_is_where_the_index_looks() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


# --- what Slicer's Python gets


def requirements(lines: list[str]) -> dict[str, Any]:
    found = map(Requirement, lines)
    return {f"{canonicalize_name(requirement.name)}; {requirement.marker or 'everywhere'}": requirement.specifier for requirement in found}


def test_every_dependency_is_torch_comes_with_slicer_or_is_listed() -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 cannot read pyproject.toml by itself")
    needed = requirements(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"])
    # As slicer.packaging reads it: whole lines, in whatever encoding the system has.
    lines = [line.strip() for line in (ROOT / "Resources" / "requirements.txt").read_text(encoding="ascii").splitlines()]
    listed = requirements([line for line in lines if line and not line.startswith(("#", "-"))])
    assert listed == {name: version for name, version in needed.items() if name not in WITH_SLICER | {"torch; everywhere"}}
    assert set(needed) >= WITH_SLICER

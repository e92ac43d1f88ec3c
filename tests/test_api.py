"""The public names, what an import costs, and that dependencies point one way."""

from __future__ import annotations

import ast
import doctest
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

import caloforge
from caloforge import errors
from conftest import CI

PACKAGE = Path(caloforge.__file__).parent
MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages([str(PACKAGE)], "caloforge.")
    if not info.name.endswith("__main__")
)
# The single files that everyone may use, and what each room may use of the others, at most: the
# table of ARCHITECTURE.md, lowest floor first. A room uses nothing that stands below it here.
COMMON = {"atomic", "errors", "explain", "particles", "provenance", "random", "version"}
ROOMS: dict[str, set[str]] = {
    "detector": set(),
    "showers": {"detector"},
    "incident": {"showers", "detector"},
    "preprocess": {"showers", "detector"},
    "fullsim": {"incident", "showers", "detector"},
    "models": {"preprocess", "incident", "showers", "detector"},
    "zoo": set(),
    "runtime": {"models", "incident", "showers", "detector"},
    "evaluation": {"runtime", "showers", "detector"},
    "speed": {"runtime", "fullsim", "incident", "showers", "detector"},
    "training": {"evaluation", "runtime", "models", "preprocess", "showers", "detector"},
    "export": {"training", "evaluation", "runtime", "models", "showers", "detector"},
    "web": {"evaluation", "runtime", "showers", "detector"},
    "cli": {"web", "export", "speed", "training", "evaluation", "runtime", "models", "fullsim"}
    | {"incident", "showers", "detector"},
}
TORCH = ("models/", "preprocess/", "training/", "export/", "evaluation/classifiers/")
LARGEST_SHELF = 15  # files in one folder


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts[0].startswith("__") else parts[0]


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: imports are absolute"
            assert node.module
            if node.module == "caloforge":
                yield from (f"caloforge.{alias.name}" for alias in node.names)
            else:
                yield node.module


def test_public_names() -> None:
    assert dir(caloforge) == [
        "CaloforgeError",
        "Detector",
        "Generator",
        "Showers",
        "__version__",
        "evaluate",
        "generate",
        "load",
        "load_detector",
        "open",
        "read",
        "simulate",
        "write",
    ]
    for name in dir(caloforge):
        assert getattr(caloforge, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = caloforge.nonsense


def load(name: str) -> ModuleType:
    """A module; those that need PyTorch are skipped where that is not installed, but not in CI."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    if not CI and find_spec("torch") is None and "torch" in set(imports(Path(spec.origin))):
        pytest.skip("needs PyTorch")
    return import_module(name)


@pytest.mark.parametrize("name", MODULES)
def test_names_that_modules_promise_exist(name: str) -> None:
    module = load(name)
    for public in getattr(module, "__all__", []):
        assert hasattr(module, public)
    assert module.__doc__


def test_errors_are_one_family() -> None:
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, errors.CaloforgeError)
        assert issubclass(kind, ValueError)


def loaded_by(code: str) -> set[str]:
    command = f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


HEAVY = {"torch", "onnxruntime", "calzone", "matplotlib", "sklearn", "scipy", "pandas", "onnx"}


def test_import_is_light() -> None:
    assert not loaded_by("import caloforge") & (HEAVY | {"h5py", "numpy", "pydantic"})
    code = "import caloforge; caloforge.load_detector, caloforge.read, caloforge.Showers"
    assert not loaded_by(code) & HEAVY
    assert not loaded_by("import caloforge.cli") & HEAVY
    assert not loaded_by("import caloforge.runtime") & HEAVY


def test_rooms_stand_on_floors() -> None:
    below: set[str] = set()
    for name, allowed in ROOMS.items():
        assert allowed <= below, f"{name} may use {sorted(allowed - below)}, which stand above it"
        below.add(name)
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == set(ROOMS)
    files = {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}
    assert files == COMMON


@pytest.mark.parametrize("file", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_dependencies_point_one_way(file: Path) -> None:
    here = room(file)
    for name in imports(file):
        top = name.partition(".")[0]
        assert top not in {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"}, name
        if top in {"torch", "torchvision", "lightning"}:
            where = str(file.relative_to(PACKAGE).as_posix())
            assert where.startswith(TORCH), f"{where} imports torch"
        if top != "caloforge":
            continue
        there = name.split(".")[1] if "." in name else ""
        if here == "":  # the face of the package, which offers what the rooms have
            continue
        allowed = there == here or there in COMMON or there in ROOMS.get(here, set())
        assert allowed or here == "__main__", f"{here} imports {name}"
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        # Files of another room are a dependency, too, which no import shows.
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"resources.files", "files"}:
            (what,) = node.args
            assert isinstance(what, ast.Constant)
            assert isinstance(what.value, str)
            there = what.value.split(".")[1]
            assert there == here or there in ROOMS[here] | {"zoo"}, f"{here} reads {what.value}"


def test_no_circles() -> None:
    """No module needs itself: not through others, not within a function either."""
    needs: dict[str, set[str]] = {}
    known = {"caloforge", *MODULES}
    for file in sources():
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found = set()
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= (names & known) or {node.module} & known
        # What the face of a room offers is no need of the modules behind it.
        needs[name] = {each for each in found if each != "caloforge"}
    order: list[str] = []
    left = dict(needs)
    while left:
        ready = [name for name, wants in left.items() if not wants & left.keys() - {name}]
        assert ready, f"a circle among {sorted(left)}"
        order += ready
        for name in ready:
            del left[name]


@pytest.mark.parametrize("folder", sorted({file.parent for file in sources()}))
def test_shelves_are_short(folder: Path) -> None:
    files = [file for file in folder.glob("*.py") if file.name != "__init__.py"]
    assert len(files) <= LARGEST_SHELF, f"{folder} holds {len(files)} files; make a folder in it"


@pytest.mark.parametrize("file", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_house_rules(file: Path) -> None:
    text = file.read_text("utf-8")
    tree = ast.parse(text)
    assert file.stem != "utils"
    assert len(text.splitlines()) <= 450, "files of 100-400 lines, one algorithm each"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"print", "eval", "exec"}, f"line {node.lineno}"
        for keyword in getattr(node, "keywords", []):
            if keyword.arg == "allow_pickle":
                assert isinstance(keyword.value, ast.Constant)
                assert keyword.value.value is False


@pytest.mark.parametrize("file", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_random_numbers_come_from_one_place(file: Path) -> None:
    """Who makes a generator of numbers shares, sooner or later, the numbers of another."""
    if file == PACKAGE / "random.py":
        return
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"np.random", "random"}:
            line = f"line {node.lineno}: {ast.unparse(node)}; take random.stream"
            assert node.attr == "Generator", line  # the type, see below
        elif isinstance(node, ast.Call):
            made = ast.unparse(node.func)
            assert made != "np.random.Generator", f"line {node.lineno}: {made}; take random.stream"
        elif isinstance(node, ast.ImportFrom):
            assert node.module not in {"random", "numpy.random"}, f"line {node.lineno}"
        elif isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
            assert not names & {"random", "numpy.random"}, f"line {node.lineno}"


@pytest.mark.parametrize("name", ["caloforge", *MODULES])
def test_doctests(name: str) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(load(name), optionflags=flags)
    assert result.failed == 0

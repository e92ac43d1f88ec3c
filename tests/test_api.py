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
# What each room may use of the others, at most: the table of ARCHITECTURE.md. The single files
# (errors, random, particles, energies, atomic) are for everyone.
COMMON = {"errors", "random", "particles", "energies", "atomic", ""}
ROOMS: dict[str, set[str]] = {
    "detector": set(),
    "showers": {"detector"},
    "models": {"preprocess", "showers", "detector"},
    "fullsim": {"showers", "detector"},
    "preprocess": {"showers", "detector"},
    "training": {"models", "preprocess", "showers", "detector", "evaluation", "runtime"},
    "zoo": set(),
    "runtime": {"models", "showers", "detector"},
    "evaluation": {"runtime", "models", "fullsim", "showers", "detector"},
    "export": {"evaluation", "runtime", "models", "training", "preprocess", "showers", "detector"},
    "web": {"evaluation", "runtime", "fullsim", "models", "showers", "detector"},
}
TORCH = {"models", "preprocess", "training", "export"}
# energies reads files of showers when one is named.
EXCEPTIONS = {("energies", "showers"), ("", "*")}


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


@pytest.mark.parametrize("file", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_dependencies_point_one_way(file: Path) -> None:
    here = room(file)
    for name in imports(file):
        top = name.partition(".")[0]
        assert top not in {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"}, name
        if top in {"torch", "torchvision", "lightning"}:
            assert here in TORCH or file.name.startswith("classifier"), f"{here} imports torch"
        if top != "caloforge":
            continue
        there = name.split(".")[1] if "." in name else ""
        if (PACKAGE / f"{there}.py").is_file():
            there = there if there not in COMMON else ""
        allowed = there == here or there in COMMON or not (PACKAGE / there).is_dir()
        allowed = allowed or here in {"", "cli"} or there in ROOMS.get(here, set())
        assert allowed or (here, there) in EXCEPTIONS, f"{here} imports {name}"
        assert there != "cli" or here in {"cli", ""}, "nothing imports the command line"


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


@pytest.mark.parametrize("name", ["caloforge", *MODULES])
def test_doctests(name: str) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(load(name), optionflags=flags)
    assert result.failed == 0

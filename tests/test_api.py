"""The public names, what an import costs, and that dependencies point one way."""

from __future__ import annotations

import ast
import doctest
import json
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
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
COMMON = {"atomic", "cores", "errors", "explain", "particles", "provenance", "random", "units"}
COMMON |= {"registry", "version", "workers"}
ROOMS: dict[str, set[str]] = {
    "detector": set(),
    "showers": {"detector"},
    "incident": {"showers", "detector"},
    "preprocess": {"showers", "detector"},
    "fullsim": {"incident", "showers", "detector"},
    "models": {"preprocess", "incident", "showers", "detector"},
    "zoo": set(),
    "schemas": set(),
    "runtime": {"models", "incident", "showers", "detector"},
    "evaluation": {"runtime", "showers", "detector"},
    "speed": {"runtime", "fullsim", "incident", "showers", "detector"},
    "training": {"evaluation", "runtime", "models", "preprocess", "showers", "detector"},
    "export": {"training", "evaluation", "runtime", "models", "incident", "showers", "detector"},
    "web": {"speed", "evaluation", "runtime", "showers", "detector"},
    "cli": {"web", "export", "speed", "training", "evaluation", "runtime", "models", "fullsim"}
    | {"incident", "showers", "detector"},
}
TORCH = ("models/", "preprocess/", "training/", "export/", "evaluation/classifiers/")
LARGEST_SHELF = 15  # files in one folder
LONGEST = 450  # lines of a file


Rule = Callable[[Path], Iterator[str]]
"""Of a file: what is wrong with it, a sentence each."""


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


def hold(rule: Rule) -> None:
    """Every file of the package keeps a rule; all that do not are named."""
    found = [f"{file.relative_to(PACKAGE)}: {text}" for file in sources() for text in rule(file)]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def room(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts[0].startswith("__") else parts[0]


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(tree(file)):
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
        "Incident",
        "Recipe",
        "Showers",
        "__version__",
        "convert",
        "evaluate",
        "example",
        "export_run",
        "generate",
        "histogram",
        "load",
        "load_detector",
        "observables",
        "open",
        "plot",
        "read",
        "simulate",
        "to_awkward",
        "train",
        "write",
        "write_page",
    ]
    for name in dir(caloforge):
        assert getattr(caloforge, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = caloforge.nonsense


FACES = {
    "cli": "app main",
    "detector": "CylindricalLayer Detector Hits Layer Material Plate RectangularLayer Stack "
    "detector_from_json detector_names detector_to_json load_detector",
    "evaluation": "Evaluation SECTIONS evaluate leaderboard load_reference load_sample markdown "
    "prepare_folder read_evaluation",
    "evaluation.sections": "Finding Pair SECTIONS Section",
    "export": "artefact_folder export_run train_fastcalosim train_library",
    "export.profiles": "PROFILES find_profile",
    "fullsim": "Beam DataLibrary Geant4Source PhysicsSettings data_directory download_data "
    "download_size missing_datasets simulate",
    "incident": "Beam Gun Incident Spectrum parse_range",
    "models.blocks": "BatchNorm GlorotLinear InpaintingAttention LocallyConnected2d "
    "MinibatchDiscrimination Resize SameConv2d",
    "preprocess": "Condition IncidentFractions LayerFractions LayerShares NormalScores Sticks",
    "runtime": "Card Generator artefact_names best_artefact card_schema find_artefact generate "
    "load load_card",
    "schemas": "read_schema schema_names",
    "showers": "Cleaning Conversion FileReport FormatName Paths ShowerFile Showers Split convert "
    "convert_file inspect_file open_showers read_part read_parts read_showers split_file "
    "write_showers",
    "showers.examples": "EXAMPLES example_file example_showers",
    "showers.formats": "FORMATS Format choose_format",
    "training": "Progress Recipe Run recipe_names train",
}
"""What each room offers at its face; those that are not here offer nothing."""


def test_faces(modules: dict[str, ModuleType]) -> None:
    found = {}
    for name, module in modules.items():
        offered = getattr(module, "__all__", [])
        if hasattr(module, "__path__") and name != "caloforge" and offered:
            found[name.removeprefix("caloforge.")] = " ".join(sorted(offered))
            for public in offered:
                assert getattr(module, public) is not None
                assert public in dir(module) or hasattr(module, "__getattr__")
    assert found == FACES


@pytest.fixture(scope="module")
def modules() -> dict[str, ModuleType]:
    """All modules, by name; without those that need PyTorch where that is missing."""
    found = {}
    for name in ("caloforge", *MODULES):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        if CI or find_spec("torch") or "torch" not in set(imports(Path(spec.origin))):
            found[name] = import_module(name)
    return found


def test_names_that_modules_promise_exist(modules: dict[str, ModuleType]) -> None:
    for name, module in modules.items():
        assert module.__doc__, f"{name} says nothing of itself"
        for public in getattr(module, "__all__", []):
            assert hasattr(module, public), f"{name} has no {public}"


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


def test_dependencies_point_one_way() -> None:
    def rule(file: Path) -> Iterator[str]:
        here = room(file)
        for name in imports(file):
            top = name.partition(".")[0]
            if top in {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"}:
                yield f"imports {name}"
            where = file.relative_to(PACKAGE).as_posix()
            if top in {"torch", "torchvision", "lightning"} and not where.startswith(TORCH):
                yield f"imports {name}"
            # The face of the package offers what the rooms have.
            if top != "caloforge" or here in {"", "__main__"}:
                continue
            there = name.split(".")[1] if "." in name else ""
            if there != here and there not in COMMON | ROOMS.get(here, set()):
                yield f"{here or 'a single file'} imports {name}"
        for node in ast.walk(tree(file)):
            # Files of another room are a dependency, too, which no import shows.
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {
                "resources.files",
                "files",
            }:
                (what,) = node.args
                there = ast.literal_eval(what).split(".")[1]
                if there != here and there not in ROOMS[here] | {"zoo"}:
                    yield f"line {node.lineno}: {here} reads files of {there}"

    hold(rule)


def test_no_circles() -> None:
    """No module needs itself: not through others, not within a function either."""
    needs: dict[str, set[str]] = {}
    known = {"caloforge", *MODULES}
    for file in sources():
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found = set()
        for node in ast.walk(tree(file)):
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


def test_shelves_are_short() -> None:
    for folder in {file.parent for file in sources()}:
        files = [file for file in folder.glob("*.py") if file.name != "__init__.py"]
        assert len(files) <= LARGEST_SHELF, f"{folder}: {len(files)} files; make a folder in it"


def test_house_rules() -> None:
    def rule(file: Path) -> Iterator[str]:
        if file.stem == "utils":
            yield "says nothing of what it holds"
        if len(file.read_text("utf-8").splitlines()) > LONGEST:
            yield f"longer than {LONGEST} lines: files of 100-400 lines, one algorithm each"
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in {"print", "eval", "exec"}:
                    yield f"line {node.lineno}: calls {called}"
            for keyword in getattr(node, "keywords", []):
                if keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False":
                    yield f"line {keyword.lineno}: allow_pickle"

    hold(rule)


def test_random_numbers_come_from_one_place() -> None:
    """Who makes a generator of numbers shares, sooner or later, the numbers of another."""

    def rule(file: Path) -> Iterator[str]:
        if file == PACKAGE / "random.py":
            return
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Attribute):
                used = ast.unparse(node.value) in {"np.random", "random"}
                wrong = used and node.attr != "Generator"  # the type is for all
            elif isinstance(node, ast.Call):
                wrong = ast.unparse(node.func) == "np.random.Generator"
            elif isinstance(node, ast.ImportFrom):
                wrong = node.module in {"random", "numpy.random"}
            elif isinstance(node, ast.Import):
                wrong = bool({alias.name for alias in node.names} & {"random", "numpy.random"})
            else:
                continue
            if wrong:
                yield f"line {node.lineno}: {ast.unparse(node)}; take random.stream"

    hold(rule)


def test_doctests(modules: dict[str, ModuleType], capsys: pytest.CaptureFixture[str]) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    results = {name: doctest.testmod(module, optionflags=flags) for name, module in modules.items()}
    failed = [name for name, result in results.items() if result.failed]
    if failed:
        pytest.fail(f"{', '.join(failed)}\n{capsys.readouterr().out}", pytrace=False)
    assert sum(result.attempted for result in results.values()) > 40

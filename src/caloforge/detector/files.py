"""Detector files: TOML of our own; :mod:`caloforge.detector.binning` reads those of others.

A detector file, in millimetres throughout::

    name = "calogan"
    description = "80 x (2 mm lead + 4 mm liquid argon)"

    [stack]
    lateral = 1000.0
    groups = [
      { repeat = 80, plates = [
        { material = "G4_Pb", thickness = 2.0 },
        { material = "LiquidArgon", thickness = 4.0 },
      ] },
    ]

    [materials.LiquidArgon]
    density = 1.39
    state = "liquid"
    elements = { Ar = 1 }

    [[layers]]                       # rectangular cells
    depth = [0, 90]
    x = { bins = 3, range = [-240, 240] }
    y = { bins = 96, range = [-240, 240] }

    [[layers]]                       # cylindrical voxels
    depth = [90, 437]
    r_edges = [0, 5, 10, 20]
    n_alpha = 10
"""

from __future__ import annotations

import json
import tomllib
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from caloforge.detector.binning import read_binning
from caloforge.detector.detector import Detector
from caloforge.detector.layers import CylindricalLayer, RectangularLayer, as_edges
from caloforge.detector.stack import Material, Plate, Stack
from caloforge.errors import DetectorError
from caloforge.explain import explain, suggestion

__all__ = ["detector_from_json", "detector_names", "detector_to_json", "load_detector"]

# Bounds that no calorimeter comes near: what lies beyond is a slip, and would fill all memory.
_LARGEST = 1e7  # mm
_MOST_CELLS = 10_000_000
_MOST_PLATES = 100_000

Length = Annotated[float, Field(gt=0, le=_LARGEST, allow_inf_nan=False)]
Position = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST, allow_inf_nan=False)]
Density = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]  # g/cm^3
Bins = Annotated[int, Field(ge=1, le=1_000_000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Bins(_Part):
    bins: Bins
    range: tuple[Position, Position]


class _Edges(_Part):
    edges: tuple[Position, ...]


class _Layer(_Part):
    depth: tuple[Position, Position] | None = None
    x: _Bins | _Edges | None = None
    y: _Bins | _Edges | None = None
    r_edges: tuple[Position, ...] | None = None
    n_alpha: Bins | None = None


class _Plate(_Part):
    material: str
    thickness: Length
    sensitive: bool = True


class _Group(_Part):
    repeat: Annotated[int, Field(ge=1)] = 1
    plates: Annotated[tuple[_Plate, ...], Field(min_length=1)]


class _Stack(_Part):
    lateral: Length
    groups: Annotated[tuple[_Group, ...], Field(min_length=1)]


class _Material(_Part):
    density: Density
    state: Literal["solid", "liquid", "gas"]
    elements: dict[str, Annotated[int, Field(ge=1)]]


class _DetectorFile(_Part):
    name: Annotated[str, Field(pattern=r"^[^/\\\s\x00-\x1f\x7f]+$")]  # part of file names
    description: str = ""
    layers: Annotated[tuple[_Layer, ...], Field(min_length=1)]
    stack: _Stack | None = None
    materials: dict[str, _Material] = Field(default_factory=dict)


_KEYS = {
    key
    for model in (_DetectorFile, _Layer, _Bins, _Edges, _Plate, _Group, _Stack, _Material)
    for key in model.model_fields
}


def detector_names() -> list[str]:
    """Names of the detectors that come with caloforge."""
    folder = resources.files("caloforge.detector") / "shipped"
    return sorted(Path(file.name).stem for file in folder.iterdir() if file.name.endswith(".toml"))


def load_detector(
    source: str | Path, particle: str | int | None = None, *, n_cells: int | None = None
) -> Detector:
    """Load a detector.

    Args:
        source: Name of a shipped detector (:func:`detector_names`), or the path of a TOML file or
            of a CaloChallenge binning XML file.
        particle: Which binning of an XML file that has several.
        n_cells: Number of voxels of the binning that is wanted, where that does not say it.

    Raises:
        DetectorError: There is no such detector, or its file is wrong; the message names the key.

    Examples:
        >>> load_detector("calogan")
        Detector('calogan', 3 layers, 504 cells)
    """
    path = Path(source)
    suffix = path.suffix.lower()
    if suffix == ".xml" and _is_file(path):
        return _bounded(read_binning(path, particle, n_cells), f"binning file {path}")
    if suffix == ".toml" and _is_file(path):
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            msg = f"detector file {path}: cannot be read: {error}"
            raise DetectorError(msg) from None
        return _from_text(text, str(path))
    if str(source) in detector_names():
        return _shipped(str(source))
    if suffix in {".toml", ".xml"}:
        msg = f"detector: there is no file {path}"
        raise DetectorError(msg)
    hint = suggestion(str(source), detector_names())
    msg = f"detector: {source} is neither a shipped detector nor a .toml or .xml file; {hint}"
    raise DetectorError(msg)


@lru_cache(maxsize=32)
def _shipped(name: str) -> Detector:
    file = resources.files("caloforge.detector") / "shipped" / f"{name}.toml"
    return _from_text(file.read_text("utf-8"), f"{name}.toml")


def _from_text(text: str, where: str) -> Detector:
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"detector file {where}: not valid TOML: {error}"
        raise DetectorError(msg) from None
    return _build(content, f"detector file {where}")


def detector_to_json(detector: Detector) -> str:
    """The definition of a detector as one line of JSON, as it is kept in files of showers.

    Raises:
        DetectorError: It has a name or a size that no detector file may have.
    """
    try:
        described = _describe(detector)
    except ValidationError as error:
        msg = f"detector {detector.name!r}: cannot be kept in a file: {explain(error)}"
        raise DetectorError(msg) from None
    return json.dumps(described.model_dump(mode="json", exclude_defaults=True))


def detector_from_json(text: str, where: str) -> Detector:
    """The detector that :func:`detector_to_json` described.

    Args:
        text: The JSON.
        where: Where it was found, for the message.

    Raises:
        DetectorError: The text is not the definition of a detector.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"{where}: the definition of the detector is not valid JSON: {error}"
        raise DetectorError(msg) from None
    return _build(content, where)


def _build(content: object, where: str) -> Detector:
    try:
        file = _DetectorFile.model_validate(content)
    except ValidationError as error:
        msg = f"{where}: {explain(error, _KEYS)}"
        raise DetectorError(msg) from None
    try:
        layers = tuple(_layer(i, layer) for i, layer in enumerate(file.layers))
        detector = Detector(file.name, layers, _stack(file), file.description)
    except DetectorError as error:
        msg = f"{where}: {error}"
        raise DetectorError(msg) from None
    return _bounded(detector, where)


def _bounded(detector: Detector, where: str) -> Detector:
    if detector.n_cells > _MOST_CELLS:
        msg = f"{where}: has {detector.n_cells:,} cells, must have at most {_MOST_CELLS:,}"
        raise DetectorError(msg)
    return detector


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, a folder that must not be looked into
        return False


def _layer(i: int, layer: _Layer) -> RectangularLayer | CylindricalLayer:
    rectangular = layer.x is not None and layer.y is not None
    cylindrical = layer.r_edges is not None and layer.n_alpha is not None
    mixed = (layer.x or layer.y) and (layer.r_edges or layer.n_alpha)
    if mixed or not (rectangular or cylindrical):
        msg = (
            f"layers.{i}: must have either x and y (rectangular cells) "
            "or r_edges and n_alpha (cylindrical voxels)"
        )
        raise DetectorError(msg)
    try:
        if layer.x is not None and layer.y is not None:
            return RectangularLayer(layer.depth, _axis(layer.x), _axis(layer.y))
        if layer.r_edges is not None and layer.n_alpha is not None:
            return CylindricalLayer(layer.depth, layer.r_edges, layer.n_alpha)
    except DetectorError as error:
        msg = f"layers.{i}.{error}"
        raise DetectorError(msg) from None
    raise AssertionError  # pragma: no cover


def _axis(axis: _Bins | _Edges) -> tuple[float, ...]:
    if isinstance(axis, _Edges):
        return axis.edges
    return as_edges(np.linspace(*axis.range, axis.bins + 1))


def _stack(file: _DetectorFile) -> Stack | None:
    if file.stack is None:
        return None
    count = sum(group.repeat * len(group.plates) for group in file.stack.groups)
    if count > _MOST_PLATES:
        msg = f"stack: has {count:,} plates, must have at most {_MOST_PLATES:,}"
        raise DetectorError(msg)
    plates = tuple(
        Plate(plate.material, plate.thickness, plate.sensitive)
        for group in file.stack.groups
        for _ in range(group.repeat)
        for plate in group.plates
    )
    for plate in plates:
        if not plate.material.startswith("G4_") and plate.material not in file.materials:
            msg = (
                f"stack: material {plate.material!r} is neither a Geant4 material (G4_...) "
                "nor defined under [materials]"
            )
            raise DetectorError(msg)
    materials = tuple(
        Material(name, item.density, item.state, tuple(item.elements.items()))
        for name, item in file.materials.items()
    )
    return Stack(plates, file.stack.lateral, materials)


def _describe(detector: Detector) -> _DetectorFile:
    layers = tuple(
        _Layer(depth=layer.depth, x=_bins(layer.x_edges), y=_bins(layer.y_edges))
        if isinstance(layer, RectangularLayer)
        else _Layer(depth=layer.depth, r_edges=layer.r_edges, n_alpha=layer.n_alpha)
        for layer in detector.layers
    )
    stack, materials = None, {}
    if detector.stack is not None:
        plates = tuple(
            _Plate(material=plate.material, thickness=plate.thickness, sensitive=plate.sensitive)
            for plate in detector.stack.plates
        )
        period = _period(plates)
        group = _Group(repeat=len(plates) // period, plates=plates[:period])
        stack = _Stack(lateral=detector.stack.lateral, groups=(group,))
        materials = {
            material.name: _Material.model_validate(
                {
                    "density": material.density,
                    "state": material.state,
                    "elements": dict(material.elements),
                }
            )
            for material in detector.stack.materials
        }
    return _DetectorFile(
        name=detector.name,
        description=detector.description,
        layers=layers,
        stack=stack,
        materials=materials,
    )


def _bins(edges: tuple[float, ...]) -> _Bins | _Edges:
    """The shortest way to say where the edges are: equal bins, where they are exactly that."""
    bins = _Bins(bins=len(edges) - 1, range=(edges[0], edges[-1]))
    return bins if _axis(bins) == edges else _Edges(edges=edges)


def _period(plates: tuple[_Plate, ...]) -> int:
    """Smallest number of plates whose repetition is the whole stack."""
    n = len(plates)
    return next(p for p in range(1, n + 1) if n % p == 0 and plates[:p] * (n // p) == plates)

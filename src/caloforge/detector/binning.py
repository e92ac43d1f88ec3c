"""The binning files of the CaloChallenge and of FastCaloGAN: voxels in XML.

A file holds a ``<Bin>`` for each particle (``pid``) and range of pseudorapidity, and in it the
layers, of which those with a single edge are not used::

    <Bins>
      <Bin pid="22" etaMin="0" etaMax="130" name="photon">
        <Layer id="0" r_edges="0,5,10,30" n_bin_alpha="1" />
        <Layer id="4" r_edges="0" n_bin_alpha="1" />
      </Bin>
    </Bins>

Layers are taken in the order of their ``id``, wherever they stand in the file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from caloforge.detector.detector import Detector
from caloforge.detector.layers import CylindricalLayer
from caloforge.errors import DetectorError
from caloforge.particles import particle_name, pdg_id

__all__ = ["read_binning"]


def read_binning(
    path: Path, particle: str | int | None = None, n_cells: int | None = None
) -> Detector:
    """The readout of a binning file.

    Args:
        path: The file; its name becomes that of the detector.
        particle: Which ``<Bin>`` to take where there are several.
        n_cells: Number of voxels that it must have, where there are still several.

    Raises:
        DetectorError: The file is no XML, a layer is wrong, or it is not clear which to take.
    """
    try:
        root = ET.parse(path).getroot()  # noqa: S314 (a local file of the user's own)
    except (OSError, ValueError, ET.ParseError) as error:
        msg = f"binning file {path}: not valid XML: {error}"
        raise DetectorError(msg) from None
    bins = root.findall("Bin")
    if not bins:
        msg = f"binning file {path}: has no <Bin> element, must have at least one"
        raise DetectorError(msg)
    if len(bins) > 1 and particle is not None:
        bins = _of_particle(bins, particle, path)
    found = [_detector(item, path) for item in bins]
    if len(found) > 1 and n_cells is not None:
        found = [item for item in found if item.n_cells == n_cells] or found
    if any(not item.same_readout(found[0]) for item in found):
        what = ", ".join(_describe(item) for item in bins)
        hint = "keep one of them" if particle is not None else "name the particle, or keep one"
        msg = f"binning file {path}: has {len(found)} <Bin> elements that fit ({what}); {hint}"
        raise DetectorError(msg)
    return found[0]


def _legal_name(text: str) -> str:
    """A name of a detector made of any text: without slashes and white space.

    Examples:
        >>> _legal_name("binning with space")
        'binning-with-space'
    """
    return re.sub(r"[/\\\s\x00-\x1f\x7f]+", "-", text.strip()) or "detector"


def _of_particle(bins: Sequence[ET.Element], particle: str | int, path: Path) -> list[ET.Element]:
    wanted = str(abs(pdg_id(particle)))
    fitting = [item for item in bins if item.get("pid", "").strip().lstrip("+-") == wanted]
    if not fitting:
        known = ", ".join(dict.fromkeys(item.get("pid", "?") for item in bins))
        msg = (
            f"binning file {path}: has 0 <Bin> elements for {particle_name(particle)} "
            f"(pid {wanted}), only for pid {known}; name another particle"
        )
        raise DetectorError(msg)
    return fitting


def _describe(item: ET.Element) -> str:
    named = ((key, item.get(key)) for key in ("pid", "etaMin", "etaMax"))
    return " ".join(f"{key}={value}" for key, value in named if value is not None) or "no pid"


def _detector(item: ET.Element, path: Path) -> Detector:
    layers = []
    for layer in _in_order(item.findall("Layer"), path):
        where = f"binning file {path}: Layer id={layer.get('id')}"
        try:
            edges = tuple(float(edge) for edge in layer.attrib["r_edges"].split(","))
            n_alpha = int(layer.attrib["n_bin_alpha"])
            if len(edges) > 1:  # a single edge marks a layer that is not used
                layers.append(CylindricalLayer(None, edges, n_alpha))
        except KeyError as error:
            msg = f"{where}: attribute {error} is missing"
            raise DetectorError(msg) from None
        except ValueError as error:
            msg = f"{where}: {error}"
            raise DetectorError(msg) from None
    try:
        return Detector(_legal_name(path.stem), tuple(layers), None, item.get("name", ""))
    except DetectorError as error:
        msg = f"binning file {path}: {error}"
        raise DetectorError(msg) from None


def _in_order(layers: Sequence[ET.Element], path: Path) -> list[ET.Element]:
    """By their ids; in the order of the file where none has one."""
    texts = [layer.get("id") for layer in layers]
    if all(text is None for text in texts):
        return list(layers)
    try:
        ids = [int(text or "") for text in texts]
    except ValueError:
        ids = []
    if len(set(ids)) < len(layers):
        shown = ", ".join("none" if text is None else text for text in texts)
        msg = (
            f"binning file {path}: the ids of its layers are {shown}; each must have its own whole "
            "number"
        )
        raise DetectorError(msg)
    return [layer for _, layer in sorted(zip(ids, layers, strict=True), key=lambda pair: pair[0])]

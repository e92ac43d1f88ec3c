"""Fitting a FastCaloSim parametrisation and making an artefact of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from caloforge.detector import detector_to_json
from caloforge.export.card import (
    artefact_name,
    definition,
    write_reference,
)
from caloforge.export.folder import artefact_folder
from caloforge.export.measure import inside, measure
from caloforge.models.fastcalosim.fit import check_rows, energy_range
from caloforge.models.fastcalosim.overflow import overflow_from_cells
from caloforge.models.fastcalosim.sampling import FastCaloSim, FastCaloSimConfig, is_empty
from caloforge.particles import particle_name
from caloforge.provenance import command_line, file_sha256, machine
from caloforge.random import check_seed
from caloforge.runtime.card import CARD, Card, TensorSpec, TrainingRows
from caloforge.runtime.conditions import Condition
from caloforge.runtime.parametric import PARAMETERS, ParametricGenerator, write_parameters
from caloforge.showers import read_part
from caloforge.version import __version__

__all__ = ["train_fastcalosim"]

_LIMITS = (
    "Particles enter at the centre of the detector, perpendicular.",
    "Within a layer only rings are correlated; a track through a shower comes out as several.",
    "A layer without bins in alpha takes its fluctuations in alpha from the layer beside it.",
)
_LIMIT_BESIDE = (
    "Energy beside the voxels that it was fitted on is one ring per layer, up to half the side of "
    "the plates."
)
_LIMIT_EMPTY = (
    "{:.2%} of the showers that it was fitted on have no deposit at all; it makes no such showers."
)
_LIMIT_INSIDE = "Energy outside the voxels that it was fitted on is not described."


def train_fastcalosim(
    output: str | Path,
    *,
    particle: str | int,
    data: str | Path,
    cells: str | Path | None = None,
    config: FastCaloSimConfig | None = None,
    seed: int = 1,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Path:
    """Fit a FastCaloSim parametrisation on Geant4 showers and make an artefact of it.

    It is fitted on the train rows alone; the card states how it does on the test rows.

    Args:
        output: Folder to make.
        particle: What the showers are of.
        data: File of Geant4 showers in cylindrical voxels, split into train, validation and test.
        cells: The same showers in rectangular cells, row by row; these are then what the artefact
            fills and is judged in. By default it fills the voxels. Unless ``data`` has the energy
            beside the voxels (``overflow``) itself, it is found from these.
        config: Settings of the fit; by default the preset of the particle.
        seed: Seed of the showers that are compared with the test rows.
        overwrite: Replace an artefact that is there.
        progress: Called with the number of energy nodes fitted so far.

    Returns:
        The folder.

    Raises:
        CaloforgeError: A file or an argument is wrong, or the folder cannot be written.
    """
    output, data = Path(output), Path(data)
    check_seed(seed)
    name = particle_name(particle)
    with artefact_folder(output, overwrite=overwrite) as folder:
        start = time.perf_counter()
        train = read_part(data, "train", name)
        sources = [data]
        if cells is not None and train.overflow is None:
            overflow = overflow_from_cells(train, read_part(Path(cells), "train", name))
            train = replace(train, overflow=overflow)
            sources.append(Path(cells))
        tests = [read_part(Path(path), "test", name) for path in (cells, data) if path is not None]
        empty = is_empty(train)
        settings = config or FastCaloSimConfig.preset(name)
        check_rows(train.energy[~empty], settings)
        inside(tests[0], energy_range(train.energy[~empty], settings))  # now, not after the fit
        model = FastCaloSim.fit(train, config, progress)
        wall_time = time.perf_counter() - start
        write_parameters(folder / PARAMETERS, model, detector_to_json(model.detector))
        for test in tests:
            write_reference(folder, test)
        readout = tests[0].detector
        card = Card(
            name=artefact_name("fastcalosim", name),
            system="fastcalosim",
            version=__version__,
            description=f"FastCaloSim parametrisation of {name} in {readout.name}",
            runtime="fastcalosim",
            detector=definition(readout),
            particles=(name,),
            conditions=(Condition.of("energy", *_rounded(model.energy_range)),),
            inputs=(
                TensorSpec(
                    name="energy",
                    shape=("N", 1),
                    unit="GeV",
                    dtype="FP64",
                    description="incident energy",
                ),
            ),
            outputs=(
                TensorSpec(
                    name="hits",
                    shape=("M",),
                    unit="mm, MeV",
                    dtype="FP64",
                    description=f"x, y, z and energy; by default summed into {readout.name}",
                ),
            ),
            training=tuple(
                TrainingRows(
                    file=source.name,
                    sha256=file_sha256(source),
                    rows=len(train),
                    split="train",
                    source="Geant4",
                )
                for source in sources
            ),
            command=command_line(
                "train",
                "fastcalosim",
                particle=name,
                data=data.name,
                cells=None if cells is None else Path(cells).name,
                energy_range=(
                    "{:g}:{:g}".format(*config.energy_range)
                    if config is not None and config.energy_range is not None
                    else None
                ),
                o=output.name,
            ),
            seed=seed,
            wall_time=round(wall_time, 1),
            machine=f"{machine()}, one process, NumPy",
            metrics=(),
            limits=(
                *_LIMITS,
                _LIMIT_BESIDE if model.has_outer_rings else _LIMIT_INSIDE,
                *([_LIMIT_EMPTY.format(empty.mean())] if empty.any() else []),
            ),
            licence="Apache-2.0",
            references=("ATL-SOFT-PUB-2018-002", "arXiv:2109.02551"),
            files={path.name: file_sha256(path) for path in sorted(folder.iterdir())},
        )
        generator = ParametricGenerator(card, folder)
        found = measure({name: generator}, [inside(tests[0], card.energy_range)], seed=seed)
        (folder / CARD).write_text(card.model_copy(update=found).to_json(), "utf-8")
    return output


def _rounded(energies: tuple[float, float]) -> tuple[float, float]:
    """The ends of the range to single precision, in which they are kept."""
    return float(f"{energies[0]:.6g}"), float(f"{energies[1]:.6g}")

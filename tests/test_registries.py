"""What every file format, section of the judge and kind of artefacts promises, whichever it is.

A new one is under test by being listed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import caloforge
from artefacts import card, make_artefact
from caloforge.detector import CylindricalLayer, Detector, RectangularLayer
from caloforge.errors import (
    ArtefactError,
    CaloforgeError,
    DetectorError,
    EnergyError,
    FileFormatError,
    ShowersError,
)
from caloforge.evaluation import SECTIONS
from caloforge.evaluation.plain import plain
from caloforge.evaluation.sections.pair import Finding, Pair
from caloforge.export import train_library
from caloforge.provenance import file_sha256
from caloforge.runtime import find_artefact, load_card
from caloforge.runtime.kinds import KINDS
from caloforge.showers import (
    Showers,
    convert_file,
    inspect_file,
    open_showers,
    read_showers,
    split_file,
    write_showers,
)
from caloforge.showers.fields import OPTIONAL
from caloforge.showers.formats import FORMATS

CELLS = Detector(
    "cells",
    (
        RectangularLayer((0, 20), (-60, -20, 20, 60), (-60, 0, 60)),
        RectangularLayer((20, 60), (-60, 0, 60), (-60, -30, 0, 30, 60)),
    ),
)
VOXELS = Detector(
    "voxels",
    (
        CylindricalLayer((0, 20), (0, 10, 30), n_alpha=4),
        CylindricalLayer((20, 60), (0, 20, 60), n_alpha=3),
    ),
)
MIXED = Detector("mixed", (CELLS.layers[0], VOXELS.layers[1]))
READOUTS = {readout.name: readout for readout in (CELLS, VOXELS, MIXED)}


def made_up(readout: Detector, count: int, seed: int = 1) -> Showers:
    """Showers with everything that showers may have."""
    rng = np.random.default_rng(seed)
    energy = rng.uniform(1, 100, count)
    shares = rng.dirichlet(np.full(readout.n_cells, 0.3), count)
    shares[shares < 0.01] = 0
    optional = {
        name: rng.random((count, *field.shape(readout))).astype(field.memory)
        for name, field in OPTIONAL.items()
    }
    along = np.tile([0.6, 0.0, 0.8], (count, 1))
    deposits = (900 * energy[:, None] * shares).astype(np.float32)
    return Showers(
        readout,
        energy,
        deposits,
        "e+",
        **(optional | {"direction": along}),  # type: ignore[arg-type]
    )


# File formats


def held() -> list[tuple[str, str]]:
    """The formats, and the readouts that each can hold."""
    found = []
    for name, form in FORMATS.items():
        for readout in READOUTS.values():
            try:
                form.shapes(readout)
            except DetectorError:
                continue
            found.append((name, readout.name))
    return found


HELD = held()
formats = pytest.mark.parametrize(("form", "readout"), HELD)


def write(path: Path, form: str, readout: str, count: int = 40) -> Showers:
    showers = made_up(READOUTS[readout], count)
    write_showers(path, showers, format=form)  # type: ignore[arg-type]
    return showers


def test_every_format_holds_something_and_everything_has_a_format() -> None:
    assert {form for form, _ in HELD} == set(FORMATS)
    assert {readout for _, readout in HELD} == set(READOUTS)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("readout", READOUTS)
def test_what_a_format_cannot_hold_is_refused(form: str, readout: str, tmp_path: Path) -> None:
    if (form, readout) not in HELD:
        with pytest.raises(DetectorError, match=form):
            write(tmp_path / "a.h5", form, readout)
        assert list(tmp_path.iterdir()) == []


@formats
def test_what_is_written_is_read(form: str, readout: str, tmp_path: Path) -> None:
    showers = write(tmp_path / "a.h5", form, readout)
    with open_showers(tmp_path / "a.h5") as file:
        assert (file.format.name, file.detector, len(file)) == (form, READOUTS[readout], 40)
        made = file.read()
        parts = Showers.concatenate(list(file.blocks(7)))
        rows = file.read_rows(file.energies() > 50)
    for each in (made, parts):
        assert each.particle == "e+"
        np.testing.assert_array_equal(each.deposits, showers.deposits)
        np.testing.assert_allclose(each.energy, showers.energy, rtol=1e-14)
        for name in OPTIONAL:
            np.testing.assert_allclose(getattr(each, name), getattr(showers, name), rtol=1e-6)
    np.testing.assert_array_equal(rows.deposits, showers.deposits[showers.energy > 50])


@formats
def test_inspected(form: str, readout: str, tmp_path: Path) -> None:
    showers = write(tmp_path / "a.h5", form, readout)
    report = inspect_file(tmp_path / "a.h5")
    assert (report.format, report.detector, report.particle) == (form, readout, "e+")
    assert (report.count, report.problems) == (40, ())
    assert report.response[0] == pytest.approx(showers.response.mean())
    json.dumps(report.to_dict(), allow_nan=False)
    write_showers(tmp_path / "none.h5", showers[:0], format=form)  # type: ignore[arg-type]
    assert inspect_file(tmp_path / "none.h5").count == 0


@formats
def test_split(form: str, readout: str, tmp_path: Path) -> None:
    showers = write(tmp_path / "a.h5", form, readout)
    counts = split_file(tmp_path / "a.h5", tmp_path / "b.h5", fractions=(0.5, 0.25, 0.25))
    found = [read_showers(tmp_path / "b.h5", split=part) for part in counts]  # type: ignore[arg-type]
    assert [len(each) for each in found] == list(counts.values())
    both = np.concatenate([each.deposits for each in found])
    assert {row.tobytes() for row in both} == {row.tobytes() for row in showers.deposits}
    assert inspect_file(tmp_path / "b.h5").format == form


@formats
@pytest.mark.parametrize(("other", "target"), HELD)
def test_converted(form: str, readout: str, other: str, target: str, tmp_path: Path) -> None:
    """Layer by layer with the same energy, into the same layers in depth."""
    along = {"entry_point": None, "direction": None}  # along the axis
    showers = replace(made_up(READOUTS[readout], 40), **along)  # type: ignore[arg-type]
    write_showers(tmp_path / "a.h5", showers, format=form)  # type: ignore[arg-type]
    convert_file(
        tmp_path / "a.h5",
        tmp_path / "b.h5",
        detector=READOUTS[target],
        format=other,  # type: ignore[arg-type]
        points=4,
    )
    found = read_showers(tmp_path / "b.h5")
    assert found.detector == READOUTS[target]
    np.testing.assert_allclose(found.energy, showers.energy, rtol=1e-14)
    if target == readout:
        np.testing.assert_array_equal(found.deposits, showers.deposits)
        return
    # The overflow of the source is at no known place, and stays behind.
    assert found.overflow is not None
    np.testing.assert_allclose(
        found.layer_energies + found.overflow, showers.layer_energies, rtol=1e-4, atol=0.01
    )


@formats
def test_every_dataset_is_needed_and_has_its_length(
    form: str, readout: str, tmp_path: Path
) -> None:
    write(tmp_path / "a.h5", form, readout)
    layout = FORMATS[form]
    with h5py.File(tmp_path / "a.h5") as file:
        keys = [layout.energy_key, *layout.deposit_keys(file)]
    for key in keys:
        for length in (None, 39):
            shutil.copy(tmp_path / "a.h5", tmp_path / "bad.h5")
            with h5py.File(tmp_path / "bad.h5", "r+") as file:
                values = file[key][:]
                del file[key]
                if length is not None:
                    file[key] = values[:length]
            with pytest.raises(FileFormatError):
                read_showers(tmp_path / "bad.h5")


@formats
@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_values_that_cannot_be(form: str, readout: str, value: float, tmp_path: Path) -> None:
    write(tmp_path / "a.h5", form, readout)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        dataset = file[FORMATS[form].deposit_keys(file)[-1]]
        dataset[(17, *(0,) * (dataset.ndim - 1))] = value
    with pytest.raises(ShowersError, match="shower 17 has the value"):
        read_showers(tmp_path / "a.h5")
    assert "1 showers have values" in " ".join(inspect_file(tmp_path / "a.h5").problems)


@formats
def test_half_a_file(form: str, readout: str, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write(path, form, readout)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CaloforgeError, match=r"a\.h5"):
        read_showers(path)


# Sections of the judge


@pytest.mark.parametrize("readout", ["cells", "voxels"])
@pytest.mark.parametrize("name", SECTIONS)
def test_a_section(name: str, readout: str, torch: object) -> None:
    """JSON, numbers that are finite, the same for the same seed; showers stay as they are."""
    assert torch
    reference, showers, training = (made_up(READOUTS[readout], 160, seed) for seed in (1, 2, 3))
    before = showers.deposits.copy()

    def find(*, is_floor: bool = False) -> Finding:
        pair = Pair(reference, showers, training, seed=5, quick=True, is_floor=is_floor)
        return SECTIONS[name](pair)

    found, again = find(), find()
    text = json.dumps(numbers(plain(found.details)), allow_nan=False)
    assert text == json.dumps(numbers(plain(again.details)))
    assert found.headlines == again.headlines
    assert found.warnings == again.warnings
    for headline in found.headlines:
        assert headline.value is not None
        assert np.isfinite(headline.value)
        assert headline.error is None or headline.error >= 0
        assert headline.label
    assert len({headline.name for headline in found.headlines}) == len(found.headlines)
    assert all(text.strip() == text for text in found.warnings)
    np.testing.assert_array_equal(showers.deposits, before)
    floor = find(is_floor=True)
    assert [item.name for item in floor.headlines] == [item.name for item in found.headlines]


def numbers(found: object) -> object:
    """Without how long it took."""
    if isinstance(found, dict):
        return {key: numbers(item) for key, item in found.items() if key != "seconds"}
    return [numbers(item) for item in found] if isinstance(found, list) else found


# Kinds of artefacts


def copied(name: str, folder: Path) -> Path:
    return shutil.copytree(find_artefact(name), folder / name)


def choice(folder: Path) -> Path:
    """Both kinds behind one card."""
    members = []
    for name, low, high in (("fastcalosim-eplus", 1.0, 30.0), ("tiny", 30.0, 100.0)):
        place = make_artefact(folder / name) if name == "tiny" else copied(name, folder)
        members.append(
            {
                "artefact": f"../{name}",
                "sha256": file_sha256(place / "card.json"),
                "domain": {"particles": ["e+"], "energy": [low, high]},
            }
        )
    made = folder / "choice"
    made.mkdir()
    content = card(name="both", runtime="choice", inputs=[], members=members)
    (made / "card.json").write_text(json.dumps(content), "utf-8")
    return made


def library(folder: Path) -> Path:
    energy = np.linspace(1, 100, 300)
    made = made_up(CELLS, len(energy))
    deposits = (made.deposits * (energy / made.energy)[:, None]).astype(np.float32)
    write_showers(folder / "all.h5", Showers(CELLS, energy, deposits, "e+"))
    split_file(folder / "all.h5", folder / "split.h5", seed=1)
    return train_library(folder / "library", {"e+": [folder / "split.h5"]}, energy_range=(1, 100))


EXAMPLES: dict[str, Callable[[Path], Path]] = {
    "choice": choice,
    "fastcalosim": lambda folder: copied("fastcalosim-eplus", folder),
    "library": library,
    "onnx": lambda folder: copied("atlas-vae-eplus", folder),
}
"""An artefact of each kind, for positrons of 1 to 100 GeV."""
kinds = pytest.mark.parametrize("kind", KINDS)


def test_every_kind_has_an_example() -> None:
    assert EXAMPLES.keys() == KINDS.keys()


@kinds
def test_a_shower_is_a_function_of_seed_and_index(kind: str, tmp_path: Path) -> None:
    folder = EXAMPLES[kind](tmp_path)
    assert load_card(folder).runtime == kind
    generator = caloforge.load(folder, "e+")
    energies = np.linspace(1, 100, 24)
    whole = generator.sample(energies, seed=3)
    assert (len(whole), whole.particle) == (24, "e+")
    assert np.isfinite(whole.deposits).all()
    assert whole.response.mean() > 0
    assert len(np.unique(whole.deposits, axis=0)) == 24
    for batch in (1, 5, 100):
        again = caloforge.load(folder, "e+").sample(energies, seed=3, batch=batch)
        np.testing.assert_array_equal(again.deposits, whole.deposits)
    part = generator.sample(energies[10:17], seed=3, first=10)
    np.testing.assert_array_equal(part.deposits, whole.deposits[10:17])
    other = generator.sample(energies, seed=4)
    same = (other.deposits == whole.deposits).all(axis=1).sum()
    assert same <= (4 if kind == "library" else 0)  # which has but so many showers near an energy
    assert len(generator.sample([], seed=1)) == 0


@kinds
def test_what_is_asked_for_beyond_the_card_is_refused(kind: str, tmp_path: Path) -> None:
    folder = EXAMPLES[kind](tmp_path)
    generator = caloforge.load(folder, "e+")
    for energy in (0.5, 200.0):
        with pytest.raises(EnergyError, match=r"outside|beyond|no member"):
            generator.sample([50.0, energy], seed=1)
    with pytest.raises(CaloforgeError, match=r"pi\+"):
        caloforge.load(folder, "pi+")
    sideways = replace(caloforge.Incident.of([50.0], "e+"), direction=np.array([[0.6, 0.0, 0.8]]))
    with pytest.raises(CaloforgeError, match="perpendicular"):
        generator.sample(sideways, seed=1)


@kinds
def test_workers_make_the_same_file(kind: str, tmp_path: Path) -> None:
    folder = EXAMPLES[kind](tmp_path)
    for workers in (1, 2):
        caloforge.generate(
            tmp_path / f"{workers}.h5",
            model=folder,
            particle="e+",
            energy="1:100",
            count=60,
            seed=5,
            batch=16,
            workers=workers,
        )
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


@kinds
def test_a_file_that_was_changed_is_refused(kind: str, tmp_path: Path) -> None:
    folder = EXAMPLES[kind](tmp_path)
    files = [folder / name for name in load_card(folder).files] or [tmp_path / "tiny/card.json"]
    files[0].write_bytes(files[0].read_bytes() + b" ")
    with pytest.raises(ArtefactError):
        caloforge.load(folder, "e+").sample([50.0], seed=1)

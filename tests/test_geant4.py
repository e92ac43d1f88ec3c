"""Geant4: geometry, beam, data tables, and showers that depend on nothing but seed and index."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from caloforge.detector import (
    CylindricalLayer,
    Detector,
    Hits,
    Material,
    Plate,
    RectangularLayer,
    Stack,
    load_detector,
)
from caloforge.errors import CaloforgeError, DetectorError, Geant4DataError, ParticleError
from caloforge.fullsim import (
    Beam,
    Geant4Source,
    PhysicsSettings,
    data,
    data_directory,
    download_data,
    download_size,
    missing_datasets,
)
from caloforge.fullsim.engine import Primaries, Shot, ShotError, random_index
from caloforge.fullsim.geometry import build_geometry, sensitive_volumes
from caloforge.incident.gun import Gun
from caloforge.incident.spectrum import Spectrum
from caloforge.showers import Showers
from caloforge.showers.fields import OPTIONAL
from caloforge.showers.source import Block

CALOGAN = load_detector("calogan")
VOXELS = load_detector("lar-voxels")


@pytest.fixture(scope="module")
def tables(shared: Path) -> Iterator[Path]:
    """Geant4's tables; Geant4 reads some of them late, so they stay for the whole module."""
    folder = shared / "geant4-data-lite"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEANT4_DATA_DIR", str(folder))
        yield folder


def gun(particle: str = "e+", energy: str = "1", beam: Beam | None = None) -> Gun:
    return Gun(particle, Spectrum.parse(energy), beam)


def source(
    particle: str = "e+", energy: str = "1", *, beam: Beam | None = None, **settings: object
) -> Geant4Source:
    return Geant4Source(CALOGAN, gun(particle, energy, beam), 1, **settings)  # type: ignore[arg-type]


def assert_same(one: Showers, other: Showers) -> None:
    for name in ("energy", "deposits", *OPTIONAL):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def in_fresh_process(what: Geant4Source, first: int, count: int) -> Block:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(what.block, first, count).result()


# Geometry


def test_geometry_has_every_plate_at_its_depth() -> None:
    assert CALOGAN.stack is not None
    world = build_geometry(CALOGAN.stack)["World"]
    assert world["Plate0"] == {
        "material": "G4_Pb",
        "box": {"size": [100.0, 100.0, 0.2]},
        "position": [0.0, 0.0, 0.1],
        "role": "record_deposits",
    }
    assert world["Plate159"]["material"] == "LiquidArgon"
    assert world["Plate159"]["position"][2] == pytest.approx(47.8)
    assert world["materials"]["molecules"]["LiquidArgon"]["density"] == 1.39
    assert world["role"] == "catch_ingoing"
    assert world["box"]["size"][2] / 2 > 48


def test_only_sensitive_plates_record() -> None:
    stack = Stack((Plate("G4_W", 2.0, sensitive=False), Plate("G4_Si", 0.5)), 100.0)
    world = build_geometry(stack)["World"]
    assert "role" not in world["Plate0"]
    assert sensitive_volumes(stack) == ("World.Plate1",)
    assert "materials" not in world


def test_unknown_element() -> None:
    stack = Stack(
        (Plate("Kryptonite", 1.0),), 10.0, (Material("Kryptonite", 1.0, "solid", (("Kp", 1),)),)
    )
    with pytest.raises(DetectorError, match="Kryptonite: 'Kp' is no chemical symbol"):
        build_geometry(stack)


@pytest.mark.usefixtures("tables")
def test_unknown_material() -> None:
    detector = replace(CALOGAN, stack=Stack((Plate("G4_Kryptonite", 480.0),), 1000.0))
    with pytest.raises(DetectorError, match="undefined 'G4_Kryptonite'"):
        Geant4Source(detector, gun("e-"), 1).block(0, 1)


# Settings


def test_beam_is_read_and_repeats_itself() -> None:
    beam = Beam.parse(20.0, "10:30", "90")
    points, directions = beam.sample(1, 0, 500)
    assert np.abs(points).max() <= 20
    assert np.abs(points).max() > 19
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0)
    theta = np.degrees(np.arccos(directions[:, 2]))
    assert theta.min() >= 10 - 1e-9
    assert theta.max() <= 30 + 1e-9
    np.testing.assert_allclose(directions[:, 0], 0, atol=1e-12)
    later = beam.sample(1, 300, 5)
    np.testing.assert_array_equal(later[0], points[300:305])
    np.testing.assert_array_equal(later[1], directions[300:305])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((-1.0, "0", "0"), "spread"),
        ((0.0, "90", "0"), "theta"),
        ((0.0, "20:10", "0"), "theta"),
        ((0.0, "x", "0"), "theta"),
        ((0.0, "0", "1:2:3"), "phi"),
        ((0.0, "0", "nan"), "phi"),
    ],
)
def test_wrong_beam(arguments: tuple[float, str, str], word: str) -> None:
    with pytest.raises(CaloforgeError, match=word):
        Beam.parse(*arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"em": "option9"}, "em: .*option9.*standard"),
        ({"hadronic": "FTFP"}, "hadronic: .*FTFP_BERT"),
        ({"cut_mm": 0.0}, "cut: got 0.0 mm"),
    ],
)
def test_wrong_physics(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(CaloforgeError, match=words):
        PhysicsSettings(**arguments)  # type: ignore[arg-type]


def test_wrong_source() -> None:
    bare = Detector("bare", CALOGAN.layers)
    with pytest.raises(DetectorError, match="no stack"):
        Geant4Source(bare, gun(), 1)
    flat = Detector("flat", (RectangularLayer(None, (0.0, 1.0), (0.0, 1.0)),))
    with pytest.raises(DetectorError, match="depth"):
        source(readouts=(flat,))
    other = replace(CALOGAN, name="other", stack=Stack((Plate("G4_W", 2.0),), 100.0))
    with pytest.raises(DetectorError, match="another stack"):
        source(readouts=(other,))
    voxel = CylindricalLayer((400.0, 480.0), (0.0, 100.0), 1)
    mixed = Detector("mixed", (*CALOGAN.layers[:1], voxel))
    source(readouts=(mixed,))
    with pytest.raises(DetectorError, match="both cells and voxels"):
        source(readouts=(mixed,), beam=Beam(5.0))
    with pytest.raises(DetectorError, match="spread"):
        source(beam=Beam(500.0))
    with pytest.raises(ParticleError, match="positronium"):
        source("positronium")


def test_blocks_are_larger_for_lower_energies() -> None:
    assert source(energy="50").block_size == 10
    assert source(energy="0.1").block_size == 1000
    assert source(energy="5000").block_size == 1


# Data tables


def test_missing_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEANT4_DATA_DIR", str(tmp_path))
    assert data_directory() == tmp_path
    with pytest.raises(Geant4DataError, match=r"--download-data.*GEANT4_DATA_DIR"):
        data.require_data(PhysicsSettings())


def test_reduced_tables_say_what_they_lack(tables: Path) -> None:
    assert missing_datasets(tables) == ()
    data.require_data(PhysicsSettings("option1"))
    with pytest.raises(Geant4DataError, match="fluor for option4"):
        data.require_data(PhysicsSettings("option4"))
    with pytest.raises(Geant4DataError, match="G4NDL"):
        data.require_data(PhysicsSettings(hadronic="FTFP_BERT_HP"))


def test_tables_are_by_default_where_calzone_puts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEANT4_DATA_DIR")
    assert data_directory().parts[-2:] == ("calzone", "data")


def test_download_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(folder: str, include: list[str], verbose: bool) -> None:
        assert not verbose
        (name,) = include
        (found,) = (item for item in data.DATASETS if item.name == name)
        (Path(folder) / found.folder).mkdir()
        if name == "G4PII":
            msg = "connection lost"
            raise ValueError(msg)

    monkeypatch.setattr(data, "import_calzone", lambda: SimpleNamespace(download=download))
    seen: list[data.DataLibrary] = []
    with pytest.raises(Geant4DataError, match="connection lost"):
        download_data(tmp_path / "new", missing_datasets(tmp_path), seen.append)
    assert seen[-1].name == "G4PII"
    assert [path.name for path in (tmp_path / "new").iterdir()].count("G4PII1.3") == 0
    assert missing_datasets(tmp_path / "new") == data.DATASETS[5:]


def test_download_size_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        msg = "no route"
        raise OSError(msg)

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(Geant4DataError, match=r"G4NDL.4.7.1.tar.gz: no route"):
        download_size(data.DATASETS)


def test_calzone_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "calzone", None)
    with pytest.raises(Geant4DataError, match="pip install 'calzone"):
        data.import_calzone()


# Random numbers


def test_streams_are_scattered_over_the_period() -> None:
    index = np.array([random_index(1, i) for i in range(2000)])
    assert index[:, 0].max() < 2**62
    assert len(np.unique(index, axis=0)) == len(index)
    bits = (index[:, 1:] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    np.testing.assert_allclose(bits.mean(axis=0), 0.5, atol=5 * 0.5 / np.sqrt(len(index)))
    np.testing.assert_array_equal(random_index(1, 7), index[7])
    assert not np.array_equal(random_index(1, 7, attempt=1), index[7])


def test_stream_index_is_a_jump_and_streams_do_not_know_of_each_other() -> None:
    import calzone

    one = calzone.Random(5)
    one.index = [0, 1000]
    np.testing.assert_array_equal(one.uniform01(3), calzone.Random(5).uniform01(1003)[1000:])
    draws = np.empty((2000, 4))
    for i, row in enumerate(draws):
        one.index = [int(word) for word in random_index(1, i)]
        row[:] = one.uniform01(4)
    assert np.abs(draws.mean(axis=0) - 0.5).max() < 4.5 / np.sqrt(12 * len(draws))
    same_place = np.corrcoef(np.vstack([draws[:-1].T, draws[1:].T]))
    assert np.abs(same_place - np.eye(8)).max() < 4.5 / np.sqrt(len(draws))


# Showers


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(("particle", "energy"), [("gamma", "0.2:2"), ("pi+", "1:20")])
def test_shower_depends_on_seed_and_index_alone(particle: str, energy: str) -> None:
    what = source(particle, energy, readouts=(CALOGAN, VOXELS), beam=Beam(30.0, (0.0, 20.0)))
    together = what.block(0, 8).parts
    what.block(20, 2)
    for again in (what.block(5, 3), what.block(7, 1), in_fresh_process(what, 6, 2)):
        for whole, part in zip(together, again.parts, strict=True):
            assert_same(whole[8 - len(part) :], part)


@pytest.mark.usefixtures("tables")
def test_energy_is_conserved_and_readouts_agree() -> None:
    cells, voxels = source("gamma", "1:3", readouts=(CALOGAN, VOXELS)).block(0, 12).parts
    assert cells.overflow is not None
    assert voxels.overflow is not None
    assert cells.leakage is not None
    recorded = cells.total_energy + cells.overflow.sum(axis=1)
    np.testing.assert_allclose(
        recorded, voxels.total_energy + voxels.overflow.sum(axis=1), rtol=1e-6
    )
    balance = (recorded + cells.leakage) / (1000 * cells.energy)
    assert balance.max() < 1 + 1e-6
    assert balance.min() > 0.97  # photonuclear reactions use up binding energy
    assert np.count_nonzero(np.abs(balance - 1) < 1e-6) > 3  # most showers have none
    assert cells.leakage.mean() > 0
    assert cells.particle == "gamma"


@pytest.mark.usefixtures("tables")
def test_angle_and_entry_point_move_the_shower() -> None:
    straight, oblique, aside = (
        source(readouts=(CALOGAN, VOXELS), beam=beam).block(0, 10).parts
        for beam in (Beam(), Beam(0.0, (30.0, 30.0), (90.0, 90.0)), Beam(100.0))
    )
    y = [CALOGAN.centres[:, 1] @ showers[0].deposits.sum(axis=0) for showers in (straight, oblique)]
    total = straight[0].deposits.sum()
    assert abs(y[0] / total) < 5
    assert y[1] / total > 30
    assert aside[0].entry_point is not None
    entry = aside[0].entry_point
    front = CALOGAN.slices[0]
    deposits = aside[0].deposits[:, front]
    centre = deposits @ CALOGAN.centres[front] / deposits.sum(axis=1, keepdims=True)
    assert np.abs(centre[:, 1] - entry[:, 1]).max() < 20
    for _, voxels in (straight, oblique, aside):  # voxels are around the line of flight
        radius = np.hypot(*VOXELS.centres[:, :2].T)
        narrow = voxels.deposits[:, radius < 50].sum()
        assert narrow / voxels.deposits.sum() > 0.75


@pytest.mark.usefixtures("tables")
def test_insensitive_plates_record_nothing() -> None:
    plates = (Plate("G4_W", 3.5, sensitive=False), Plate("G4_Si", 0.5)) * 15
    layer = RectangularLayer((0.0, 60.0), (-50.0, 0.0, 50.0), (-50.0, 50.0))
    detector = Detector("W-Si", (layer,), Stack(plates, 200.0))
    (showers,) = Geant4Source(detector, gun("e-", "2"), 3).block(0, 5).parts
    assert showers.response.min() > 0.005
    assert showers.response.max() < 0.05


@pytest.mark.usefixtures("tables")
def test_particle_that_geant4_cannot_shoot(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(CaloforgeError, match="short-lived"):
        source("t").block(0, 1)
    with pytest.raises(CaloforgeError, match="PDG"):
        source("1000060120").block(0, 1)
    assert "simulated again" in caplog.text


@pytest.mark.usefixtures("tables")
def test_process_keeps_its_physics() -> None:
    source().block(0, 1)
    with pytest.raises(CaloforgeError, match="use a new process"):
        source(physics=PhysicsSettings("option1")).block(0, 1)


def test_shower_that_geant4_complains_about(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shots = []

    def shoot(_: Stack, __: PhysicsSettings, primaries: Primaries) -> Shot:
        shots.append(len(primaries.energy))
        if any(np.array_equal(row, random_index(1, 2)) for row in primaries.index):
            msg = "stuck track"
            raise ShotError(msg)
        leakage = primaries.index[:, 1] % np.uint64(1000)
        return Shot(Hits([], [], [], []), leakage.astype(float))

    monkeypatch.setattr("caloforge.fullsim.source.shoot", shoot)
    caplog.set_level(logging.WARNING)
    (showers,) = source().block(0, 4).parts
    expected = [random_index(1, i, attempt=int(i == 2))[1] % np.uint64(1000) for i in range(4)]
    np.testing.assert_array_equal(showers.leakage, expected)
    assert shots == [4, 1, 1, 1, 1, 1]
    assert "shower 2 is simulated again, Geant4 said: stuck track" in caplog.text


def test_geant4_is_silent_on_stdout(tables: Path) -> None:
    program = (
        "from caloforge.detector import load_detector\n"
        "from caloforge.incident.gun import Gun\n"
        "from caloforge.incident.spectrum import Spectrum\n"
        "from caloforge.fullsim import Geant4Source\n"
        "gun = Gun('mu-', Spectrum.parse('0.5'))\n"
        "Geant4Source(load_detector('calogan'), gun, 1).block(0, 1)\n"
        "print('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"done\n"

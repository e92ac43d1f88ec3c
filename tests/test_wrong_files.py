"""Files that are wrong are refused, in one sentence that names the file and says what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bad_files import LAYOUT, VALUES, arrays, spoilt, write
from caloforge.errors import CaloforgeError, DetectorError, FileFormatError, ParticleError
from caloforge.incident.spectrum import Spectrum
from caloforge.showers import (
    convert_file,
    inspect_file,
    open_showers,
    read_showers,
    split_file,
)


@pytest.mark.parametrize("case", LAYOUT)
def test_wrong_layout(tmp_path: Path, case: str) -> None:
    make, word = LAYOUT[case]
    path = tmp_path / "bad.h5"
    make(path)
    for use in (open_showers, read_showers, inspect_file):
        with pytest.raises(FileFormatError) as error:
            use(path)
        message = str(error.value)
        assert str(path) in message
        assert word in message
        assert "\n" not in message


@pytest.mark.parametrize("case", VALUES)
def test_wrong_values(tmp_path: Path, case: str) -> None:
    make, word = VALUES[case]
    path = tmp_path / "bad.h5"
    make(path)
    target = tmp_path / "new.h5"
    for use in (
        lambda: read_showers(path),
        lambda: convert_file(path, target, format="calochallenge"),
        lambda: split_file(path, target),
    ):
        with pytest.raises(CaloforgeError) as error:
            use()
        message = str(error.value)
        assert str(path) in message
        assert word in message
        assert "\n" not in message
    assert [item.name for item in tmp_path.iterdir()] == ["bad.h5"]


@pytest.mark.parametrize("case", [case for case in VALUES if case != "damaged"])
def test_inspection_counts_wrong_values(tmp_path: Path, case: str) -> None:
    make, _ = VALUES[case]
    make(tmp_path / "bad.h5")
    report = inspect_file(tmp_path / "bad.h5")
    assert report.count == 4
    assert any("1 showers have values that are" in problem for problem in report.problems)


def test_damaged_energies(tmp_path: Path) -> None:
    make, word = VALUES["damaged"]
    make(tmp_path / "bad.h5")
    with pytest.raises(FileFormatError, match=word):
        inspect_file(tmp_path / "bad.h5")
    with pytest.raises(FileFormatError, match=word):
        Spectrum.parse(f"file:{tmp_path / 'bad.h5'}")


@pytest.mark.parametrize("key", ["leakage", "entry_point", "direction"])
def test_inspection_looks_at_everything(tmp_path: Path, key: str) -> None:
    shape = {"leakage": (4,), "entry_point": (4, 2), "direction": (4, 3)}[key]
    values = np.full(shape, 0.5)
    values.flat[3] = np.nan
    write(tmp_path / "bad.h5", arrays() | {key: values})
    report = inspect_file(tmp_path / "bad.h5")
    assert "1 showers have values that are not a number" in report.problems


def test_signs_of_positions_are_no_problem(tmp_path: Path) -> None:
    write(tmp_path / "good.h5", arrays() | {"entry_point": np.full((4, 2), -3.0)}, particle="e+")
    assert not any("negative" in text for text in inspect_file(tmp_path / "good.h5").problems)


def test_row_is_named_in_late_blocks(tmp_path: Path) -> None:
    content = arrays(1500)
    content["layer_2"][1300, 0, 0] = np.nan
    write(tmp_path / "bad.h5", content)
    with pytest.raises(CaloforgeError, match="rows from 1024: deposits: shower 276 "):
        convert_file(tmp_path / "bad.h5", tmp_path / "new.h5")
    with open_showers(tmp_path / "bad.h5") as file:
        assert len(file.read(0, 1300)) == 1300


@pytest.mark.parametrize(
    ("attributes", "error", "word"),
    [
        ({"caloforge_detector": "{"}, DetectorError, "not valid JSON"),
        ({"caloforge_detector": "{}"}, DetectorError, "name: is missing"),
        ({"caloforge_detector": 5}, DetectorError, "bad.h5"),
        ({"caloforge_run": "[]"}, FileFormatError, "caloforge_run"),
        ({"particle": "quark"}, ParticleError, "quark"),
        ({"particle": np.arange(3)}, ParticleError, "0 1 2"),
    ],
)
def test_wrong_attributes(
    tmp_path: Path, attributes: dict[str, object], error: type[CaloforgeError], word: str
) -> None:
    write(tmp_path / "bad.h5", arrays(), **attributes)
    with pytest.raises(error, match=word):
        read_showers(tmp_path / "bad.h5")


def test_attributes_may_be_bytes_and_numbers(tmp_path: Path) -> None:
    for name in (np.bytes_(b"e+"), -11, "e+"):
        write(tmp_path / "good.h5", arrays(), particle=name)
        assert read_showers(tmp_path / "good.h5").particle == "e+"


def test_file_is_closed_after_a_refusal(tmp_path: Path) -> None:
    spoilt("energy", -1.0)(tmp_path / "bad.h5")
    for _ in range(3):
        with pytest.raises(CaloforgeError):
            read_showers(tmp_path / "bad.h5")
    write(tmp_path / "bad.h5", arrays())  # HDF5 refuses to write a file that is open
    assert len(read_showers(tmp_path / "bad.h5")) == 4

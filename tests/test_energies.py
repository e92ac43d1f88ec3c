"""Spectra of incident energies: what is written on the command line."""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.detector import load_detector
from caloforge.errors import CaloforgeError, EnergyError
from caloforge.incident.spectrum import Spectrum
from caloforge.showers import Showers, write_showers

energies = st.floats(1e-6, 1e6)


@given(values=st.lists(energies, min_size=1, max_size=5))
def test_list(values: list[float]) -> None:
    spectrum = Spectrum.parse(",".join(map(repr, values)))
    assert spectrum.values == tuple(values)
    assert (spectrum.minimum, spectrum.maximum) == (min(values), max(values))
    assert spectrum.mean == pytest.approx(np.mean(values))
    drawn = spectrum.sample(1, 3, 12)
    assert drawn.tolist() == [values[i % len(values)] for i in range(3, 15)]


@given(
    ends=st.tuples(energies, energies), kind=st.sampled_from(["", "log:"]), seed=st.integers(0, 9)
)
def test_interval(ends: tuple[float, float], kind: str, seed: int) -> None:
    low, high = ends
    text = f" {kind}{low!r}:{high!r}"
    if low >= high:
        with pytest.raises(EnergyError, match="LOW < HIGH"):
            Spectrum.parse(text)
        return
    spectrum = Spectrum.parse(text)
    assert (spectrum.minimum, spectrum.maximum, spectrum.finite) == (low, high, False)
    drawn = spectrum.sample(seed, 0, 20)
    assert ((drawn >= low) & (drawn <= high)).all()
    np.testing.assert_array_equal(spectrum.sample(seed, 7, 5), drawn[7:12])
    assert (
        not np.array_equal(spectrum.sample(seed + 1, 0, 20), drawn) or np.ptp(drawn) < 1e-9 * high
    )


def test_distributions() -> None:
    uniform = Spectrum.parse("1:100").sample(5, 0, 4000)
    log = np.log(Spectrum.parse("log:1:1000").sample(5, 0, 4000)) / math.log(1000)
    for u in ((uniform - 1) / 99, log):
        counts, _ = np.histogram(u, 10, (0, 1))
        assert ((counts - 400) ** 2 / 400).sum() < 28  # chi2 of 9, p = 0.001
    assert Spectrum.parse("1:100").mean == 50.5
    assert np.mean(Spectrum.parse("log:1:1000").sample(5, 0, 4000)) == pytest.approx(
        Spectrum.parse("log:1:1000").mean, rel=0.08
    )


def test_energies_do_not_change() -> None:
    assert Spectrum.parse("1:100").sample(1, 0, 3).tolist() == pytest.approx(
        [31.053235396369104, 36.45333391857019, 94.62207468389077], rel=1e-14
    )
    assert Spectrum.parse("log:1:1000").sample(1, 5, 2).tolist() == pytest.approx(
        [5.369844673520152, 291.40947135594007], rel=1e-14
    )


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "fifty", "0", "-1", "1,-2", "nan", "inf", "1e999", "1,,2", "1,", ",", "1;2",
        ":", "1:", ":5", "5:1", "5:5", "0:5", "-5:5", "1:inf", "1:nan", "1:2:3", "1:2,3:4",
        "log:", "log:5", "log:0:5", "log:1:2:3", "log:log:1:2", "lin:1:2", "file:", "50 GeV",
    ],
)  # fmt: skip
def test_wrong(text: str) -> None:
    with pytest.raises(EnergyError) as error:
        Spectrum.parse(text)
    message = str(error.value)
    assert message.startswith("energy: ")
    assert "\n" not in message
    assert "50 | 1,2,4 | 1:100 | log:1:1000 | file:PATH" in message


@given(text=st.text(alphabet="0123456789.,:-+einfalogx ", max_size=12))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    try:
        spectrum = Spectrum.parse(text)
    except EnergyError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
    else:
        assert all(math.isfinite(value) and value > 0 for value in spectrum.values)


def test_given_energies() -> None:
    spectrum = Spectrum.of([[3.0], [1.0], [2.0]])
    assert spectrum.sample(1, 1, 2).tolist() == [1.0, 2.0]
    with pytest.raises(EnergyError, match="holds 3 energies, 4 showers were asked for"):
        spectrum.sample(1, 0, 4)
    for wrong in ([], [1.0, 0.0], [np.nan], [np.inf], [-1.0]):
        with pytest.raises(EnergyError):
            Spectrum.of(wrong)


def test_description_tells_spectra_apart(tmp_path: Path) -> None:
    texts = ["1", "2", "1,2", "2,1", "1:2", "log:1:2", "1:3"]
    descriptions = [Spectrum.parse(text).describe() for text in texts]
    assert len(set(descriptions)) == len(texts)
    assert Spectrum.parse("1.0:2e0").describe() == Spectrum.parse("1:2").describe()
    for name, content in (("a.txt", "1\n2\n"), ("b.txt", "1.0 2.0")):
        (tmp_path / name).write_text(content)
    one, other = (
        Spectrum.parse(f"file:{tmp_path / name}").describe() for name in ("a.txt", "b.txt")
    )
    assert one == other  # the energies count, not where they were written


def test_file_of_text(tmp_path: Path) -> None:
    path = tmp_path / "energies.txt"
    path.write_text("10\n20.5\n\n3e1\n")
    spectrum = Spectrum.parse(f"file:{path}")
    assert spectrum.sample(9, 0, 3).tolist() == [10, 20.5, 30]
    assert spectrum.finite
    with pytest.raises(EnergyError, match="holds 3 energies"):
        spectrum.sample(9, 3, 1)


def test_file_of_showers(tmp_path: Path) -> None:
    path = tmp_path / "showers.h5"
    calogan = load_detector("calogan")
    write_showers(path, Showers(calogan, np.array([5.0, 7.0]), np.zeros((2, 504), np.float32)))
    assert Spectrum.parse(f"file:{path}").values == (5.0, 7.0)
    voxels = tmp_path / "voxels.h5"
    one = Showers(load_detector("lar-voxels"), np.array([5.0]), np.zeros((1, 363), np.float32))
    write_showers(voxels, one)
    assert Spectrum.parse(f"file:{voxels}").values == (5.0,)  # MeV in the file


def test_wrong_files(tmp_path: Path) -> None:
    for name, content in {
        "words.txt": b"ten\n",
        "empty.txt": b"",
        "negative.txt": b"5\n-1\n",
        "nan.txt": b"nan\n",
        "bytes.txt": b"\xff\xfe\n",
        "broken.h5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(CaloforgeError) as error:
            Spectrum.parse(f"file:{path}")
        assert name in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(EnergyError, match="there is no file"):
        Spectrum.parse(f"file:{tmp_path}/none.txt")
    with pytest.raises(EnergyError, match="there is no file"):
        Spectrum.parse(f"file:{tmp_path}")
    with h5py.File(tmp_path / "negative.h5", "w") as file:
        file["energy"] = [[-5.0]]
        for i, layer in enumerate(load_detector("calogan").layers):
            file[f"layer_{i}"] = np.zeros((1, *layer.shape))
    with pytest.raises(EnergyError, match="positive"):
        Spectrum.parse(f"file:{tmp_path / 'negative.h5'}")

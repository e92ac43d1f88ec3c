"""Normal numbers: the formula of docs/random-numbers.md, in Python and in C; their distribution."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import expon, kstest, norm, uniform

from caloforge.random import Purpose, Streams, _normal_pairs
from conftest import CI, ROOT

PAGE = ROOT / "docs/random-numbers.md"
VECTORS: list[dict[str, Any]] = json.loads(PAGE.with_suffix(".json").read_text("utf-8"))
CALL = ("seed", "shower", "purpose", "attempt")

MAIN = """
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    const uint64_t seed = strtoull(argv[1], 0, 10), shower = strtoull(argv[2], 0, 10);
    const uint64_t purpose = strtoull(argv[3], 0, 10), attempt = strtoull(argv[4], 0, 10);
    const int count = atoi(argv[5]);
    float z[1000];
    for (int i = 0; 2 * i < count; i++) {
        const uint64_t key[2] = {seed, 0};
        const uint64_t counter[4] = {1 + (uint64_t)i / 4, shower, purpose, attempt};
        uint64_t word[4];
        philox(counter, key, word);
        printf("%llu\\n", (unsigned long long)word[i % 4]);
    }
    normal(seed, shower, purpose, attempt, count, z);
    for (int i = 0; i < count; i++)
        printf("%.9g\\n", z[i]);
    return argc != 6;
}
"""


def streams_of(vector: dict[str, Any]) -> Streams:
    purpose = Purpose(vector["purpose"])
    return Streams(vector["seed"], np.array([vector["shower"]]), purpose, vector["attempt"])


def words_of(vector: dict[str, Any]) -> list[int]:
    return [int(word, 16) for word in vector["words"]]


def formula(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """What the page says, in double precision behind u and t."""
    high, low = (words >> np.uint64(32)).astype(np.float32), words.astype(np.uint32)
    u = (high + np.float32(0.5)) * np.float32(2**-32)
    t = low.astype(np.float32) * np.float32(1.46291812e-9)
    radius, angle = np.sqrt(-2 * np.log(u.astype(np.float64))), t.astype(np.float64)
    both = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return both.reshape(*words.shape[:-1], -1)


def of_words(words: NDArray[np.uint64]) -> NDArray[np.float32]:
    drawn = np.empty((len(words), 2 * words.shape[1]), np.float32)
    _normal_pairs(words, drawn)
    return drawn


# --- the same numbers in any language -----------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str([vector[k] for k in CALL]))
def test_vectors(vector: dict[str, Any]) -> None:
    """Who changes these changes every shower that anybody ever made with a network."""
    count = len(vector["words"])
    assert streams_of(vector).words(count)[0].tolist() == words_of(vector)
    normal = streams_of(vector).normal(2 * count)
    assert normal.dtype == np.float32
    np.testing.assert_allclose(normal[0], vector["normal"], atol=1e-6, rtol=0)


def test_numbers_on_the_page() -> None:
    text = PAGE.read_text("utf-8")
    rows = re.findall(r"^\| `(0x\w+)` \| (\S+), (\S+) \|$", text, re.MULTILINE)
    (vector,) = [each for each in VECTORS if [each[name] for name in CALL] == [1, 7, 2, 0]]
    assert [row[0] for row in rows] == vector["words"]
    numbers = [float(number) for row in rows for number in row[1:]]
    np.testing.assert_allclose(numbers, vector["normal"], atol=1e-6, rtol=0)


@pytest.fixture(scope="module", params=["gcc -std=c99 -O2", "g++ -std=c++11 -O3 -march=native"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C of the page, with a main function."""
    compiler, *options = request.param.split()
    if shutil.which(compiler) is None:
        if CI:
            pytest.fail(f"{compiler} is missing, in CI it must be there")
        pytest.skip(f"{compiler} is missing")
    (code,) = re.findall(r"```c\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    folder = tmp_path_factory.mktemp("c")
    source = folder / ("normal.c" if compiler == "gcc" else "normal.cc")
    source.write_text(code + MAIN, "utf-8")
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    command = [compiler, *options, *strict, str(source), "-o", str(folder / "normal"), "-lm"]
    subprocess.run(command, check=True)
    return folder / "normal"


def by_program(program: Path, *arguments: int) -> tuple[list[int], list[float]]:
    command = [str(program), *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = done.stdout.split()
    words = -(-arguments[-1] // 2)
    return [int(line) for line in lines[:words]], [float(line) for line in lines[words:]]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str([vector[k] for k in CALL]))
def test_c_of_the_page_draws_the_vectors(program: Path, vector: dict[str, Any]) -> None:
    arguments = [vector[name] for name in CALL]
    words, normal = by_program(program, *arguments, 2 * len(vector["words"]))
    assert words == words_of(vector)
    np.testing.assert_allclose(normal, vector["normal"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 531])
def test_c_of_the_page_draws_what_caloforge_draws(program: Path, count: int) -> None:
    words, normal = by_program(program, 17, 3, 2, 0, count)
    streams = Streams(17, np.array([3]), Purpose.GENERATOR)
    assert words == streams.words(-(-count // 2))[0].tolist()
    np.testing.assert_allclose(normal, streams.normal(count)[0], atol=1e-6, rtol=0)


def test_precision() -> None:
    words = Streams(2, np.arange(200), Purpose.GENERATOR).words(5000)
    assert np.abs(of_words(words) - formula(words)).max() < 1e-6


def test_ends_of_the_range() -> None:
    ends = [0, 1, 2**31, 2**32 - 1, 2**32 - 127, 2**24 + 1]
    words = np.array([[high << 32 | low for high in ends for low in ends]], np.uint64)
    with np.errstate(all="raise"):
        drawn = of_words(words)
    assert np.isfinite(drawn).all()
    np.testing.assert_allclose(drawn, formula(words), atol=1e-6, rtol=0)
    assert np.abs(drawn).max() == pytest.approx(np.sqrt(66 * np.log(2)), abs=1e-6)
    assert (of_words(np.array([[(2**32 - 1) << 32]], np.uint64)) == 0).all()


# --- one shower, whatever the others ------------------------------------------------------------


def test_batch_and_count_have_no_influence_bit_by_bit() -> None:
    """Vector instructions take numbers in fours or sixteens, and what is left over otherwise."""
    showers = np.arange(50) * 3
    whole = Streams(3, showers, Purpose.GENERATOR).normal(1100)
    for count in (*range(71), 127, 128, 129, 255, 531, 1000, 1099):
        for rows in (slice(0, 1), slice(7, 8), slice(3, 5), slice(1, 4), slice(0, 49), slice(50)):
            drawn = Streams(3, showers[rows], Purpose.GENERATOR).normal(count)
            np.testing.assert_array_equal(drawn.view(np.int32), whole[rows, :count].view(np.int32))


def test_long_and_many_streams_are_cut_into_pieces_without_a_trace() -> None:
    many = Streams(4, np.arange(2000), Purpose.GENERATOR).normal(31)
    long = Streams(4, np.arange(3), Purpose.GENERATOR).normal(100_001)
    np.testing.assert_array_equal(many[:3], long[:, :31])
    last = Streams(4, np.array([1999]), Purpose.GENERATOR).normal(31)
    np.testing.assert_array_equal(many[1999:], last)
    single = Streams(4, np.array([2]), Purpose.GENERATOR).words(50_001)
    np.testing.assert_array_equal(of_words(single)[:, :100_001], long[2:])


def test_threads_do_not_disturb_each_other() -> None:
    streams = [Streams(seed, np.arange(40), Purpose.GENERATOR) for seed in range(60)]
    expected = [each.normal(201) for each in streams]
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(lambda each: each.normal(201), streams * 5))
    for i, numbers in enumerate(drawn):
        np.testing.assert_array_equal(numbers, expected[i % 60])


# --- their distribution -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample() -> NDArray[np.float64]:
    """Two million numbers, of 4,000 showers."""
    return Streams(1, np.arange(4000), Purpose.GENERATOR).normal(500).astype(np.float64)


def test_moments(sample: NDArray[np.float64]) -> None:
    # Errors of the moments of n normal numbers: variances 1, 2, 15, 96 over n.
    for power, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        error = np.sqrt(variance / sample.size)
        assert abs((sample**power).mean() - expected) < 4 * error, power


def test_kolmogorov_smirnov(sample: NDArray[np.float64]) -> None:
    for part in (sample, sample[:, 0::2], sample[:, 1::2], sample[:, 0], sample[0]):
        assert kstest(part.ravel(), norm.cdf).pvalue > 1e-3


def test_tails(sample: NDArray[np.float64]) -> None:
    for limit in (2.0, 3.0, 4.0):
        expected = 2 * norm.sf(limit) * sample.size
        assert abs(np.sum(np.abs(sample) > limit) - expected) < 4 * np.sqrt(expected)


def test_radius_and_angle_of_pairs(sample: NDArray[np.float64]) -> None:
    x, y = sample[:, 0::2].ravel(), sample[:, 1::2].ravel()
    assert kstest((x**2 + y**2) / 2, expon.cdf).pvalue > 1e-3
    assert kstest(np.arctan2(y, x) / (2 * np.pi) + 0.5, uniform.cdf).pvalue > 1e-3


def test_neighbours_are_independent(sample: NDArray[np.float64]) -> None:
    """In a word, in a block, in the next block, in the next shower, attempt, seed, purpose."""
    others = [
        Streams(1, np.arange(4000), Purpose.GENERATOR, attempt=1),
        Streams(2, np.arange(4000), Purpose.GENERATOR),
        Streams(1, np.arange(4000), Purpose.VALIDATION),
    ]
    pairs = [(sample[:, :-lag], sample[:, lag:]) for lag in (1, 2, 3, 4, 7, 8, 16)]
    pairs += [(sample[:-lag], sample[lag:]) for lag in (1, 2, 64)]
    pairs += [(sample, each.normal(500).astype(np.float64)) for each in others]
    for first, second in pairs:
        for function in (np.asarray, np.abs, np.square):
            a, b = function(first).ravel(), function(second).ravel()
            correlation = np.mean((a - a.mean()) * (b - b.mean())) / (a.std() * b.std())
            assert abs(correlation) < 4 / np.sqrt(a.size)


def test_all_columns_are_uncorrelated(sample: NDArray[np.float64]) -> None:
    correlation = np.asarray(np.corrcoef(sample[:, :100].T))[np.triu_indices(100, 1)]
    assert kstest(correlation * np.sqrt(len(sample)), norm.cdf).pvalue > 1e-3

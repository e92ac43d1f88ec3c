"""Random numbers: streams that know of nothing but seed, shower and purpose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError
from caloforge.random import Purpose, Streams, check_seed, shower_words, stream

seeds = st.integers(0, 2**63 - 1)
showers = st.integers(0, 2**40)
purposes = st.sampled_from(Purpose)


@pytest.mark.parametrize(
    ("seed", "shower", "purpose", "words", "normal"),
    [
        (0, 0, 0, [213000021201967259, 4455796210202625458], 0.15929546600623282),
        (1, 7, 0, [14978465918900430990, 15324879033696603463], 0.8090699217212791),
        (1, 7, 2, [5327142660879514595, 6022695245603914764], -0.7579284659055769),
        (2**63 - 1, 10**9, 4, [10303218778883938420, 842296742137462528], 0.681193696129739),
    ],
)
def test_streams_do_not_change(
    seed: int, shower: int, purpose: int, words: list[int], normal: float
) -> None:
    """Who changes these numbers changes every shower that anybody ever made with a seed."""
    assert shower_words(seed, shower, Purpose(purpose), 2).tolist() == words
    assert stream(seed, Purpose(purpose), shower).standard_normal() == normal


def test_purposes_keep_their_numbers() -> None:
    assert {purpose.name: int(purpose) for purpose in Purpose} == {
        "ENERGY": 0,
        "BEAM": 1,
        "GENERATOR": 2,
        "GEANT4": 3,
        "CONVERSION": 4,
        "INITIALISATION": 5,
        "ORDER": 6,
        "TRAINING": 7,
        "VALIDATION": 8,
        "SPLIT": 9,
        "EXPORT": 10,
        "SELECTION": 11,
        "CALIBRATION": 12,
        "FLOOR": 13,
        "MATCHING": 14,
        "JUDGE": 15,
        "CLASSIFIER": 16,
        "TREES": 17,
        "TRANSFER": 18,
        "CONDITIONAL": 19,
        "CLOSURE": 20,
        "FAULT": 21,
        "EVENT": 22,
        "MEMBER": 23,
        "LOSS": 24,
        "HEADLINE": 25,
    }


@given(seed=seeds, shower=showers, purpose=purposes)
def test_rng_draws_the_words(seed: int, shower: int, purpose: Purpose) -> None:
    words = shower_words(seed, shower, purpose, 3)
    assert words.dtype == np.uint64
    assert words.shape == (3,)
    drawn = stream(seed, purpose, shower).integers(0, 2**64, 3, dtype=np.uint64)
    np.testing.assert_array_equal(words, drawn)
    np.testing.assert_array_equal(shower_words(seed, shower, purpose, 5)[:3], words)


@given(keys=st.lists(st.tuples(seeds, showers, purposes), min_size=2, max_size=6, unique=True))
def test_streams_differ(keys: list[tuple[int, int, Purpose]]) -> None:
    first = {tuple(shower_words(*key, 4).tolist()) for key in keys}
    assert len(first) == len(keys)


def test_streams_are_not_correlated() -> None:
    u = np.array([stream(1, Purpose.BEAM, i).random(8) for i in range(2000)])
    assert abs(u.mean() - 0.5) < 5 / np.sqrt(12 * u.size)
    correlation = np.corrcoef(u.T)[np.triu_indices(8, 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(len(u))
    between = [np.corrcoef(u[:-1, i], u[1:, i])[0, 1] for i in range(8)]  # neighbouring showers
    assert np.abs(between).max() < 5 / np.sqrt(len(u))


def test_drawing_from_one_stream_leaves_the_others_alone() -> None:
    one, other = (stream(3, Purpose.GENERATOR, i) for i in (0, 1))
    one.standard_normal(1_000_003)
    fresh = stream(3, Purpose.GENERATOR, 1)
    np.testing.assert_array_equal(other.random(5), fresh.random(5))


def test_global_state_is_not_touched() -> None:
    before = str(np.random.get_state())  # noqa: NPY002
    stream(1, Purpose.ENERGY, 2).random(10)
    assert str(np.random.get_state()) == before  # noqa: NPY002


@pytest.mark.parametrize("seed", [-1, 2**63, 10**30, 1.5, float("nan"), "1"])
def test_wrong_seed(seed: int) -> None:
    for call in (
        lambda: check_seed(seed),
        lambda: stream(seed, Purpose.ENERGY, 0),
        lambda: shower_words(seed, 0, Purpose.ENERGY, 1),
    ):
        with pytest.raises(CaloforgeError, match="seed: got"):
            call()


def test_seeds_of_numpy() -> None:
    assert check_seed(int(np.int64(5))) == 5
    np.testing.assert_array_equal(
        shower_words(np.int64(5), 0, Purpose.BEAM, 2),  # type: ignore[arg-type]
        shower_words(5, 0, Purpose.BEAM, 2),
    )


@given(
    seed=seeds,
    indices=st.lists(showers, max_size=5),
    purpose=purposes,
    count=st.integers(0, 40),
)
def test_streams_of_many_showers_are_those_of_each(
    seed: int, indices: list[int], purpose: Purpose, count: int
) -> None:
    streams = Streams(seed, np.array(indices, dtype=np.int64), purpose)
    drawn = streams.normal(count)
    assert drawn.shape == (len(indices), count)
    np.testing.assert_array_equal(drawn, streams.normal(count))
    words, uniform = streams.words(count), streams.uniform(count)
    for i, (shower, rng) in enumerate(zip(indices, streams.generators(), strict=True)):
        alone = Streams(seed, np.array([shower]), purpose)
        np.testing.assert_array_equal(drawn[i], alone.normal(count)[0])
        np.testing.assert_array_equal(words[i], shower_words(seed, shower, purpose, count))
        np.testing.assert_array_equal(uniform[i], stream(seed, purpose, shower).random(count))
        assert rng.random() == stream(seed, purpose, shower).random()


@given(
    keys=st.lists(st.tuples(seeds, showers), max_size=5),
    purpose=purposes,
    attempt=st.integers(0, 99),
)
def test_a_seed_for_each_shower(
    keys: list[tuple[int, int]], purpose: Purpose, attempt: int
) -> None:
    """What a server needs, which makes the showers of several users at once."""
    mixed, indices = np.array(keys, dtype=np.int64).reshape(-1, 2).T
    streams = Streams(mixed, indices, purpose, attempt)
    normal, words, uniform = streams.normal(5), streams.words(5), streams.uniform(5)
    for i, ((seed, shower), rng) in enumerate(zip(keys, streams.generators(), strict=True)):
        alone = Streams(seed, np.array([shower]), purpose, attempt)
        np.testing.assert_array_equal(normal[i], alone.normal(5)[0])
        np.testing.assert_array_equal(words[i], alone.words(5)[0])
        np.testing.assert_array_equal(uniform[i], alone.uniform(5)[0])
        assert rng.random() == alone.generators()[0].random()
    some = np.arange(len(keys))[::2]
    np.testing.assert_array_equal(streams.rows(some).normal(5), normal[some])
    np.testing.assert_array_equal(streams.rows(slice(1, 3)).words(5), words[1:3])
    again = streams.rows(some, attempt=100)
    np.testing.assert_array_equal(
        again.normal(5), Streams(mixed[some], indices[some], purpose, 100).normal(5)
    )


def test_rows_of_one_seed() -> None:
    streams = Streams(3, np.arange(10), Purpose.GENERATOR)
    np.testing.assert_array_equal(streams.rows(slice(2, 4)).normal(3), streams.normal(3)[2:4])
    assert streams.rows(np.array([5]), attempt=7).attempt == 7


def test_each_attempt_has_numbers_of_its_own() -> None:
    first, second = (Streams(1, np.arange(3), Purpose.GENERATOR, attempt) for attempt in (0, 1))
    assert np.abs(first.normal(8) - second.normal(8)).min() > 0
    philox = np.random.Philox(counter=[0, 2, 2, 1], key=[1, 0])
    by_hand = np.random.Generator(philox).standard_normal(8)
    np.testing.assert_array_equal(second.generators()[2].standard_normal(8), by_hand)
    philox = np.random.Philox(counter=[0, 2, 2, 1], key=[1, 0])
    np.testing.assert_array_equal(second.words(8)[2], philox.random_raw(8))


def test_wrong_seed_of_streams() -> None:
    streams = Streams(-1, np.arange(1), Purpose.BEAM)
    for each in (streams, Streams(np.array([3, -1]), np.arange(2), Purpose.BEAM)):
        with pytest.raises(CaloforgeError, match="seed: got -1"):
            each.normal(1)
        with pytest.raises(CaloforgeError, match="seed: got -1"):
            each.uniform(1)
        with pytest.raises(CaloforgeError, match="seed: got -1"):
            each.generators()


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (
            np.array([1, 2, 3]),
            r"seed: has shape \(3,\), must be one number or one for each of",
        ),
        (np.array([[1, 2]]), r"seed: has shape \(1, 2\)"),
        (np.array([1.0, 2.0]), r"seed: got 1.0"),
        (np.array([1, 2**63], dtype=np.uint64), "seed: got 9223372036854775808"),
    ],
)
def test_wrong_seeds_of_showers(seed: NDArray[np.int64], message: str) -> None:
    with pytest.raises(CaloforgeError, match=message):
        Streams(seed, np.arange(2), Purpose.BEAM).normal(1)

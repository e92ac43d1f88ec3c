"""Names and identifiers of particles."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.errors import ParticleError
from caloforge.particles import particle_name, pdg_id

KNOWN = {
    "gamma": 22, "e-": 11, "e+": -11, "mu-": 13, "pi+": 211, "pi-": -211, "pi0": 111,
    "K+": 321, "K(L)0": 130, "p": 2212, "n": 2112, "n~": -2112, "D(s)+": 431,
}  # fmt: skip


@pytest.mark.parametrize(("name", "identifier"), KNOWN.items())
def test_both_ways(name: str, identifier: int) -> None:
    assert pdg_id(name) == pdg_id(identifier) == pdg_id(str(identifier)) == identifier
    assert pdg_id(f" {name} ") == identifier
    assert (
        particle_name(identifier) == particle_name(name) == particle_name(f"{identifier}") == name
    )


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("electron", "e-"),
        ("Positron", "e+"),
        ("photon", "gamma"),
        ("PROTON", "p"),
        ("neutron", "n"),
        ("muon", "mu-"),
        ("anti_proton", "p~"),
        ("kaon0L", "K(L)0"),
        ("kaon0S", "K(S)0"),
        ("piplus", "pi+"),
        ("eminus", "e-"),
    ],
)
def test_words(word: str, name: str) -> None:
    """What people and Geant4 call a particle is the PDG's name from then on."""
    assert particle_name(word) == name
    assert pdg_id(word) == pdg_id(name)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("gama", "did you mean gamma?"),
        ("electrom", "did you mean electron?"),
        ("PI+", "did you mean"),
        ("pion", "did you mean pi+ or pi-?"),
        ("Kaon", "did you mean K+, K- or K(L)0?"),
        ("e", "did you mean e+ or e-?"),
        ("quark", "use for example"),
        ("", "use for example"),
        ("0", "use for example"),
        ("-0", ""),
        ("99999999", "use for example"),
        ("10000000000000000000000000", "use for example"),
        ("+-11", ""),
        ("--11", ""),
        ("\u00b2", ""),
        ("11.0", ""),
        ("1e1", ""),
        ("*", ""),
    ],
)
def test_unknown(text: str, hint: str) -> None:
    with pytest.raises(ParticleError, match="is neither a PDG name nor a PDG identifier") as error:
        pdg_id(text)
    assert hint in str(error.value)
    assert repr(text) in str(error.value)


@settings(max_examples=10)
@given(text=st.text(max_size=6) | st.integers().map(str))
def test_whatever_is_written_is_known_or_refused(text: str) -> None:
    try:
        identifier = pdg_id(text)
    except ParticleError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
    else:
        assert pdg_id(particle_name(identifier)) == identifier

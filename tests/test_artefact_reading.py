"""A command reads the cards that it needs once, and hashes only what it loads."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import caloforge
from artefacts import make_artefact
from caloforge import provenance
from caloforge.runtime import artefact_names, best_artefact, card, find_artefact, load_card
from caloforge.runtime.card import Card
from conftest import Cli

ZOO = Path(caloforge.__file__).parent / "zoo"


class Spy:
    """Counts by folder: cards checked whole, cards parsed, files hashed."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.cards: Counter[str] = Counter()
        self.contents: Counter[str] = Counter()
        self.hashed: Counter[str] = Counter()
        read, content, sha256 = Card.read, card.read_content, provenance.file_sha256

        def spied_read(folder: Path) -> Card:
            self.cards[folder.name] += 1
            return read(folder)

        def spied_content(folder: Path) -> dict[str, object]:
            self.contents[folder.name] += 1
            return content(folder)

        def spied_sha256(path: Path) -> str:
            self.hashed[f"{path.parent.name}/{path.name}"] += 1
            return sha256(path)

        patch.setattr(Card, "read", spied_read)
        for module in ("card", "artefacts"):
            patch.setattr(f"caloforge.runtime.{module}.read_content", spied_content)
        for module in ("runtime.card", "web.page"):
            patch.setattr(f"caloforge.{module}.file_sha256", spied_sha256)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    return Spy(monkeypatch)


def test_generating_with_a_page(cli: Cli, spy: Spy, tmp_path: Path) -> None:
    line = "generate --particle e+ --energy 1:100 -n 20 --workers 1 --page page.html -o out.h5"
    words = [str(tmp_path / word) if word.endswith((".h5", ".html")) else word for word in
             line.split()]  # fmt: skip
    assert cli(*words).code == 0
    best = best_artefact("e+").name
    spy.contents.subtract(artefact_names())
    assert spy.cards == {best: 1}
    # The best is looked for in the cards of all that is shipped, once; of it are read the
    # particles, the whole card, and why it is the best.
    assert spy.contents == dict.fromkeys(artefact_names(), 1) | {best: 4}
    files = load_card(best).files
    expected = dict.fromkeys((f"{best}/{name}" for name in files), 1)
    (reference,) = {"reference-calogan.json", "reference-eplus-calogan.json"} & files.keys()
    assert spy.hashed == expected | {f"{best}/{reference}": 2}


def test_generating_by_name_or_folder(cli: Cli, spy: Spy, tmp_path: Path) -> None:
    tiny = make_artefact(tmp_path / "tiny")
    for model, name in (("calogan-eplus", "calogan-eplus"), (tiny, "tiny")):
        line = f"generate --model {model} --particle e+ --energy 5 -n 20 --workers 1 -o"
        assert cli(*line.split(), tmp_path / f"{name}.h5").code == 0
        assert spy.cards.pop(name) == 1
        assert spy.contents.pop(name) == 2  # its particles, and the whole card
        assert all(key.startswith(f"{name}/") for key in spy.hashed)
        assert set(spy.hashed.values()) == {1}
        spy.hashed.clear()
    assert not spy.cards
    assert not spy.contents


def test_looking_only(cli: Cli, spy: Spy) -> None:
    assert find_artefact("calogan", "gamma") == ZOO / "calogan-gamma"
    assert find_artefact("calogan-gamma") == ZOO / "calogan-gamma"
    assert not spy.cards
    assert cli("models", "list").code == 0
    assert spy.cards == dict.fromkeys(artefact_names(), 1)
    assert not spy.hashed

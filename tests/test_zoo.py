"""What is shipped: networks are those of the recipes that are shipped beside them."""

from __future__ import annotations

import pytest

from caloforge.models.systems import SYSTEMS
from caloforge.runtime import artefact_names, load_card
from caloforge.training import Recipe, recipe_names

TRAINED = [name for name in artefact_names() if load_card(name).system in SYSTEMS]


def test_every_network_has_its_recipe_and_every_recipe_its_network() -> None:
    assert recipe_names() == TRAINED
    assert len(TRAINED) >= 6


@pytest.mark.parametrize("name", TRAINED)
def test_a_network_is_that_of_its_recipe(name: str) -> None:
    card, recipe = load_card(name), Recipe.read(name)
    assert card.system == recipe.system
    assert card.particles == recipe.particles
    assert card.config == recipe.config.model_dump(mode="json")
    assert card.seed == recipe.seed
    files = [(item.file, item.split) for item in card.training]
    assert files == [(path.name, "train") for paths in recipe.data.values() for path in paths]
    assert recipe.command().split()[:3] == ["caloforge", "train", recipe.system]

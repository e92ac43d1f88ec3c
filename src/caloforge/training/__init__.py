"""Training: one loop for each kind of loss, and what they share."""

from caloforge.training.loop import Progress, train
from caloforge.training.recipe import Recipe, recipe_names
from caloforge.training.run import Run

__all__ = ["Progress", "Recipe", "Run", "recipe_names", "train"]

"""Recipes of the shipped artefacts."""

"""The artefacts that come with caloforge: one folder each, with its card."""

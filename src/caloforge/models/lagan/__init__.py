"""LAGAN: one layer as an image."""

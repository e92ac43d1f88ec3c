"""How far two samples are apart: one measure a file."""

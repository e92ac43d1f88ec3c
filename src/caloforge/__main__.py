"""``python -m caloforge``."""

from caloforge.cli import main

main()

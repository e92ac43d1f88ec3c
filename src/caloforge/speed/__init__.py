"""How fast generators are, and Geant4 beside them."""

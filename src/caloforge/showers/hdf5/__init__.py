"""How HDF5 is written: compressed chunks, and a disk that may become full."""

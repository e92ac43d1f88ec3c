"""What enters the detector: particles, their energies, where and how they enter."""

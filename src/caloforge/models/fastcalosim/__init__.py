"""FastCaloSim: longitudinal and lateral parametrisations of showers."""

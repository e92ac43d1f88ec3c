"""What pages show of a sample: histograms that are filled block by block."""

"""Published systems, one file each, readable beside its paper."""

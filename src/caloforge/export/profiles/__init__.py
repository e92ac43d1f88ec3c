"""Forms in which a generator leaves: one file each."""

"""Toys: one of each kind of thing that can be added, a file each. None is shipped."""

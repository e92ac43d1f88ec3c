"""Anvil: our own generator, which draws cells group by group, each knowing those before it."""

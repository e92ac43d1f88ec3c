"""CaloFlow: normalising flows of showers, a slow teacher and its fast student."""

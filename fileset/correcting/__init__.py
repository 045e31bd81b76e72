"""Correcting instances: wrong values put right, as one change that can be undone and explained."""

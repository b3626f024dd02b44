"""Measurements: `make bench` runs them all, one after the other; each can be run alone."""

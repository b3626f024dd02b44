"""Tests mirror the source; `tests/real` runs real programs, `tests/bench` measures."""

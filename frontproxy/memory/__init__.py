"""Where history lives: in memory while it is fresh, in an SQLite file for good; and the operator's pins beside it."""

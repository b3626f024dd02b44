"""What stands in a history file: a table of records, one of what was told already, one of settings; and views.

The views are for people (see `views`); nothing of ours reads them.
"""

from frontproxy.memory.views import VIEWS

APPLICATION = 0x66707879
"""Marks the file as ours (PRAGMA application_id): "fpxy"."""

VERSION = 3
"""The schema this code writes (PRAGMA user_version)."""

GOOD_HALF_LIFE, BAD_HALF_LIFE = "good_half_life", "bad_half_life"
"""Settings: the half-lives that the values in the records fade by, in seconds."""

TOLD_SINCE = "told_since"
"""A setting: see `told.Told.since`."""

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS history (key BLOB PRIMARY KEY, t REAL NOT NULL, n REAL NOT NULL, good REAL NOT NULL,"
    " bad REAL NOT NULL, more BLOB, provider BLOB) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS told (key INTEGER PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID",
    *VIEWS,
)
"""Statements that make what is not there yet."""

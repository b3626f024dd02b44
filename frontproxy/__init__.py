"""A front end for mail servers: it judges each client, then gives the session away.

`docs/design.md` has the picture of this package; arrows point down it, and import-linter holds them.
"""

__version__ = "0.1.0"

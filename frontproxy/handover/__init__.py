"""Giving a session away: to a backend of a pool, or back to its client with a reply."""

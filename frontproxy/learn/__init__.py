"""Feeds: how we hear of the ends of sessions. All of them speak outcome lines."""

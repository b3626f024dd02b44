"""Giving sessions away, with fake servers at real UNIX sockets."""

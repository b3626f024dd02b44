"""Real programs on loopback, with a real clock."""

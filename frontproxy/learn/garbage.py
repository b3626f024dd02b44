"""What is said to a feed that is not the protocol it speaks."""


class Garbage(ValueError):
    """What came is not the protocol; the text says why, for the log."""

"""What one session has done so far, counted as an outcome line counts it."""

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """Counts for a whole session; the names are those of `frontproxy.wire.outcome_line.OutcomeLine`."""

    messages: int = 0
    unverified: int = 0
    recipients: int = 0
    refused: int = 0
    relay: int = 0
    bad_commands: int = 0
    http: bool = False
    refused_with_sender: int = 0
    """Refused recipients that did not come with the null sender."""

    def refuse(self, *, relay: bool, null_sender: bool) -> None:
        """One recipient was refused for good."""
        self.refused += 1
        self.relay += relay
        self.refused_with_sender += not null_sender

    @property
    def null_sender(self) -> bool:
        """All refused recipients came with the null sender; one such must not excuse the others."""
        return self.refused > 0 and not self.refused_with_sender

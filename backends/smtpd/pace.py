"""Until when a client must have said its next word. No clock here: `now` is an argument, in seconds of any clock.

A command has `timeout` seconds from the moment we wait for it to the end of its line, however many bytes drip in
meanwhile. A message without `per_request_deadline` has `timeout` for each read, and for the whole ten times that; with
it, `timeout` for the whole. Either way every byte received earns 1/`min_data_rate` seconds more, as in Postfix never
beyond the budget it began with.
"""

from backends.smtpd.personality import Personality

_PATIENT = 10
"""Without a deadline per request a message may lag so many time-outs behind min_data_rate."""


class Pace:
    """The clock of one session's requests."""

    def __init__(self, personality: Personality, now: float) -> None:
        self._personality = personality
        self._request = -1
        self._content = False
        self._deadline = now

    def deadline(self, now: float, request: int, *, content: bool) -> float:
        """When the read that begins now has to end; `request` numbers the commands and messages of the session."""
        if (request, content) != (self._request, self._content):
            self._request, self._content = request, content
            self._deadline = now + self._budget()
        if content and not self._personality.per_request_deadline:
            return min(now + self._personality.timeout, self._deadline)
        return self._deadline

    def received(self, now: float, size: int) -> None:
        """So many bytes came; in a message they earn time."""
        if self._content:
            earned = self._deadline + size / self._personality.min_data_rate
            self._deadline = min(earned, now + self._budget())

    def _budget(self) -> float:
        timeout = self._personality.timeout
        return timeout * _PATIENT if self._content and not self._personality.per_request_deadline else timeout

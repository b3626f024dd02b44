"""The loop of the log feed: four looks a second at the log, its sessions told as outcome lines.

Not told are sessions without a port, which could be ours or not and would count twice, and those at services for users
who authenticate (`submission`, `submissions`, `smtps` in the name of the service): that somebody's telephone may send
mail is no reason to call its address a friend on port 25. Sessions of loopback clients, such as a content filter that
gives mail back, are told like others: they match no session of ours, and count as foreign.
"""

import contextlib
import os
import select
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, Protocol

from frontproxy.learn.reporter import Reporter
from frontproxy.lifeline import BEAT, ChildLog
from frontproxy.logs import LogReader, Seen

LOOK: Final = 0.25
"""Seconds between two looks at the log."""
_HURRY: Final = 0.01
"""The same, while there is more to be read than one look takes: frontproxy must be able to follow."""
PORTLESS: Final = 20
"""Sessions in a row without a port after which the mail server is thought to log none."""
_USERS: Final = frozenset({"submission", "submissions", "smtps"})
_PORTS: Final = {
    "exim": "Exim's configuration needs: log_selector = +incoming_port +smtp_connection",
    "postfix": "main.cf needs: smtpd_client_port_logging = yes",
}


class Source(Protocol):
    """Where the lines of a log come from."""

    @property
    def descriptor(self) -> int | None:
        """What to wait for; None for one that is looked at now and then."""

    @property
    def has_ended(self) -> bool:
        """There will be no more lines."""

    @property
    def is_behind(self) -> bool:
        """There is probably more to be read at once."""

    @property
    def trouble(self) -> str:
        """Why nothing can be read; empty if all is well."""

    @property
    def dropped(self) -> int:
        """Lines that were too long."""

    def read(self, now: float) -> Iterator[bytes]:
        """The lines that are complete now."""

    def close(self) -> None:
        """Let go of it."""


class MaillogLoop:
    """Follows one log, and tells how its sessions ended."""

    def __init__(
        self, source: Source, reader: LogReader, reporter: Reporter, log: ChildLog, lifeline: int | None = None
    ) -> None:
        """`lifeline` is a descriptor whose end-of-file means that we end; None for a life as long as the source's."""
        self._source = source
        self._reader = reader
        self._reporter = reporter
        self._log = log
        self._lifeline = lifeline
        self._poll = select.poll()
        self._is_wanted = True
        self._beat_due = self._look_due = 0.0
        self._said = ""
        self._portless = 0
        self._ports_lacking = ""
        self._not_understood = self._dropped = 0

    @property
    def is_wanted(self) -> bool:
        """There may be more to tell, and somebody who hears it."""
        has_more = not self._source.has_ended or (self._reporter.is_connected and self._reporter.due is not None)
        return self._is_wanted and has_more

    @property
    def trouble(self) -> str:
        """What keeps us from telling anything; empty if nothing does."""
        return self._source.trouble or self._ports_lacking

    def run(self) -> None:
        """Follow until the lifeline or the source ends."""
        self.begin(time.monotonic(), time.time())
        while self.is_wanted:
            self.wait(time.monotonic())
            self.work(time.monotonic(), time.time())
        self.close(time.monotonic())

    def begin(self, now: float, wall: float) -> None:
        """Look at the log for the first time; of a file this finds the end."""
        for descriptor in (self._lifeline, self._source.descriptor):
            if descriptor is not None:
                self._poll.register(descriptor, select.POLLIN)
        self._look(now, wall)
        self._log.say("feed_ready")

    def close(self, now: float) -> None:
        """Send what has been found, and let go of the log."""
        self._reporter.flush(now)
        self._reporter.close()
        self._source.close()

    def wait(self, now: float) -> None:
        """Wait until there is something to do; `now` is monotonic, in seconds."""
        due = min(self._beat_due, self._look_due)
        if self._reporter.due is not None:
            due = min(due, self._reporter.due)
        for descriptor, _event in self._poll.poll(max(0.0, due - now) * 1000):
            if descriptor == self._lifeline:
                self._hear_parent(descriptor)
            elif self._source.has_ended:
                self._poll.unregister(descriptor)
            else:
                self._look_due = 0.0

    def work(self, now: float, wall: float) -> None:
        """Do what is due; `wall` is in seconds since 1970."""
        if now >= self._look_due:
            self._look(now, wall)
        self._reporter.flush(now)
        if now >= self._beat_due:
            self._beat(now)

    def _look(self, now: float, wall: float) -> None:
        for line in self._source.read(now):
            if seen := self._reader.read(line):
                self._tell(seen, wall)
        self._look_due = now + (_HURRY if self._source.is_behind else LOOK)
        if self._said != self.trouble:
            self._said = self.trouble
            self._log.say("feed", state="trouble" if self._said else "well", why=self._said or None)

    def _tell(self, seen: Seen, wall: float) -> None:
        if not seen.line.port:
            self._portless += 1
            if self._portless >= PORTLESS:
                kind = "exim" if seen.service.startswith("exim") else "postfix"
                self._ports_lacking = f"sessions without their ports cannot be joined with ours; {_PORTS[kind]}"
            return
        self._portless, self._ports_lacking = 0, ""
        if _USERS.isdisjoint(seen.service.split("/")):
            # It was written just now. A chrooted smtpd may write another zone's time, and nothing ends in the future.
            self._reporter.add(replace(seen.line, ended=min(seen.line.ended, wall)))

    def _beat(self, now: float) -> None:
        """A sign of life, and what is said now and then."""
        self._beat_due = now + BEAT
        if self._lifeline is not None:
            self._log.say("alive", trouble=self.trouble or None)
        if self._reporter.dropped and self._reporter.is_connected:
            self._log.say("feed", state="dropped", lines=self._reporter.dropped)
            self._reporter.dropped = 0
        if self._source.dropped > self._dropped:
            self._log.often(now, "long_lines", so_far=self._source.dropped)
            self._dropped = self._source.dropped
        if self._reader.not_understood > self._not_understood:
            self._not_understood = self._reader.not_understood
            example = self._reader.examples[-1].decode("utf-8", "backslashreplace") if self._reader.examples else None
            self._reader.examples.clear()
            self._log.often(now, "not_understood", so_far=self._not_understood, example=example)

    def _hear_parent(self, lifeline: int) -> None:
        """End-of-file is all that it has to say: nobody wants to know more."""
        with contextlib.suppress(BlockingIOError):
            if not os.read(lifeline, 4096):
                self._is_wanted = False
                self._poll.unregister(lifeline)

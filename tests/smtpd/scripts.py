"""SMTP dialogs as text: reading the files of tests/dialogs, and the sans-I/O protocol playing its side.

The format is described in tests/dialogs/README.md.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from backends.smtpd.events import Closed, Content, Event, MessageBegun, MessageDropped, MessageEnded, NeedInput, Send
from backends.smtpd.personality import Layer, Personality, build, defaults
from backends.smtpd.protocol import Protocol
from backends.smtpd.recipients import Recipients

FOLDER = Path(__file__).parent.parent / "dialogs"
HOSTNAME = "mx.example.com"
_ESCAPE = re.compile(rb"(.)\\\*(\d+)|\\x([0-9a-f]{2})|\\([rn\\])", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a dialog: who, and what."""

    line: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Script:
    """One dialog."""

    steps: tuple[Step, ...]
    parameters: dict[str, object]
    table: frozenset[str] | None


def read(path: Path) -> Script:
    """The dialog in a file."""
    steps, parameters = [], {}
    table = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("set: "):
            name, _, value = line[5:].partition(" = ")
            parameters[name] = {"true": True, "false": False}.get(value, value)
        elif line.startswith("recipients: "):
            table = frozenset(line.split()[1:])
        elif line and line[0] != "#":
            steps.append(Step(number, line[:2], line[3:]))
    return Script(tuple(steps), dict(parameters), table)


def personality(name: str = "nice", *, stress: bool = False, **parameters: object) -> Personality:
    """A personality with its defaults, and some parameters changed."""
    finished, mistakes = build([defaults(name, stress=stress), Layer("smtpd", parameters)], HOSTNAME)
    assert not mistakes
    return finished


def protocol(manners: Personality | None = None, table: frozenset[str] | None = None) -> Protocol:
    """A protocol for example.com."""
    return Protocol(manners or personality(), Recipients(frozenset({"example.com"}), table), HOSTNAME)


def client_bytes(step: Step) -> bytes:
    """What a `C:` or `C!` line sends."""
    data = _ESCAPE.sub(_unescaped, step.text.encode())
    return data + b"\r\n" if step.kind == "C:" else data


def _unescaped(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return match[1] * int(match[2])
    if match[3]:
        return bytes([int(match[3], 16)])
    return {b"r": b"\r", b"n": b"\n", b"\\": b"\\"}[match[4]]


@dataclass(slots=True)
class Played:
    """The session's part, played without clock and disk: messages are lists of bytes."""

    protocol: Protocol
    output: bytearray = field(default_factory=bytearray)
    messages: list[bytes] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    closed: Closed | None = None
    _message: bytearray | None = None

    def settle(self) -> None:
        """Take events until input is needed or the session is over."""
        while self.closed is None:
            event = self.protocol.next_event()
            self.events.append(event)
            match event:
                case Send(data):
                    self.output += data
                case MessageBegun():
                    self._message = bytearray()
                case Content(data):
                    assert self._message is not None
                    self._message += data
                case MessageDropped():
                    self._message = None
                case MessageEnded():
                    assert self._message is not None
                    self.messages.append(bytes(self._message))
                    self.protocol.message_stored("ID")
                case Closed():
                    self.closed = event
                case NeedInput():
                    return

    def send(self, data: bytes) -> None:
        """The client sends this, if it still can."""
        if self.closed is None:
            self.protocol.receive_data(data)
            self.settle()


def packets(steps: tuple[Step, ...]) -> Iterator[Step | bytes]:
    """The steps, with client lines that follow each other made one packet."""
    packet = b""
    for step in steps:
        if step.kind in {"C:", "C!"}:
            packet += client_bytes(step)
            continue
        if packet:
            yield packet
            packet = b""
        yield step
    if packet:
        yield packet

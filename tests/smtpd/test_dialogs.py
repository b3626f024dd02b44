"""The dialogs of tests/dialogs, played against every personality and in every weather."""

import re
from pathlib import Path

import pytest

from tests.smtpd import scripts
from tests.smtpd.scripts import Played, Step

_DIALOGS = sorted(scripts.FOLDER.glob("*.txt"))
_MANNERS = [("nice", False), ("nice", True), ("hostile", False)]


def test_there_are_dialogs() -> None:
    assert len(_DIALOGS) > 40


@pytest.mark.parametrize(("name", "stress"), _MANNERS, ids=str)
@pytest.mark.parametrize("path", _DIALOGS, ids=lambda path: path.stem)
def test_the_dialog_goes_as_written(path: Path, name: str, stress: bool) -> None:
    script = scripts.read(path)
    manners = scripts.personality(name, stress=stress, **script.parameters)
    played = Played(scripts.protocol(manners, script.table))
    played.settle()
    stored: list[bytes] = []
    for step in scripts.packets(script.steps):
        if isinstance(step, bytes):
            played.send(step)
        else:
            stored += [line for message in played.messages for line in message.split(b"\r\n")[:-1]]
            played.messages.clear()
            _check(played, step, stored, path)
    assert bytes(played.output) == b"", "the server said more than the dialog"
    assert stored == [], "the message has more than the dialog"


def _check(played: Played, step: Step, stored: list[bytes], path: Path) -> None:
    where = f"{path.name}:{step.line}: {step.kind} {step.text}"
    match step.kind:
        case "S:" | "S~":
            line, _, rest = bytes(played.output).partition(b"\r\n")
            played.output[:] = rest
            text = line.decode()
            agrees = text.startswith(step.text) if step.kind == "S:" else re.fullmatch(step.text, text)
            assert agrees, f"{where}: the server said {text!r}"
        case "M:":
            assert stored, where
            assert stored.pop(0) == step.text.encode(), where
        case "E:":
            played.protocol.receive_eof()
            played.settle()
        case "X:":
            assert played.closed is not None, where
            assert played.closed.end == step.text, where
        case "T:":
            name, _, count = step.text.partition("=")
            assert getattr(played.protocol.tally, name) == int(count), where
        case _:
            raise AssertionError(f"{where}: no such kind of line")

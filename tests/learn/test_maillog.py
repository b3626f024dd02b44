"""The log feed as a program: what it makes of its arguments and orders."""

import os
import socket
from pathlib import Path

import pytest

from frontproxy.learn import maillog
from frontproxy.wire.outcome_line import decode
from tests.fakes import PATIENCE

LOG = b"""\
Nov 22 20:00:00 m postfix/smtpd[1]: connect from unknown[192.0.2.1]:4711
Nov 22 20:00:00 m postfix/smtpd[1]: 4abcDEFghi: client=unknown[192.0.2.1]:4711
Nov 22 20:00:00 m postfix/smtpd[1]: disconnect from unknown[192.0.2.1]:4711 ehlo=1 mail=1 rcpt=1 data=1 commands=4
"""


@pytest.mark.parametrize(
    "arguments", [[], ["--file", "x"], ["--orders", "--report", "r"], ["--orders", "--file", "x", "--report", "r"]]
)
def test_wrong_arguments_are_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        maillog.main(arguments)

    assert ended.value.code == 64
    assert "usage:" in capsys.readouterr().err


def test_on_its_own_it_reads_standard_input_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, writer = os.pipe()
    os.write(writer, LOG)
    os.close(writer)
    with os.fdopen(source) as stdin, socket.socket(socket.AF_UNIX) as desk:
        monkeypatch.setattr("sys.stdin", stdin)
        desk.settimeout(PATIENCE)
        desk.bind(str(tmp_path / "report"))
        desk.listen()

        assert maillog.main(["--file", "-", "--report", str(tmp_path / "report")]) == 0
        with desk.accept()[0] as told, told.makefile("rb") as lines:
            told.settimeout(PATIENCE)
            outcome = decode(lines.readline())
    assert (outcome.client, outcome.port, outcome.messages) == ("192.0.2.1", 4711, 1)

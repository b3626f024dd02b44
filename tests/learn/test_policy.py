"""The policy service as a program: what it makes of its arguments."""

import socket

import pytest

from frontproxy.learn import policy


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--listen", "127.0.0.1:1"],
        ["--listen", "x", "--report", "r"],
        ["--listen-fd", "a"],
        ["--listen", "127.0.0.1:1", "--report", "r", "--class", "nice"],
        ["--listen", "127.0.0.1:1", "--report", "r", "--class", "nice=two\nlines"],
    ],
)
def test_wrong_arguments_are_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        policy.main(arguments)

    assert ended.value.code == 64
    assert "usage:" in capsys.readouterr().err


def test_an_address_that_cannot_be_had_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code = policy.main(["--listen", f"127.0.0.1:{taken.getsockname()[1]}", "--report", "/nowhere"])

    assert code == 71
    assert "in use" in capfd.readouterr().err

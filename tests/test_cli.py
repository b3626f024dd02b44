"""The commands: their exit codes and what they say, against a configuration or a running proxy's admin socket."""

import errno
import io
import json
import os
import signal
import socket
import threading
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest
import trio

import frontproxy
from frontproxy import admin_client, app, cli, commands
from frontproxy.admin import AdminSocket
from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.doors import Address
from frontproxy.local import bind_local
from frontproxy.setup import Setup
from tests.fakes import PATIENCE
from tests.houses import BANNED, FRIEND, STRANGER, WALL, Deeds, House, controls_of, house

__all__ = ["house"]

COMMANDS = [
    *("run", "check", "score", "clients", "pins", "status", "pin", "unpin", "tell", "forget", "stress", "reload"),
    *("drain", "learn", "preview"),
]
POOLS = '[pool.nice]\nbackends = ["pass:{0}/nice"]\n[pool.hostile]\nbackends = ["pass:{0}/hostile"]\n'


@asynccontextmanager
async def running(house: House, deeds: Deeds | None = None) -> AsyncIterator[Callable[..., Awaitable[int]]]:
    """The admin socket of the house is open; yields what runs a command against it and returns its exit code."""
    path = house.folder / "config.toml"
    path.write_text(f'[admin]\nsocket = "{house.folder}/admin.sock"\n')

    async def command(*words: str) -> int:
        return await trio.to_thread.run_sync(cli.run, [words[0], "-c", str(path), *words[1:]])

    with bind_local(house.folder / "admin.sock", mode=0o660) as door, trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AdminSocket(controls_of(house, deeds), house.log, "").serve, door)
            yield command
            nursery.cancel_scope.cancel()


def written(folder: Path, text: str) -> str:
    path = folder / "config.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run([command, "--help"])

    assert ended.value.code == 0
    out, err = capsys.readouterr()
    assert f"usage: frontproxy {command}" in out
    assert "--config FILE" in out
    assert err == ""


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.run(["--help"])

    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("    ") and line[4] != " "] == COMMANDS


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run(["--version"])

    assert (ended.value.code, capsys.readouterr().out) == (0, f"frontproxy {frontproxy.__version__}\n")


@pytest.mark.parametrize(
    "words",
    [[], ["fly"], ["score"], ["pin", "192.0.2.1"], ["status", "--fast"], ["check", "config.toml"], ["pins", "x"]],
)
def test_a_command_line_that_is_wrong_exits_64(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run(words)

    assert ended.value.code == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: frontproxy")


@pytest.mark.parametrize("command", ["status", "pins", "drain", "stress"])
def test_without_a_running_proxy_the_exit_is_69(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert cli.run([command, "-c", written(tmp_path, "")]) == 69

    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"frontproxy: frontproxy does not answer at {tmp_path}/var/admin.sock (admin.socket of {tmp_path}/config.toml):"
        " No such file or directory; is it running? with another file, name that with -c\n"
    )


def test_a_command_says_that_the_file_it_looked_into_has_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["status", "-c", written(tmp_path, "[listen\n")]) == 69

    assert "config.toml, which has mistakes: frontproxy check tells them)" in capsys.readouterr().err


def test_a_socket_that_one_may_not_use_exits_77(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forbidden(socket.socket):
        def connect(self, address: object) -> NoReturn:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "socket", Forbidden)

    assert cli.run(["status", "-c", written(tmp_path, "")]) == 77
    assert "you may not use this socket; be root or in admin.group" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "told"),
    [(b"", "closed without an answer; may you use this socket?"), (None, "does not answer at")],
)
def test_a_proxy_that_hangs_up_or_says_nothing_exits_69(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, answer: bytes | None, told: str
) -> None:
    monkeypatch.setattr(admin_client, "ANSWER_WITHIN", 0.05)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.settimeout(PATIENCE)
        door.bind(str(tmp_path / "admin.sock"))
        door.listen()

        def serve() -> None:
            peer, _nobody = door.accept()
            with peer:
                peer.recv(100)
                if answer is None:
                    peer.recv(100)  # until the command gives up

        thread = threading.Thread(target=serve)
        thread.start()
        code = cli.run(["status", "-c", written(tmp_path, '[admin]\nsocket = "admin.sock"\n')])
        thread.join()

    assert code == 69
    assert told in capsys.readouterr().err


def test_a_file_that_is_not_there_exits_78(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("check", "status", "run"):
        assert cli.run([command, "-c", str(tmp_path / "none.toml")]) == 78

        assert (
            "none.toml: cannot be read: No such file or directory; name another file with -c" in capsys.readouterr().err
        )


def test_check_tells_every_mistake_sorted_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = POOLS.format(tmp_path) + 'sessions = 0\n[listen]\npause = "soon"\ncolour = "red"\n'

    path = written(tmp_path, text)
    assert cli.run(["check", "-c", path]) == 78

    out, err = capsys.readouterr()
    assert out == ""
    found = [line.removeprefix(f"{path}:").partition(": ") for line in err.splitlines()]
    assert [int(number) for number, _colon, _text in found] == [5, 7, 8]
    assert [text.partition(":")[0] for _number, _colon, text in found] == [
        "pool.hostile.sessions",
        "listen.pause",
        "listen.colour",
    ]


def test_check_of_a_good_file_exits_0_and_warns_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refusing = '[[route]]\nwhen = "score < 0"\nreply = "550 5.7.1 No"\n[[route]]\nto = "hostile"\n'
    path = written(tmp_path, POOLS.format(tmp_path) + refusing)

    assert cli.run(["check", "-c", path]) == 0

    out, err = capsys.readouterr()
    assert out == f"{path}: no mistakes\n"
    assert err.startswith(f"warning: {path}:")


def test_what_check_prints_is_toml_that_means_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lists = '[[list]]\nname = "p"\nkind = "points"\nnetworks = ["192.0.2.0/24"]\npoints = 1.5\n'
    path = written(tmp_path, POOLS.format(tmp_path) + lists)
    assert cli.run(["check", "--print", "-c", path]) == 0
    printed = capsys.readouterr().out
    assert tomllib.loads(printed)["pool"]["nice"]["backends"] == [f"pass:{tmp_path}/nice"]

    again = written(tmp_path, printed)
    assert cli.run(["check", "--print", "-c", again]) == 0

    assert capsys.readouterr().out == printed


def test_without_c_the_file_in_the_working_folder_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "mode = 5\n" + POOLS.format(tmp_path))

    assert cli.run(["check"]) == 78
    assert capsys.readouterr().err.startswith("config.toml:1: mode: ")


async def test_a_score_is_shown_and_exits_0(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    async with running(house) as command:
        assert await command("score", FRIEND, STRANGER, BANNED) == 0

    out = capsys.readouterr().out
    assert out.index(FRIEND) < out.index(STRANGER) < out.index(BANNED)
    assert "is told: 554 5.7.1 Access denied" in out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
async def test_a_terminal_that_knows_no_blocks_shows_the_rest(
    house: House, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding=encoding, write_through=True))

    async with running(house) as command:
        assert await command("score", FRIEND) == 0

    assert "on your list friends" in written.getvalue().decode(encoding)


async def test_json_is_one_line_for_each_answer(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    async with running(house) as command:
        assert await command("score", "--json", FRIEND, "nobody", STRANGER) == 64

    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer.get("client", answer.get("code")) for answer in found] == [FRIEND, "bad_address", STRANGER]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["score", "nobody"], 64, "frontproxy: 'nobody' is not an IPv4 or IPv6 address"),
        (["score", ""], 64, "frontproxy: usage: score CLIENT"),
        (["score", "\udcff"], 64, "frontproxy: '\\\\udcff' is not an IPv4"),
        (["score", "192.0.2.1\ndrain"], 64, "frontproxy: usage: score CLIENT"),
        (["pin", "192.0.2.1", "best"], 1, "frontproxy: there is no pool 'best'"),
        (["unpin", "192.0.2.1"], 1, "frontproxy: 192.0.2.1 is not pinned"),
        (["stress", "up"], 64, "frontproxy: usage: stress"),
    ],
)
async def test_a_refusal_is_told_on_standard_error(
    house: House, capsys: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    deeds = Deeds()
    async with running(house, deeds) as command:
        assert await command(*words) == code

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(told)
    assert deeds.drained == []


async def test_a_pin_takes_its_options_along(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    async with running(house) as command:
        assert await command("pin", "192.0.2.0/24", "nice", "--for", "1h", "--because", "they\n are  ours") == 0
        assert await command("pins", "--json") == 0
        assert await command("unpin", "192.0.2.0/24") == 0
        assert await command("pins") == 0

    shown, pins, unpinned, none = capsys.readouterr().out.splitlines()
    assert shown == "192.0.2.0/24 goes to nice, until 2023-11-14 23:13 UTC"
    (pin,) = json.loads(pins)["pins"]
    assert (pin["because"], pin["until"]) == ("they are ours", WALL + 3600)
    assert (unpinned, none) == ("network: 192.0.2.0/24", "nobody is pinned")


async def test_every_other_verb_has_its_command(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    deeds = Deeds(reload=lambda: ["history.file has changed"])
    async with running(house, deeds) as command:
        for words in (["clients"], ["status"], ["status", "--prometheus"], ["forget", STRANGER], ["stress", "nice"]):
            assert await command(*words) == 0
        assert await command("stress", "nice", "on", "--for", "1h") == 0
        assert await command("reload") == 0
        assert await command("drain") == 0

    out = capsys.readouterr().out
    assert "best: nobody yet" in out
    assert 'frontproxy_pool_places{pool="nice"} 50' in out
    assert f"client: {STRANGER}, known: False" in out
    assert "reloaded\nhistory.file has changed\nsessions: 0\n" in out
    assert house.proxy.pools["nice"].stress.held is True
    assert deeds.drained == ["drain"]


async def test_a_reload_with_mistakes_tells_them_and_exits_78(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    def mistaken() -> list[str]:
        raise Mistaken(
            [Mistake("c.toml", 9, "b", "is \x1b[2J", "mend it"), Mistake("c.toml", 2, "a", "is odd", "even it")]
        )

    async with running(house, Deeds(reload=mistaken)) as command:
        assert await command("reload") == 78

    assert capsys.readouterr().err.splitlines()[1:] == [
        "c.toml:2: a: is odd; even it",
        "c.toml:9: b: is \\x1b[2J; mend it",
    ]


def test_an_address_in_use_is_one_line_and_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = f'[listen]\naddresses = ["127.0.0.1:{port}"]\n' + POOLS.format(tmp_path)

        assert cli.run(["run", "-c", written(tmp_path, text)]) == 71

    err = capsys.readouterr().err
    assert f"listen.addresses: cannot listen on 127.0.0.1:{port}: Address already in use; stop the program" in err
    assert "Traceback" not in err
    assert not list((tmp_path / "var").glob("*.sock"))


def test_a_second_proxy_in_the_same_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, POOLS.format(tmp_path))
    with bind_local(tmp_path / "var/admin.sock", mode=0o660):
        assert cli.run(["run", "-c", path]) == 71

    assert "another program listens there; is another frontproxy running?" in capsys.readouterr().err
    assert (tmp_path / "var/admin.sock").exists()


def test_an_unknown_group_exits_78(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, '[admin]\ngroup = "no-such-group"\n' + POOLS.format(tmp_path))

    assert cli.run(["run", "-c", path]) == 78
    assert "admin.group: " in capsys.readouterr().err


def test_a_bug_in_the_proxy_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_arguments: object) -> None:
        async with trio.open_nursery():
            raise ZeroDivisionError

    monkeypatch.setattr(app, "serve", broken)

    with pytest.raises(ExceptionGroup):
        cli.run(["run", "-c", written(tmp_path, "")])


@pytest.mark.parametrize(("reason", "code"), [(KeyboardInterrupt, 130), (BrokenPipeError, 0)])
def test_ctrl_c_and_a_reader_that_goes_away_are_no_bugs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: type[BaseException], code: int
) -> None:
    def ended(_options: object) -> NoReturn:
        raise reason

    monkeypatch.setattr("sys.stderr", io.StringIO())
    monkeypatch.setattr(commands, "check", ended)

    assert cli.run(["check", "-c", written(tmp_path, "")]) == code


def test_it_runs_until_sigterm_and_leaves_no_socket(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = '[listen]\naddresses = ["127.0.0.1:0"]\n' + POOLS.format(tmp_path)

    def end(_setup: Setup, _addresses: list[Address]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    trio.run(app.serve, Path(written(tmp_path, text)), end)

    assert not list((tmp_path / "var").glob("*.sock"))
    assert (tmp_path / "var/history.sqlite3").exists()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("because", ["--since", "-- Start SpamAssassin", "-x", "spam"])
async def test_a_reason_is_never_taken_for_an_option(
    house: House, because: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(house) as command:
        assert await command("tell", STRANGER, "bad", "--weight", "3", "--because", because) == 0

    assert house.knowledge(STRANGER)[1] == 3
    assert "3 bad learned" in capsys.readouterr().out

"""UNIX sockets: bound over stale files only, for us and our group; and lines of bounded length."""

import contextlib
import grp
import os
import pwd
import socket
import stat
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.local import InUseError, Lines, bind_local, is_welcome, kept_out, may_give, remove_local
from tests.fakes import as_nobody, open_descriptors

PATH_LIMIT = 107  # bytes of a UNIX socket's path (Linux)

# Binding


@contextlib.contextmanager
def bound(path: Path, mode: int = 0o660, group: str = "") -> Iterator[socket.socket]:
    with bind_local(path, mode=mode, group=group) as sock:
        yield sock


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_listens_and_never_blocks(tmp_path: Path) -> None:
    with bound(tmp_path / "door") as door, socket.socket(socket.AF_UNIX) as client:
        with pytest.raises(BlockingIOError):
            door.accept()
        client.connect(str(tmp_path / "door"))
        door.accept()[0].close()


@pytest.mark.parametrize("mode", [0o600, 0o660])
def test_the_mode_is_what_was_asked_for_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    umask = os.umask(0)
    try:
        with bound(tmp_path / "door", mode):
            assert mode_of(tmp_path / "door") == mode
    finally:
        assert os.umask(umask) == 0, "left as it was"


def test_folders_that_are_missing_are_made_for_us_alone(tmp_path: Path) -> None:
    with bound(tmp_path / "var" / "run" / "door"):
        assert mode_of(tmp_path / "var" / "run") == 0o700


def test_the_socket_belongs_to_the_group(tmp_path: Path) -> None:
    group = grp.getgrnam("daemon") if os.geteuid() == 0 else grp.getgrgid(os.getegid())
    with bound(tmp_path / "door", group=group.gr_name):
        assert (tmp_path / "door").stat().st_gid == group.gr_gid


def test_only_root_may_give_a_socket_to_any_group() -> None:
    ours = grp.getgrgid(os.getegid()).gr_name
    others = next(group.gr_name for group in grp.getgrall() if group.gr_gid not in {os.getegid(), *os.getgroups()})

    assert may_give(ours)
    assert may_give(others) == (os.geteuid() == 0)
    with as_nobody():
        assert may_give(ours)
        assert not may_give(others)


def test_an_unknown_group_is_told_and_nothing_is_leaked(tmp_path: Path) -> None:
    before = open_descriptors()
    umask = os.umask(0o022)
    with pytest.raises(LookupError):
        bind_local(tmp_path / "door", mode=0o660, group="no such group")

    assert os.umask(umask) == 0o022
    assert open_descriptors() <= before


def test_a_socket_that_nobody_listens_at_is_replaced(tmp_path: Path) -> None:
    bind_local(tmp_path / "door", mode=0o660).close()
    assert (tmp_path / "door").exists(), "a crash leaves the file behind"

    with bound(tmp_path / "door"), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "door"))


def test_a_socket_that_somebody_listens_at_is_left_alone(tmp_path: Path) -> None:
    with bound(tmp_path / "door") as door:
        before = open_descriptors()
        with pytest.raises(InUseError, match="another program listens there"):
            bind_local(tmp_path / "door", mode=0o660)

        assert open_descriptors() <= before
        door.accept()[0].close()  # the probe


def test_a_program_that_is_too_busy_to_accept_is_in_use_all_the_same(tmp_path: Path) -> None:
    with bind_local(tmp_path / "door", mode=0o660, backlog=0), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "door"))
        with pytest.raises(InUseError):
            bind_local(tmp_path / "door", mode=0o660)


def test_a_file_that_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    precious = tmp_path / "history.sqlite3"
    precious.write_text("years of knowledge")
    with pytest.raises(FileExistsError, match=r"not a socket is in the way.*history\.sqlite3"):
        bind_local(precious, mode=0o660)

    assert precious.read_text() == "years of knowledge"


def test_a_folder_in_the_way_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="not a socket is in the way"):
        bind_local(tmp_path, mode=0o660)


def test_a_folder_that_we_may_not_write_to_is_told_with_the_path() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        with as_nobody(), pytest.raises(PermissionError) as caught:
            bind_local(Path(folder) / "door", mode=0o660)

    assert str(caught.value) == f"[Errno 13] Permission denied: '{folder}/door'"


def test_a_path_of_the_greatest_length_works(tmp_path: Path) -> None:
    path = tmp_path / "d".ljust(PATH_LIMIT - len(str(tmp_path)) - 1, "d")
    with bound(path):
        assert len(str(path)) == PATH_LIMIT
    with pytest.raises(OSError, match="too long"):
        bind_local(path.with_name(path.name + "d"), mode=0o660)


def test_removing_closes_the_door_and_takes_the_file_away(tmp_path: Path) -> None:
    door = bind_local(tmp_path / "door", mode=0o660)
    remove_local(tmp_path / "door", door)
    remove_local(tmp_path / "door", door)

    assert door.fileno() == -1
    assert not (tmp_path / "door").exists()


# Peers


@dataclass
class FakePeer:
    """A peer with credentials of our choice."""

    uid: int
    gid: int

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        assert (level, optname, buflen) == (socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return struct.pack("3i", os.getpid(), self.uid, self.gid)


STRANGER = 54321
"""A user id and group id that nobody here has."""


def test_we_ourselves_are_welcome() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert is_welcome(ours, "")


def test_root_and_our_own_user_are_welcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)

    assert is_welcome(FakePeer(0, STRANGER), "")
    assert is_welcome(FakePeer(1234, STRANGER), "")
    assert not is_welcome(FakePeer(1235, STRANGER), "")


def test_a_stranger_is_not_welcome() -> None:
    assert not is_welcome(FakePeer(STRANGER, STRANGER), "")
    assert not is_welcome(FakePeer(STRANGER, STRANGER), "daemon")


def test_the_group_is_welcome_if_one_is_named() -> None:
    daemon = grp.getgrnam("daemon").gr_gid

    assert is_welcome(FakePeer(STRANGER, daemon), "daemon")
    assert not is_welcome(FakePeer(STRANGER, daemon), "")


def test_a_member_of_the_group_is_welcome_with_another_primary_group(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = FakePeer(pwd.getpwnam("nobody").pw_uid, STRANGER)
    daemon = grp.getgrnam("daemon").gr_gid
    assert not is_welcome(peer, "daemon")

    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: {"nobody": [gid, daemon]}.get(name, [gid]))
    assert is_welcome(peer, "daemon")


def test_a_group_that_is_gone_lets_nobody_in() -> None:
    assert not is_welcome(FakePeer(STRANGER, STRANGER), "no such group")


# Lines


def feed(limit: int, *chunks: bytes) -> list[bytes | None]:
    lines = Lines(limit)
    return [line for chunk in chunks for line in lines.feed(chunk)]


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([b""], []),
        ([b"one\ntwo\n"], [b"one", b"two"]),
        ([b"one\r\ntwo\r\n"], [b"one", b"two"]),
        ([b"on", b"e", b"\n"], [b"one"]),
        ([b"half"], []),
        ([b"\n\n"], [b"", b""]),
        ([b"a\rb\n"], [b"a\rb"]),
        ([b"12345678\n"], [b"12345678"]),
        ([b"123456789\nok\n"], [None, b"ok"]),
        ([b"12345", b"6789", b"0\nok\n"], [None, b"ok"]),
        ([b"123456789", b"\n", b"\n"], [None, b""]),
        ([b"x" * 1_000_000, b"x" * 1_000_000, b"\nok\n"], [None, b"ok"]),
        ([b"123456789"], []),
    ],
)
def test_lines_of_at_most_eight_bytes(chunks: list[bytes], lines: list[bytes | None]) -> None:
    assert feed(8, *chunks) == lines


def test_no_more_than_one_line_is_remembered() -> None:
    lines = Lines(8)
    for _ in range(100):
        assert list(lines.feed(b"x" * 10_000)) == []
        assert len(lines._rest) <= 8
    assert list(lines.feed(b"\n")) == [None]


@settings(max_examples=50)
@given(
    data=st.lists(st.sampled_from([b"a", b"\n", b"\r", b"bcd", b"efghijklm"]), max_size=30).map(b"".join),
    cuts=st.lists(st.integers(0, 100), max_size=10),
)
def test_how_bytes_arrive_makes_no_difference_to_lines(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[start:end] for start, end in pairwise(edges)]

    assert feed(4, *chunks) == feed(4, data)
    whole = [None if len(line) > 4 else line.removesuffix(b"\r") for line in data.split(b"\n")[:-1]]
    assert feed(4, data) == whole


def test_a_group_that_cannot_pass_through_the_folder_is_warned_of(tmp_path: Path) -> None:
    group = grp.getgrgid(os.getegid()).gr_name
    tmp_path.chmod(0o700)

    assert kept_out(tmp_path, "") == []
    [warning] = kept_out(tmp_path, group)
    assert f"chgrp {group} {tmp_path} && chmod g+x {tmp_path}" in warning
    tmp_path.chmod(0o710)
    os.chown(tmp_path, -1, os.getegid())
    assert kept_out(tmp_path, group) == []


def test_a_folder_made_for_a_group_lets_it_through(tmp_path: Path) -> None:
    group = grp.getgrgid(os.getegid()).gr_name
    path = tmp_path / "var/admin.sock"

    with bind_local(path, mode=0o660, group=group):
        assert kept_out(path.parent, group) == []
        assert path.parent.stat().st_mode & 0o777 == 0o710

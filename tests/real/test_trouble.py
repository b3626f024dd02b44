"""Trouble: children that die, a parent that dies, configurations that break, doors that cannot be opened."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.real.house import CONFIG, DEADLINE, House, is_running, wait_for

FRIEND = "127.1.0.1"


def test_a_bundled_smtpd_that_dies_is_started_again_and_its_backlog_waits(house: House) -> None:
    house.befriend(FRIEND)
    [nice] = [server for server in house.ask("status")["servers"] if "nice" in server["name"]]
    with house.connect(FRIEND) as held:
        assert held.recv(4) == b"220 "
        os.kill(nice["pid"], signal.SIGSTOP)  # it takes nothing any more: what comes now lies in its backlog
        with house.connect(FRIEND) as waiting:
            wait_for(lambda: len(house.events("handover", client=FRIEND)) == 12, "the handover of both")
            os.kill(nice["pid"], signal.SIGKILL)

            assert not held.recv(4096).endswith(b"221")  # the session it held is lost
            assert waiting.recv(4) == b"220 "  # the one in its backlog is not

    [lost] = wait_for(lambda: house.events("lost"), "the report of the loss")
    assert f"client={FRIEND}" in lost
    assert "state=died" in house.log()
    wait_for(lambda: house.ask("status")["pools"][0]["taken"] == 0, "all places free again")


def test_when_the_parent_is_killed_the_children_finish_their_sessions_and_end(house: House) -> None:
    house.befriend(FRIEND)
    servers = house.servers()
    with house.smtp(FRIEND) as session:
        session.ehlo()
        house.kill()
        house.wait()

        session.sendmail("me@example.org", "user@example.com", "Subject: still here\r\n\r\nHello.\r\n")

    assert len(house.mail()) == 11
    for pid in servers:
        wait_for(lambda pid=pid: not is_running(pid), "the end of the orphans")


def test_a_drain_ends_idle_sessions_with_a_421_and_exits_with_0(house: House) -> None:
    house.befriend(FRIEND)
    servers = house.servers()
    with house.connect(FRIEND) as idle, house.connect("127.64.0.9") as stranger:
        assert idle.recv(4096).startswith(b"220 ")
        wait_for(lambda: house.ask("status")["waiting_room"]["waiting"], "the stranger in the waiting room")
        house.kill(signal.SIGINT)

        assert idle.recv(4096).startswith(b"421 4.3.2 ")
        assert stranger.recv(4096).startswith(b"421 4.3.2 ")
    assert house.wait() == 0
    assert not any(is_running(pid) for pid in servers)
    assert not list((house.folder / "var").glob("*.sock"))


def test_a_broken_configuration_changes_nothing_and_says_why(house: House) -> None:
    house.write_config(CONFIG.replace("200ms", "soon") + "nonsense = 1\n")
    house.kill(signal.SIGHUP)

    wait_for(lambda: len(house.events("reload", state="refused")) == 2, "two mistakes in the log")
    assert "config.toml:5: listen.pause: " in house.log()
    answer = house.ask("reload")
    assert (answer["ok"], answer["code"], len(answer["mistakes"])) == (False, "failed", 2)
    house.deliver()


def test_a_new_configuration_opens_new_addresses_and_closes_old_ones(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        new_port = free.getsockname()[1]
    house.write_config(CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{new_port}"))

    house.kill(signal.SIGHUP)

    wait_for(lambda: house.events("reload", state="done"), "the reload")
    with pytest.raises(ConnectionRefusedError):
        house.connect()
    house.port = new_port
    house.deliver()


def test_a_session_keeps_the_personality_it_began_with_over_a_reload(house: House) -> None:
    house.befriend(FRIEND)
    before = house.servers()
    with house.smtp(FRIEND) as session:
        house.write_config(CONFIG.replace("mx.example.com", "new.example.com"))
        assert house.ask("reload")["ok"]
        assert session.ehlo()[1].startswith(b"mx.example.com")
        with house.smtp(FRIEND) as other:
            assert other.ehlo()[1].startswith(b"new.example.com")
    for pid in before:
        wait_for(lambda pid=pid: not is_running(pid), "the end of the old smtpds")
    assert not house.events("lost")


def run_in(folder: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """`frontproxy run` in a folder, behind other words of a command if need be."""
    command = [*before, sys.executable, "-m", "frontproxy", "run"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=DEADLINE, check=False)


def test_a_port_in_use_is_named(house: House, tmp_path: Path) -> None:
    text = CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{house.port}").replace('recipients = "recipients"', "")
    (tmp_path / "config.toml").write_text(text)

    done = run_in(tmp_path)

    assert done.returncode == 71
    assert f"cannot listen on 127.0.0.1:{house.port}: Address already in use; stop the program" in done.stderr


def test_a_second_frontproxy_in_the_same_folder_is_refused(house: House) -> None:
    done = run_in(house.folder)

    assert done.returncode == 71
    assert "is another frontproxy running?" in done.stderr
    house.deliver()


def test_a_stale_socket_file_is_replaced(build: Callable[..., House]) -> None:
    house = build().start()
    house.kill()
    house.wait()
    assert (house.folder / "var/admin.sock").exists()

    house.start()

    assert house.ask("status")["ok"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up a right")
def test_a_port_we_may_not_bind_is_named(folder: Path) -> None:
    text = CONFIG.replace("127.0.0.1:0", "127.0.0.1:25").replace('recipients = "recipients"', "")
    (folder / "config.toml").write_text(text)

    done = run_in(folder, "setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-all")

    assert done.returncode == 77
    assert "CAP_NET_BIND_SERVICE" in done.stderr


def test_a_damaged_history_is_set_aside_and_the_last_copy_restored(build: Callable[..., House]) -> None:
    house = build().start()
    house.stop()
    history = house.folder / "var/history.sqlite3"
    history.write_bytes(os.urandom(100_000))

    house.start()

    assert list(history.parent.glob("history.sqlite3.damaged-*"))
    assert house.events("history", state="trouble")
    house.befriend(FRIEND, messages=1)


def test_a_newer_history_is_left_alone(build: Callable[..., House]) -> None:
    house = build().start()
    house.stop()
    history = house.folder / "var/history.sqlite3"
    subprocess.run(
        [sys.executable, "-c", f"import sqlite3; sqlite3.connect({str(history)!r}).execute('PRAGMA user_version=99')"],
        check=True,
    )
    before = history.read_bytes()

    house.start()

    assert house.ask("status")["history"]["troubles"]
    house.befriend(FRIEND, messages=1)
    house.stop()
    assert history.read_bytes() == before


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """The folder of history and mail, on a disk of 4 MB. To be named before `build`, which must end first."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    disk = folder / "var"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Fill a disk to the last byte; the file that can be removed again."""
    filler = disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(8_000_000))
    return filler


def test_a_full_disk_is_a_452_and_costs_no_session(small_disk: Path, build: Callable[..., House]) -> None:
    house = build().start()
    house.deliver(FRIEND)
    filler = fill(small_disk)
    with house.smtp(FRIEND) as session:
        session.ehlo()
        session.mail("me@example.org")
        session.rcpt("user@example.com")
        assert session.data(b"Subject: too much\r\n\r\n" + b"x" * 70 + b"\r\n")[0] == 452
    filler.unlink()
    house.deliver(FRIEND)
    house.wait_for_outcomes(FRIEND, 3)
    house.stop()


def test_a_reload_reads_the_recipients_again(house: House) -> None:
    (house.folder / "recipients").write_text("newcomer\n")
    assert house.ask("reload")["ok"]

    house.deliver(recipient="newcomer@example.com")

    assert len(house.mail()) == 1


def test_a_reload_to_smtpds_that_cannot_begin_keeps_those_that_serve(house: House) -> None:
    before = house.servers()
    house.write_config(CONFIG + 'delivery = "maildir:/proc/mail"\n')

    answer = house.ask("reload")

    assert (answer["ok"], answer["code"]) == (False, "failed")
    assert "did not begin to serve" in answer["mistakes"][0]
    assert house.servers() == before
    house.deliver()


def test_a_changed_report_socket_waits_for_the_next_start(house: House) -> None:
    house.write_config(CONFIG.replace("mx.example.com", "new.example.com") + '[learn]\nreport = "var/other.sock"\n')

    answer = house.ask("reload")

    assert answer["ok"]
    assert any("learn.report has changed" in remark for remark in answer["remarks"])
    house.befriend(FRIEND, messages=2)


def test_what_check_prints_is_a_configuration_with_the_same_effect(house: House) -> None:
    def check(*words: str) -> str:
        command = [sys.executable, "-m", "frontproxy", "check", "--print", *words]
        return subprocess.run(command, cwd=house.folder, capture_output=True, text=True, check=True).stdout

    printed = check()

    assert "[smtpd.hostile.stress]" in printed
    assert "junk_command_limit = 1\n" in printed
    (house.folder / "printed.toml").write_text(printed)
    assert check("-c", "printed.toml") == printed


def test_a_history_on_a_disk_that_is_full_at_the_start_is_read_and_later_written(
    small_disk: Path, build: Callable[..., House]
) -> None:
    house = build().start()
    house.befriend(FRIEND)
    house.stop()
    filler = fill(small_disk)

    house.start()

    assert house.ask(f"score {FRIEND}")["pool"] == "nice"
    assert any("can only be read" in alarm for alarm in house.ask("status")["history"]["troubles"])
    filler.unlink()
    house.befriend("127.1.0.2", messages=1)
    wait_for(lambda: house.ask("status")["history"]["unwritten"] == 0, "the history on disk")
    wait_for(lambda: house.ask("status")["history"]["troubles"] == [], "the end of all troubles")
    before = house.score("127.1.0.2")
    house.kill()
    house.wait()
    house.start()
    assert house.score("127.1.0.2") == pytest.approx(before, abs=0.1)
    house.stop()


def test_a_wedged_smtpd_costs_friends_their_first_choice_but_not_their_mail(house: House) -> None:
    house.befriend(FRIEND)
    [nice] = [server["pid"] for server in house.ask("status")["servers"] if "nice" in server["name"]]
    os.kill(nice, signal.SIGSTOP)
    try:
        with house.connect(FRIEND) as swallowed:
            wait_for(lambda: any("is down" in alarm for alarm in house.ask("status")["alarms"]), "the alarm")

            house.deliver(FRIEND)

            os.kill(nice, signal.SIGCONT)
            assert swallowed.recv(4) == b"220 "
    finally:
        os.kill(nice, signal.SIGCONT)
    wait_for(lambda: not house.ask("status")["alarms"], "the end of the alarm")
    assert len(house.mail()) == 11


def test_a_message_under_way_may_take_the_whole_drain_time(build: Callable[..., House]) -> None:
    house = build(CONFIG.replace("[listen]", '[listen]\ndrain_time = "60s"')).start()
    house.befriend(FRIEND)
    with house.connect(FRIEND) as connection, connection.makefile("rb") as replies:
        connection.sendall(b"")
        assert replies.readline().startswith(b"220 ")
        for command in (b"HELO x", b"MAIL FROM:<me@example.org>", b"RCPT TO:<user@example.com>", b"DATA"):
            connection.sendall(command + b"\r\n")
            assert replies.readline()[:1] in b"23"
        connection.sendall(b"Subject: slow\r\n\r\n")
        house.kill(signal.SIGTERM)
        wait_for(lambda: house.events("drain", state="began"), "the drain")
        connection.sendall(b"but sure\r\n.\r\n")
        assert replies.readline().startswith(b"250 ")
        assert replies.readline().startswith(b"421 ")
    assert house.wait() == 0
    assert len(house.mail()) == 11
    assert len(house.events("outcome", client=FRIEND)) == 11

"""The log feed beside a real Postfix and a real Exim: what it learns, whatever happens to the log's file."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.real.exim import Exim
from tests.real.house import DEADLINE, House, is_running, wait_for
from tests.real.need import need
from tests.real.ports import Port
from tests.real.postfix import PROGRAMS, Postfix, passed

CLIENT = "127.0.0.5"
PORTS = {"smtpd_client_port_logging": "yes"}
LISTEN = """
[listen]
addresses = ["127.0.0.1:0"]
pause = "200ms"
"""
CONFIG = """
[learn]
maillog = "{log}"
[pool.nice]
backends = ["{nice}"]
reserved = true
per_client = 50
fallback = "hostile"
handover_wait = "20s"
[pool.hostile]
backends = ["{hostile}"]
per_client = 50
handover_wait = "20s"
"""


@pytest.fixture(autouse=True)
def _needs() -> None:
    need(*PROGRAMS, root=True)


class Street:
    """A frontproxy, a Postfix behind it, and the feed that follows its log."""

    def __init__(self, house: House, postfix: Postfix) -> None:
        self.house = house
        self.postfix = postfix
        self.log = postfix.folder / "log"

    def feeds(self) -> list[dict[str, Any]]:
        """The feed programs in `status`."""
        programs: list[dict[str, Any]] = self.house.ask("status")["feeds"]["programs"]
        return programs

    def feed(self, name: str = "maillog") -> dict[str, Any]:
        """One of them, when it runs."""
        found = wait_for(lambda: [f for f in self.feeds() if f["name"] == name and f["pid"]], f"{name}, running")
        return dict(found[0])

    def ready(self) -> "Street":
        """It follows the log."""
        wait_for(lambda: self.house.events("feed_ready", name="maillog"), "the log feed")
        return self

    def deliver(self, count: int = 1) -> list[str]:
        """Good messages, one a session; all outcomes, when those of them were told."""
        before = len(self.house.events("outcome", client=CLIENT))
        for _ in range(count):
            self.send()
        return self.house.wait_for_outcomes(CLIENT, before + count)

    def send(self) -> None:
        """One good message, which must be accepted."""
        self.house.deliver(CLIENT, "user@example.test")

    def counted(self, kind: str) -> int:
        """How many outcomes `status` has counted so."""
        return int(self.house.ask("status")["counters"].get(f"outcomes_{kind}", 0))


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    with Postfix(passed("nice"), passed("hostile"), main=PORTS) as postfix:
        yield postfix


@pytest.fixture
def build_street(build: Callable[..., House], postfix: Postfix) -> Callable[..., Street]:
    """Makes a street that follows Postfix' log, or another file or FIFO; `more` are further keys of `[learn]`."""
    doors = {name: f"pass:{postfix.pass_path(name)}" for name in ("nice", "hostile")}

    def build_one(log: Path | None = None, more: str = "") -> Street:
        config = CONFIG.format(log=log or postfix.folder / "log", **doors).replace("[learn]", f"[learn]\n{more}")
        return Street(build(LISTEN + config).start(), postfix).ready()

    return build_one


@pytest.fixture
def street(build_street: Callable[..., Street]) -> Street:
    return build_street()


def test_a_good_sender_becomes_a_friend_by_the_log_alone(street: Street) -> None:
    outcomes = street.deliver(10)

    assert all("messages=1 recipients=1 refused=0" in line for line in outcomes)
    assert street.house.score(CLIENT) > 5
    street.deliver()
    assert street.house.events("handover", client=CLIENT, pool="nice", settled="yes")
    assert street.counted("unmatched") == street.counted("repeated") == 0


def test_refused_recipients_count_with_their_kinds(street: Street) -> None:
    with street.house.smtp(CLIENT) as session:
        session.ehlo()
        session.mail("me@example.org")
        for recipient in ("no@example.test", "nobody@example.test", "you@elsewhere.test"):
            assert session.rcpt(recipient)[0] in {550, 554}
    (line,) = street.house.wait_for_outcomes(CLIENT, 1)

    assert "refused=3" in line
    assert 'because="2 unknown recipients, 1 relay attempt"' in line


def reopen_log(street: Street) -> None:
    """As `postfix reload` does; the first that happens then may still go into the old file."""
    before = street.log.stat().st_size if street.log.exists() else 0
    os.kill(street.postfix.pid, signal.SIGHUP)

    def is_written_to() -> bool:
        with street.house.smtp("127.0.0.9") as session:
            session.ehlo()
        return street.log.exists() and street.log.stat().st_size > before

    wait_for(is_written_to, "a line in the new file")


def rotate_by_rename(street: Street) -> None:
    """As `postfix logrotate` does."""
    street.log.rename(street.log.with_suffix(".1"))
    reopen_log(street)


def truncate_a_copy(street: Street) -> None:
    """As logrotate's copytruncate does."""
    shutil.copy(street.log, street.log.with_suffix(".1"))
    os.truncate(street.log, 0)


def put_a_copy_in_its_place(street: Street) -> None:
    """As an editor does."""
    copy = street.log.with_suffix(".new")
    shutil.copy(street.log, copy)
    copy.replace(street.log)
    reopen_log(street)


@pytest.mark.parametrize("disturb", [rotate_by_rename, truncate_a_copy, put_a_copy_in_its_place])
def test_whatever_happens_to_the_log_each_session_is_told_once(
    street: Street, disturb: Callable[[Street], None]
) -> None:
    street.deliver(2)
    disturb(street)
    outcomes = street.deliver(2)

    assert len(outcomes) == 4
    assert street.counted("unmatched") == street.counted("repeated") == 0


def test_a_killed_feed_is_started_again_and_learns(street: Street) -> None:
    street.deliver()
    before = street.feed()["pid"]
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: len(street.house.events("feed_ready", name="maillog")) == 2, "the next one")

    assert street.feed()["trouble"] == "its process ended (-9)"
    assert len(street.deliver()) == 2


def test_a_hung_feed_is_replaced(street: Street) -> None:
    os.kill(street.feed()["pid"], signal.SIGSTOP)
    wait_for(lambda: len(street.house.events("feed_ready", name="maillog")) == 2, "the next one")

    assert street.feed()["trouble"] == "it hung and was killed"
    street.deliver()


def test_a_feed_ends_with_its_frontproxy(street: Street) -> None:
    pid = street.feed()["pid"]
    street.house.kill()

    wait_for(lambda: not is_running(pid), "the end of the feed")


def test_a_log_that_is_not_there_is_an_alarm_until_it_comes(build_street: Callable[..., Street], folder: Path) -> None:
    street = build_street(folder / "mail.log")
    alarm = f"feed maillog: {folder / 'mail.log'}: No such file or directory"
    wait_for(lambda: alarm in street.house.ask("status")["alarms"], "the alarm")
    (folder / "mail.log").touch()

    wait_for(lambda: street.feed()["trouble"] is None, "the end of the trouble")
    wait_for(lambda: alarm not in street.house.ask("status")["alarms"], "the end of the alarm")


def test_orders_without_a_log_are_refused() -> None:
    command = [sys.executable, "-m", "frontproxy.learn.maillog", "--orders"]
    orders = '{"report": "/nowhere"}\n'
    done = subprocess.run(command, input=orders, capture_output=True, text=True, timeout=DEADLINE, check=False)

    assert done.returncode == 64
    assert done.stderr == (
        'event=feed_error name=maillog what="standard input: \\"file\\", the path of the log, is missing"\n'
    )


def test_a_log_without_ports_is_an_alarm_that_says_what_to_do(street: Street) -> None:
    street.postfix.write_main({})
    street.postfix.reload()
    for _ in range(20):
        street.send()

    remedy = "main.cf needs: smtpd_client_port_logging = yes"
    (alarm,) = wait_for(lambda: [text for text in street.house.ask("status")["alarms"] if remedy in text], "the alarm")
    assert alarm.startswith("feed maillog: ")
    assert street.house.events("outcome") == []


@contextmanager
def journal(log: Path, fifo: Path) -> Iterator[None]:
    """What is new in a log goes into a FIFO, as by `journalctl -f -n 0`."""
    with fifo.open("wb") as pipe:
        process = subprocess.Popen(["tail", "-n", "0", "-f", str(log)], stdout=pipe)
    try:
        # It has opened the log, and stands at its end.
        wait_for(lambda: Path(f"/proc/{process.pid}/fdinfo/3").exists(), "tail")
        yield
    finally:
        process.kill()
        process.wait(DEADLINE)


def test_a_journal_that_comes_by_a_fifo_is_read_whoever_writes(
    build_street: Callable[..., Street], postfix: Postfix, folder: Path
) -> None:
    fifo = folder / "journal"
    os.mkfifo(fifo)
    street = build_street(fifo)
    for _ in range(2):
        with journal(postfix.folder / "log", fifo):
            street.deliver(2)

    assert street.feed()["trouble"] is None
    assert street.counted("unmatched") == street.counted("repeated") == 0


def test_three_feeds_that_see_one_session_count_it_once(build_street: Callable[..., Street], postfix: Postfix) -> None:
    with Port() as milter, Port() as policy:
        asked = f"check_policy_service {{ inet:{policy}, default_action=DUNNO, policy_context=%s }}"
        doors = {
            "smtpd_milters": f"{{ inet:{milter}, default_action=accept }}",
            "smtpd_relay_restrictions": f"{asked % 'pre'}, reject_unauth_destination",
            "smtpd_recipient_restrictions": f"reject_unlisted_recipient, {asked % 'post'}",
            "smtpd_end_of_data_restrictions": asked % "post",
        }
        street = build_street(more=f'milter = "{milter}"\npolicy = "{policy}"')
        for name in ("milter", "policy"):
            street.feed(name)
        postfix.write_main({**PORTS, **doors})
        postfix.reload()
        street.send()
        wait_for(lambda: street.counted("repeated") == 1, "the milter and the log")
        postfix.stop()  # whose connections tell the policy service that the session is over
        wait_for(lambda: street.counted("repeated") == 2, "all three")

        (outcome,) = street.house.events("outcome")
        assert "good=1 bad=0" in outcome
        (client,) = street.house.ask("clients")["busiest"]
        assert (client["client"], client["good"], client["bad"]) == (CLIENT, 1, 0)


EXIM = """
[learn]
maillog = "{log}"
[pool.nice]
backends = ["tcp:127.0.0.1:{port}?proxy={proxy}"]
per_client = 50
handover_wait = "20s"
[[route]]
to = "nice"
"""


@pytest.fixture
def exim() -> Iterator[Exim]:
    need("exim4", root=True)
    with Exim() as exim:
        yield exim


@pytest.mark.parametrize("proxy", ["v1", "v2"])
def test_sessions_relayed_to_exim_are_learned_from_its_mainlog(
    build: Callable[..., House], exim: Exim, proxy: str
) -> None:
    house = build(LISTEN + EXIM.format(log=exim.mainlog, port=exim.proxied_port, proxy=proxy)).start()
    wait_for(lambda: house.events("feed_ready", name="maillog"), "the log feed")
    house.deliver(CLIENT, "user@example.test")
    with house.smtp("127.0.0.6") as session:
        session.ehlo()
        session.mail("me@example.org")
        for recipient in ("no@example.test", "nobody@example.test", "you@elsewhere.test"):
            assert session.rcpt(recipient)[0] == 550

    (good,) = house.wait_for_outcomes(CLIENT, 1)
    (bad,) = house.wait_for_outcomes("127.0.0.6", 1)
    assert "messages=1 recipients=1 refused=0" in good
    assert "refused=3" in bad
    assert house.ask("status")["counters"].get("outcomes_unmatched", 0) == 0

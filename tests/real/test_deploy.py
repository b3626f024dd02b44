"""The deployment on a machine of its own, with its systemd and its Postfix: what an operator would see and try."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.machine import PROGRAMS, REPOSITORY, Machine, why_not
from tests.real.house import wait_for
from tests.real.need import need

DEPLOY = REPOSITORY / "deploy"
CONFIG = (DEPLOY / "config-postfix.toml").read_text()
UNITS = "/etc/systemd/system"
MAIN_CF = """\
compatibility_level = 3.6
myhostname = mx.example.test
mydestination = example.test
local_recipient_maps = inline:{user=here}
local_transport = discard:silently
alias_maps =
mynetworks =
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject_unauth_destination
maillog_file = /tmp/log
maillog_file_prefixes = /tmp
"""
MASTER_CF = """\
smtp      inet  n       -       n       -       -       smtpd
  -o syslog_name=postfix/mx
  -o { smtpd_sender_restrictions = permit_mynetworks, check_sender_access inline:{refused.example=reject} }
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
discard   unix  -       -       n       -       -       discard
anvil     unix  -       -       n       -       1       anvil
postlog   unix-dgram n  -       n       -       1       postlogd
"""
# What a client in the machine does; `speak` ends with the greeting's code.
CLIENT = """
import smtplib, socket, subprocess, sys, time
def session(host="127.0.0.1", port=25, source=""):
    return smtplib.SMTP(host, port, "client.example.org", 20, source_address=(source, 0) if source else None)
def deliver(connection):
    connection.sendmail("me@example.org", "user@example.test", "Subject: hello\\r\\n\\r\\nHello.\\r\\n")
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Postfix as Debian installs it, set up by the script, with frontproxy on port 25."""
    need(*PROGRAMS, "postfix", "nft", root=True)
    if reason := why_not():
        pytest.skip(reason)
    with Machine() as machine:
        _install(machine)
        yield machine


def _install(machine: Machine) -> None:
    machine.run("useradd", "--system", "--no-create-home", "frontproxy")
    machine.write("/etc/frontproxy/config.toml", CONFIG)
    for path in (DEPLOY / "systemd/frontproxy.service", DEPLOY / "systemd/frontproxy.socket"):
        machine.write(f"{UNITS}/{path.name}", path.read_text())
    for name, text in (("main.cf", MAIN_CF), ("master.cf", MASTER_CF)):
        machine.write(f"/etc/postfix/{name}", text)
    machine.run("chmod", "755", "/var/spool/postfix")
    deploy = Path("/opt/frontproxy/src/deploy")
    machine.run(str(deploy / "postfix/setup"), "--apply", "--take-port-25", "--bypass-port", "2526")
    machine.run("postfix", "start")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "frontproxy")


def status(machine: Machine) -> dict[str, Any]:
    """What `frontproxy status` says."""
    answer: dict[str, Any] = json.loads(machine.run("/opt/frontproxy/bin/frontproxy", "status", "--json"))
    return answer


def main_pid(machine: Machine) -> str:
    """Its main process, as the machine counts."""
    return machine.run("systemctl", "show", "--property=MainPID", "--value", "frontproxy").strip()


def mail_log(machine: Machine) -> str:
    """What Postfix has logged."""
    return machine.run("cat", "/tmp/log")


def listens_on_25(machine: Machine) -> bool:
    """Somebody does."""
    return bool(machine.run("ss", "-Hltn", "sport = :25"))


def wait_for_mail_log(machine: Machine, words: str) -> None:
    """Postfix writes its log a moment later."""
    wait_for(lambda: words in mail_log(machine), f"{words} in Postfix' log")


def test_frontproxy_runs_without_any_privilege(machine: Machine) -> None:
    lines = machine.run("cat", f"/proc/{main_pid(machine)}/status").splitlines()
    facts = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}

    assert "0" not in facts["Uid"]
    assert facts["CapEff"] == facts["CapPrm"] == facts["CapBnd"] == facts["CapAmb"] == ["0" * 16]
    assert facts["NoNewPrivs"] == ["1"]
    assert facts["Seccomp"] == ["2"], "its system calls are filtered"


@pytest.mark.parametrize(("host", "source"), [("127.0.0.1", "127.9.8.7"), ("::1", "")])
def test_postfix_sees_the_client_as_it_is(machine: Machine, host: str, source: str) -> None:
    machine.python(CLIENT + f"with session({host!r}, 25, {source!r}) as connection: deliver(connection)")

    wait_for_mail_log(machine, f"disconnect from unknown[{source or host}]")
    assert "postfix/nice/smtpd[" in mail_log(machine)


def test_the_kernel_tells_frontproxy_who_has_gone(machine: Machine) -> None:
    ask = ["/opt/frontproxy/bin/frontproxy", "status", "--json"]
    during = machine.python(CLIENT + f"connection = session(); subprocess.run({ask!r})")

    assert taken(json.loads(during)) == 1
    wait_for(lambda: taken(status(machine)) == 0, "the end of a session that Postfix has")


def taken(answer: dict[str, Any]) -> int:
    """Places of the nice pool that are taken."""
    [nice] = [pool for pool in answer["pools"] if pool["name"] == "nice"]
    return int(nice["taken"])


def test_a_restart_refuses_no_newcomer(machine: Machine) -> None:
    """Sessions one after the other while it ends and comes back; any that fails is a traceback."""
    before = main_pid(machine)
    machine.python(
        CLIENT
        + f"""
def pid():
    show = ["systemctl", "show", "--property=MainPID", "--value", "frontproxy"]
    return subprocess.run(show, capture_output=True, text=True).stdout.strip()
order = subprocess.Popen(["systemctl", "restart", "frontproxy"])
after = 0
while after < 3:
    with session() as connection:
        assert connection.noop()[0] == 250
    after += pid() not in ("0", {before!r})
assert order.wait() == 0
"""
    )

    assert main_pid(machine) != before


def test_after_a_crash_the_next_clients_wait_a_moment_and_are_served(machine: Machine) -> None:
    before = main_pid(machine)
    machine.run("systemctl", "kill", "--signal=KILL", "frontproxy")
    machine.python(CLIENT + "with session() as connection: deliver(connection)")

    assert main_pid(machine) not in {"0", before}


def test_a_session_that_postfix_has_lives_through_a_restart(machine: Machine) -> None:
    machine.python(
        CLIENT + "with session() as connection: connection.ehlo(); "
        'subprocess.run(["systemctl", "restart", "frontproxy"], check=True); deliver(connection)'
    )


def test_a_reload_with_a_mistake_fails_and_changes_nothing(machine: Machine) -> None:
    machine.write("/etc/frontproxy/config.toml", CONFIG.replace("[listen]", "[listen]\npause = 6"))
    assert "failed" in machine.run("systemctl", "reload", "frontproxy", check=False)
    said = machine.run("journalctl", "--no-pager", "-u", "frontproxy", "-n", "20")
    machine.write("/etc/frontproxy/config.toml", CONFIG)

    assert "listen.pause" in said
    machine.run("systemctl", "reload", "frontproxy")
    machine.python(CLIENT + "with session() as connection: deliver(connection)")


def test_lists_are_compiled_by_a_child_in_the_same_sandbox(machine: Machine) -> None:
    lists = '[[list]]\nname = "own"\nkind = "own"\nnetworks = ["192.0.2.0/28", "2001:db8::/64"]\n'
    machine.write("/etc/frontproxy/config.toml", CONFIG + lists)
    machine.run("systemctl", "restart", "frontproxy")
    verdict = json.loads(machine.run("/opt/frontproxy/bin/frontproxy", "score", "--json", "192.0.2.1"))
    machine.write("/etc/frontproxy/config.toml", CONFIG)
    machine.run("systemctl", "reload", "frontproxy")

    assert verdict["settled"]


def test_a_process_that_hangs_is_replaced(machine: Machine) -> None:
    machine.write(f"{UNITS}/frontproxy.service.d/soon.conf", "[Service]\nWatchdogSec=1s\nTimeoutAbortSec=1s\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "frontproxy")
    before = main_pid(machine)
    machine.run("systemctl", "kill", "-s", "STOP", "--kill-who=main", "frontproxy")

    wait_for(lambda: main_pid(machine) not in {"0", before}, "another process")
    machine.run("rm", "-r", f"{UNITS}/frontproxy.service.d")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "frontproxy")
    machine.python(CLIENT + "with session() as connection: connection.noop()")


def set_up(machine: Machine, *options: str) -> None:
    """Run the script that sets up Postfix, and let Postfix follow."""
    machine.run("/opt/frontproxy/src/deploy/postfix/setup", "--apply", *options)
    machine.run("postfix", "reload")


def test_postfix_can_take_port_25_back(machine: Machine) -> None:
    """With the options it had there, as the README says it."""
    machine.run("systemctl", "stop", "frontproxy.socket")
    set_up(machine, "--return-port-25")
    try:
        wait_for(lambda: listens_on_25(machine), "Postfix on port 25")
        machine.python(CLIENT + "with session() as connection: deliver(connection)")
        wait_for_mail_log(machine, "postfix/mx/smtpd[")
    finally:
        set_up(machine, "--take-port-25")
        wait_for(lambda: not listens_on_25(machine), "a free port 25")
        machine.run("systemctl", "start", "frontproxy")


def test_what_the_site_asks_of_port_25_is_asked_behind_frontproxy(machine: Machine) -> None:
    said = machine.python(
        CLIENT
        + "connection = session(source='127.4.4.4'); connection.ehlo('client.example.org')\n"
        + "connection.mail('me@refused.example'); print(connection.rcpt('user@example.test'))"
    )

    assert "554, b'5.7.1" in said


def test_frontproxy_works_behind_postscreen(machine: Machine) -> None:
    """With a socket from systemd that is postscreen's alone."""
    machine.run("systemctl", "stop", "frontproxy.socket")
    drop_in = DEPLOY / "systemd/frontproxy.socket.d/postscreen.conf"
    machine.write(f"{UNITS}/frontproxy.socket.d/postscreen.conf", drop_in.read_text())
    machine.run("ln", "-sf", "/run/frontproxy-postscreen.sock", "/var/spool/postfix/private/frontproxy")
    service = "postscreen -o smtpd_service_name=frontproxy -o postscreen_greet_wait=1s -o postscreen_cache_map="
    machine.run("postconf", "-M", f"smtp/inet=smtp inet n - n - 1 {service}")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "frontproxy")
    machine.run("postfix", "reload")
    try:
        wait_for(lambda: listens_on_25(machine), "postscreen on port 25")
        machine.python(CLIENT + "with session(source='127.3.3.3') as connection: deliver(connection)")
        wait_for_mail_log(machine, "disconnect from unknown[127.3.3.3]")
    finally:
        machine.run("postconf", "-MX", "smtp/inet")
        machine.run("postfix", "reload")
        machine.run("systemctl", "stop", "frontproxy.socket")
        machine.run("rm", "-r", f"{UNITS}/frontproxy.socket.d")
        machine.run("systemctl", "daemon-reload")
        wait_for(lambda: not listens_on_25(machine), "a free port 25")
        machine.run("systemctl", "start", "frontproxy")

    log = mail_log(machine)
    assert "PASS NEW [127.3.3.3]" in log
    assert "postfix/nice/smtpd[" in log


def test_the_test_port_meets_this_machine_as_a_foe(machine: Machine) -> None:
    """Nobody is trusted, and the first error is the last."""
    said = machine.python(
        CLIENT
        + "connection = session(port=12345); connection.ehlo(); connection.mail('me@example.org')\n"
        + "print(connection.rcpt('other@example.org'), connection.noop())"
    )

    assert "554, b'5.7.1" in said
    assert "421, b'4.7.0" in said


WORLD = """\
ip netns add world
ip link add inside type veth peer name eth0 netns world
ip link set inside up
ip addr add 192.0.2.1/24 dev inside
ip addr add 2001:db8::1/64 dev inside nodad
ip -n world link set lo up
ip -n world link set eth0 up
ip -n world addr add 192.0.2.9/24 dev eth0
ip -n world addr add 2001:db8::9/64 dev eth0 nodad
"""


@pytest.fixture(scope="module")
def world(machine: Machine) -> Machine:
    """The machine with a neighbour, 192.0.2.9, in a network namespace called world."""
    machine.run("sh", "-ec", WORLD)
    return machine


def test_one_rule_leads_everybody_past_a_dead_frontproxy(world: Machine) -> None:
    world.run("systemctl", "stop", "frontproxy.socket")
    world.run("nft", "-f", "/opt/frontproxy/src/deploy/nftables/bypass.nft")
    try:
        for host, client in (("192.0.2.1", "192.0.2.9"), ("2001:db8::1", "2001:db8::9")):
            program = CLIENT + f"with session({host!r}) as connection: deliver(connection)"
            world.run("ip", "netns", "exec", "world", "/usr/bin/python3", "-", feed=program)
            wait_for_mail_log(world, f"disconnect from unknown[{client}]")
        world.python(CLIENT + "with session() as connection: deliver(connection)")  # and from the machine itself
        assert "postfix/bypass/smtpd[" in mail_log(world)
    finally:
        world.run("nft", "delete", "table", "inet", "frontproxy_bypass")
        world.run("systemctl", "start", "frontproxy")


def test_the_rule_leaves_mail_to_others_alone(world: Machine) -> None:
    """A server in the world is still reached at its own port 25."""
    world.run("nft", "-f", "/opt/frontproxy/src/deploy/nftables/bypass.nft")
    server = (
        "import socket; s = socket.create_server(('192.0.2.9', 25)); c = s.accept()[0]; c.sendall(b'220 world\\r\\n')"
    )
    try:
        said = world.python(
            "import subprocess, socket, time\n"
            f'subprocess.Popen(["ip", "netns", "exec", "world", "/usr/bin/python3", "-c", {server!r}])\n'
            "while True:\n"
            "    try: print(socket.create_connection(('192.0.2.9', 25), 20).recv(64)); break\n"
            "    except ConnectionRefusedError: time.sleep(0.01)\n"
        )
    finally:
        world.run("nft", "delete", "table", "inet", "frontproxy_bypass")

    assert "220 world" in said

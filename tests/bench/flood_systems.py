"""The four systems under the flood: the same Postfix, 50 smtpd processes in all, set up as manuals advise for overload.

All: no DNS, mail for an existing user discarded, no address privileged (`mynetworks` is empty); the parameters that
STRESS_README is about have their defaults, which adapt (`smtpd_timeout` 300 s or 10 s, `smtpd_hard_error_limit` 20 or
1, `smtpd_junk_command_limit` 100 or 1, `smtpd_per_request_deadline`). Postfix never adapts a service that listens on
a loopback address only, so those on TCP listen on 0.0.0.0.

- Postfix alone: one smtpd service of 50 processes, STRESS_README's "stress-adaptive".
- postscreen: the pregreet test on, with `drop` as its action, so that an early talker is gone at once; its limits as
  shipped. It gives clients to one smtpd service of 50 processes, which adapts as well.
- HAProxy: `maxconn 50` for the server, so that HAProxy and not Postfix holds those who wait, for 30 s at most; a stick
  table limits each address to 20 connections at a time and 120 a minute, generous for a mail server, and an address
  that came ten times in the last minute goes to the head of the line (without this hardly any known client was served;
  letting those go who waited for 5 s, half of them). Other time-outs are as long as SMTP's. It sends PROXY v2 to one
  smtpd service of 50 processes, which adapts.
- frontproxy: 30 nice processes, for friends only, and 20 hostile, both adapting; its milter is all it learns from. The
  rest is as shipped.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.real.house import House
from tests.real.postfix import Postfix, passed, postscreen, smtpd
from tests.real.servers import HaProxy

_ANY = "0.0.0.0"
_PROCESSES = 50
_NICE = 30
_HAPROXY = (
    "timeout queue 30s",
    f"default-server maxconn {_PROCESSES}",
    "tcp-request connection reject if { sc0_conn_cur gt 20 } || { sc0_conn_rate gt 120 }",
    "tcp-request content set-priority-class int(-10) if { sc0_conn_rate ge 10 }",
)
_FRONTPROXY = """
[listen]
addresses = ["127.0.0.1:0"]
[learn]
milter = "unix:{queue}/milter"
[pool.nice]
backends = ["pass:{nice}"]
sessions = {nice_places}
reserved = true
per_client = 10
queue = 200
patience = "20s"
fallback = "hostile"
[pool.hostile]
backends = ["pass:{hostile}"]
sessions = {hostile_places}
"""


_MILTERS = {
    "smtpd_milters": "{ unix:$queue_directory/milter, connect_timeout=1s, command_timeout=1s, content_timeout=1s,"
    " default_action=accept }"
}


@contextmanager
def postfix_alone() -> Iterator[int]:
    """Postfix, stress-adaptive; the port that clients connect to."""
    with Postfix(smtpd("smtpd", _PROCESSES, host=_ANY)) as postfix:
        yield postfix.port("smtpd")


@contextmanager
def behind_postscreen() -> Iterator[int]:
    """Postfix with postscreen in front."""
    screen = postscreen("screen", "smtpd", host=_ANY, postscreen_greet_action="drop", postscreen_access_list="")
    with Postfix(screen, passed("smtpd", _PROCESSES, private=True)) as postfix:
        yield postfix.port("screen")


@contextmanager
def behind_haproxy() -> Iterator[int]:
    """Postfix with HAProxy in front."""
    service = smtpd("smtpd", _PROCESSES, host=_ANY, smtpd_upstream_proxy_protocol="haproxy")
    with Postfix(service) as postfix, HaProxy(postfix.port("smtpd"), extra=_HAPROXY) as haproxy:
        yield haproxy.port


@contextmanager
def behind_frontproxy(more: str = "") -> Iterator[int]:
    """Postfix with frontproxy in front; `more` are further lines of its configuration."""
    hostile = _PROCESSES - _NICE
    services = passed("nice", _NICE), passed("hostile", hostile)
    with TemporaryDirectory(prefix="fp-") as name, Postfix(*services, main=_MILTERS) as postfix:
        config = _FRONTPROXY.format(
            queue=postfix.folder / "q",
            nice=postfix.pass_path("nice"),
            nice_places=_NICE,
            hostile=postfix.pass_path("hostile"),
            hostile_places=hostile,
        )
        house = House(Path(name), config + more).start()
        try:
            yield house.port
        finally:
            house.stop()


SYSTEMS: dict[str, Callable[[], AbstractContextManager[int]]] = {
    "Postfix alone": postfix_alone,
    "postscreen": behind_postscreen,
    "HAProxy": behind_haproxy,
    "frontproxy": behind_frontproxy,
}
"""By the name in tables and plots."""

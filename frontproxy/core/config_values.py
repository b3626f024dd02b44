"""The configuration as values: what config.toml says after it was checked; the defaults are those of the file we ship.

Durations are seconds, points and scores are decibans. Once parsed, every path is absolute; the relative defaults here
are resolved against the folder of the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from frontproxy.core.reply_pattern import ReplyPattern
from frontproxy.core.rules import Rule, compile_rule

Mode = Literal["enforce", "observe"]
TcpAddress = tuple[str, int]
"""Host (an IP address) and port."""
FieldValue = str | int | float | bool
"""What a field of a MaxMind database may be compared with."""
ListKind = Literal["points", "deny", "own", "relay", "probe", "forwarder"]

DAY: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Listen:
    """`[listen]`: the front door."""

    addresses: tuple[TcpAddress, ...] = (("127.0.0.1", 2525),)
    """Port 0 is any free one."""
    pass_sockets: tuple[Path, ...] = ()
    """Where postscreen may hand connections to us ("pass:/path")."""
    from_systemd: bool = False
    """Serve the sockets that systemd passed to us ("systemd")."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks in CIDR notation whose connections begin with a PROXY header."""
    waiting_room: int = 5000
    """Strangers being observed at once."""
    pause: float = 6.0
    """Seconds a client with a score of 0 is kept waiting for the greeting."""
    settled: float = 5.0
    """At or above this score a client is a friend."""
    drain_time: float = 30.0
    teaser: str = ""
    """What a stranger hears while it is observed, after "220-"; empty for nothing."""


@dataclass(frozen=True, slots=True)
class Admin:
    """`[admin]`: the operator's door."""

    socket: Path = Path("var/admin.sock")
    group: str = ""
    """Members of this group may connect, beside root and our own user; empty for nobody else."""


@dataclass(frozen=True, slots=True)
class History:
    """`[history]`: what earlier sessions taught, and how fast it is forgotten."""

    file: Path = Path("var/history.sqlite3")
    good_half_life: float = 30 * DAY
    bad_half_life: float = 7 * DAY
    evidence_cap: float = 25.0
    network_limit: float = 4.0
    """A neighbourhood alone gives at most this many points, up or down."""
    max_clients_remembered: int = 2_000_000


@dataclass(frozen=True, slots=True)
class PolicyService:
    """`[learn.policy]`, or `policy = "ADDRESS:PORT"` in `[learn]`."""

    address: TcpAddress | Path
    """Where the mail server connects to."""
    classes: tuple[tuple[str, str], ...] = ()
    """What is answered by route: a pool's name, or that with `.stress`, and an action of access(5) such as the name of
    a restriction class. DUNNO where nothing is named."""


@dataclass(frozen=True, slots=True)
class Learn:
    """`[learn]`: where outcomes come from."""

    report: Path = Path("var/report.sock")
    milter: TcpAddress | Path | None = None
    """Where the passive milter listens for Postfix; None for no milter."""
    maillog: Path | None = None
    """The mail server's log, followed as it grows; a file or a FIFO. None for no log."""
    policy: PolicyService | None = None
    """Where the mail server asks what to do with a client; None for no policy service."""
    foreign: bool = False
    """Learn from sessions that we did not hand over."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One smtpd service, as config.toml spells it: `kind:target`."""

    kind: Literal["bundled", "pass", "tcp"]
    target: str
    """A personality; the path of a socket; an address, a port and `?proxy=`."""
    server: TcpAddress = ("", 0)
    """Where a server of kind tcp listens."""
    proxy: Literal["v1", "v2", "none"] = "none"
    """The PROXY header that a server of kind tcp expects."""

    @property
    def name(self) -> str:
        """As config.toml spells it."""
        return f"{self.kind}:{self.target}"


@dataclass(frozen=True, slots=True)
class Pool:
    """`[pool.NAME]`: the backends of one kind of service, and its capacity in sessions."""

    name: str
    backends: tuple[Backend, ...]
    sessions: int = 20
    reserved: bool = False
    """Strangers never take its places."""
    per_client: int = 3
    queue: int = 200
    patience: float = 5.0
    handover_wait: float = 0.25
    """Handovers that wait longer than this mean stress."""
    fallback: str = ""
    """The pool that takes who finds no place here; empty for none."""


@dataclass(frozen=True, slots=True)
class Points:
    """`[points]`: what evidence is worth."""

    pregreet: float = -30.0
    returned: float = 3.0
    open_sessions: float = -0.5
    """For each open session of a client beyond ten; together with `rate` never below -4."""
    rate: float = -0.1
    """For each connection of a client within a minute beyond sixty."""
    name_confirmed: float = 0.5
    """The client's name leads back to it; with a neighbourhood's limit of 4 still less than a friend."""
    name_unconfirmed: float = -1.0
    name_missing: float = -3.0
    name_access: float = -4.0
    """Instead of `name_confirmed`: the confirmed name looks like that of an access line."""


@dataclass(frozen=True, slots=True)
class ListSettings:
    """One `[[list]]`: networks from a file, or from the configuration itself, or both."""

    name: str
    kind: ListKind
    file: Path | None = None
    networks: tuple[str, ...] = ()
    points: float = 0.0


@dataclass(frozen=True, slots=True)
class Geo:
    """One `[[geo]]`: a MaxMind database that knows ASN or country."""

    file: Path


@dataclass(frozen=True, slots=True)
class NetworkEvidence:
    """One `[[network]]`: points for clients of any of these ASNs or countries, or of whom a database says this."""

    asn: tuple[int, ...]
    country: tuple[str, ...]
    points: float
    where: tuple[tuple[str, tuple[FieldValue, ...]], ...] = ()
    """Fields of any `[[geo]]` database, "traits.user_type", each with the values of which one must be equal."""


@dataclass(frozen=True, slots=True)
class Dns:
    """`[dns]`: whom to ask about names and DNS lists, and how much."""

    servers: tuple[TcpAddress, ...] = ()
    """Resolvers; none for those of resolv.conf."""
    lookups_per_second: int = 200
    names: bool = True
    """Look up the names of strangers."""
    under_stress: bool = True
    """Ask under stress too, within the same budget."""
    generic: tuple[str, ...] = ()
    """Registrable domains that are no provider, beside those we know; in lower case."""


@dataclass(frozen=True, slots=True)
class ReplyPoints:
    """What some replies of a DNS list are worth."""

    pattern: ReplyPattern
    points: float

    @property
    def weight(self) -> tuple[float, float]:
        """Of several that match, the one of the largest weight counts: the most points, of equals those against."""
        return abs(self.points), -self.points


@dataclass(frozen=True, slots=True)
class DnsListSettings:
    """One `[[dnslist]]`: a list to ask about strangers, block list or allow list."""

    zone: str
    """In lower case, without a dot at its end."""
    replies: tuple[ReplyPoints, ...]

    def worth(self, codes: Sequence[str]) -> float | None:
        """The points of a listing with these replies; None if none of them is meant.

        The replies of one list are correlated, so they are not summed: the weightiest counts.
        """
        found = [reply for reply in self.replies if any(map(reply.pattern.matches, codes))]
        return max(found, key=lambda reply: reply.weight).points if found else None


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """One `[[route]]`: where a client goes if the rule holds. Exactly one of `to` and `reply` is set."""

    rule: Rule | None
    """None for the last route, which takes everybody."""
    to: str = ""
    reply: str = ""


POOLS: Final = (
    Pool(
        name="nice",
        backends=(Backend("bundled", "nice"),),
        sessions=50,
        reserved=True,
        per_client=10,
        patience=20.0,
        fallback="hostile",
    ),
    Pool(name="hostile", backends=(Backend("bundled", "hostile"),)),
)
"""The pools of a file that names none."""

DEFAULT_REPLY: Final = "421 4.3.2 Try again later"
ROUTES: Final = (
    RouteSettings(compile_rule("score >= 5"), to="nice"),
    RouteSettings(compile_rule("stress and score <= -10"), reply=DEFAULT_REPLY),
    RouteSettings(None, to="hostile"),
)
"""The routes of a file that names none."""


def default_smtpd() -> dict[str, Any]:
    """The bundled smtpd of a file without `[smtpd]`."""
    return {
        "hostname": "mx.example.com",
        "domains": ["example.com"],
        "delivery": "maildir:var/mail",
        "timeout": "300s",
        "hard_error_limit": 20,
        "hostile": {"timeout": "60s", "stress": {"timeout": "10s", "hard_error_limit": 1}},
    }


@dataclass(frozen=True, slots=True)
class Config:
    """All of config.toml."""

    mode: Mode = "enforce"
    listen: Listen = Listen()
    admin: Admin = Admin()
    history: History = History()
    learn: Learn = Learn()
    pools: tuple[Pool, ...] = POOLS
    """In the order of the file; under `observe` everyone goes to the first."""
    smtpd: dict[str, Any] = field(default_factory=default_smtpd)
    """`[smtpd]` as it stands in the file: the bundled smtpd checks it itself."""
    points: Points = Points()
    lists: tuple[ListSettings, ...] = ()
    geo: tuple[Geo, ...] = ()
    networks: tuple[NetworkEvidence, ...] = ()
    dns: Dns = Dns()
    dnslists: tuple[DnsListSettings, ...] = ()
    routes: tuple[RouteSettings, ...] = ROUTES

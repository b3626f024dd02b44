"""The effective configuration: what `check --print` writes, read again, is the configuration it was written from."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.core.config import (
    Admin,
    Backend,
    Config,
    Dns,
    DnsListSettings,
    Geo,
    History,
    Learn,
    Listen,
    ListSettings,
    NetworkEvidence,
    Points,
    Pool,
    ReplyPoints,
    RouteSettings,
    effective,
    parse,
)
from frontproxy.core.reply_pattern import parse_pattern
from frontproxy.core.rules import compile_rule
from frontproxy.core.toml_text import dumps

FOLDER = Path("/etc/frontproxy")


def _anchored(config: Config) -> Config:
    return replace(
        config,
        admin=replace(config.admin, socket=FOLDER / config.admin.socket),
        history=replace(config.history, file=FOLDER / config.history.file),
        learn=replace(config.learn, report=FOLDER / config.learn.report),
    )


def test_where_a_milter_listens_is_printed_as_it_was_written() -> None:
    for written in ("127.0.0.1:10032", "[::1]:10032", "unix:/run/frontproxy/milter.sock"):
        config = parse(f'[learn]\nmilter = "{written}"\n', file_name="config.toml", folder=FOLDER).config

        assert effective(config)["learn"]["milter"] == written
        assert _read_again(config) == config


def test_a_policy_service_is_printed_with_its_classes() -> None:
    texts = (
        'policy = "unix:/run/policy.sock"',
        'policy = { address = "[::1]:10031", classes = { nice = "a", reply = "reply" } }',
    )
    for written in texts:
        config = parse(f"[learn]\n{written}\nmaillog = 'mail.log'", file_name="config.toml", folder=FOLDER).config

        assert config.learn.maillog == FOLDER / "mail.log"
        assert config.learn.policy is not None
        assert _read_again(config) == config


def test_pools_without_servers_are_printed_as_such() -> None:
    config = parse("[listen]\naddresses = []\n[learn]\nforeign = true", file_name="c", folder=FOLDER).config

    assert [pool.backends for pool in config.pools] == [(), ()]
    assert _read_again(config) == config


def _read_again(config: Config) -> Config:
    checked = parse(dumps(effective(config)), file_name="printed", folder=FOLDER)
    assert checked.mistakes == []
    return checked.config


def test_the_defaults_are_printed_as_people_write_them() -> None:
    printed = effective(parse("", file_name="config.toml", folder=FOLDER).config)

    assert printed["listen"] == {
        "addresses": ["127.0.0.1:2525"],
        "trusted_proxies": [],
        "waiting_room": 5000,
        "pause": "6s",
        "settled": 5,
        "drain_time": "30s",
        "teaser": "",
    }
    assert printed["pool"]["nice"]["handover_wait"] == "250ms"
    assert printed["admin"]["socket"] == "/etc/frontproxy/var/admin.sock"
    assert printed["points"]["rate"] == -0.1
    assert printed["points"]["name_missing"] == -3
    assert (printed["dns"]["servers"], printed["dns"]["generic"], printed["dns"]["lookups_per_second"]) == ([], [], 200)
    assert printed["dns"]["names"] is printed["dns"]["under_stress"] is True
    assert printed["route"][1] == {"when": "stress and score <= -10", "reply": "421 4.3.2 Try again later"}
    assert "list" not in printed
    assert "dnslist" not in printed


def test_optional_sections_are_printed_too() -> None:
    text = (
        '[[geo]]\nfile = "asn.mmdb"\n[[network]]\nasn = [64500]\npoints = -3\n'
        '[[list]]\nname = "ours"\nkind = "own"\nfile = "own.cidr"\n'
        '[[list]]\nname = "partners"\nkind = "points"\nnetworks = ["192.0.2.0/24"]\npoints = 2.5\n'
        '[dns]\nservers = ["192.0.2.53", "[::1]:5353"]\n'
        '[[dnslist]]\nzone = "BL.example.com"\nreplies = { "127.0.0.2-9" = -25, "127.0.*.10" = 0.5 }\n'
        '[[network]]\nwhere = { "traits.user_type" = ["residential"], is_anycast = [true] }\npoints = -3\n'
    )
    config = parse(text, file_name="config.toml", folder=FOLDER).config

    assert _read_again(config) == config
    assert effective(config)["list"] == [
        {"name": "ours", "kind": "own", "file": "/etc/frontproxy/own.cidr"},
        {"name": "partners", "kind": "points", "networks": ["192.0.2.0/24"], "points": 2.5},
    ]
    assert effective(config)["dns"]["servers"] == ["192.0.2.53:53", "[::1]:5353"]
    assert effective(config)["dnslist"] == [
        {"zone": "bl.example.com", "replies": {"127.0.0.2-9": -25, "127.0.*.10": 0.5}}
    ]
    assert effective(config)["network"][1]["where"] == {"traits.user_type": ["residential"], "is_anycast": [True]}


def _seconds(low: int, high: int) -> st.SearchStrategy[float]:
    return st.integers(low, high).map(lambda milliseconds: milliseconds / 1000)


def _points(low: float, high: float) -> st.SearchStrategy[float]:
    return st.one_of(st.floats(low, high), st.integers(int(low), int(high)).map(float))


words = st.text("ab_$\"'#é", min_size=1, max_size=8)
names = st.from_regex(r"pool[a-zA-Z0-9_-]{0,8}", fullmatch=True)
paths = st.text("abc .'\"\\#=[]é", min_size=1, max_size=20).map(lambda text: Path("/var") / text)
addresses = st.tuples(st.sampled_from(("127.0.0.1", "::1", "2001:db8::1")), st.integers(0, 65535))
relays = st.sampled_from(
    (
        Backend("tcp", "192.0.2.1:25?proxy=v2", ("192.0.2.1", 25), "v2"),
        Backend("tcp", "[2001:db8::1]:2525?proxy=none", ("2001:db8::1", 2525), "none"),
    )
)
backends = st.one_of(
    st.builds(Backend, st.just("bundled"), names), st.builds(Backend, st.just("pass"), paths.map(str)), relays
)
networks = st.lists(st.sampled_from(("192.0.2.0/24", "2001:db8::/32", "198.51.100.1/32")), max_size=2, unique=True)
asns = st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=2, unique=True).map(tuple)
countries = st.lists(st.from_regex("[A-Z]{2}", fullmatch=True), max_size=2, unique=True).map(tuple)
replies = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20).map(
    "451 4.7.1 {}".format
)
rules = st.sampled_from(("score >= 5", "stress and score <= -10", "country in (\"DE\", 'FR')", 'name == "é"')).map(
    compile_rule
)


_evidence_points = st.builds(
    Points,
    **{
        field.name: _points(0, 100) if field.default > 0 else _points(-100, 0)  # type: ignore[operator]  # numbers all
        for field in fields(Points)
    },
)
domains = st.from_regex(r"([a-z0-9_]{1,5}\.){1,3}[a-z]{2,4}", fullmatch=True)
servers = st.tuples(st.sampled_from(("127.0.0.1", "::1", "2001:db8::1")), st.integers(1, 65535))
patterns = st.sampled_from(("127.0.0.2", "127.0.0.2-9", "127.0.*.3", "*.*.*.*", "127.0.0.2-2")).map(parse_pattern)
replies_of_lists = st.lists(
    st.builds(ReplyPoints, patterns, _points(-100, 100)),
    min_size=1,
    max_size=3,
    unique_by=lambda reply: reply.pattern.text,
).map(tuple)
fields_of_databases = st.lists(
    st.tuples(
        st.text("ab_.\"'#é", min_size=1, max_size=8).filter(lambda path: all(path.split("."))),
        st.lists(
            st.one_of(words, st.booleans(), st.integers(2, 2**60), st.floats(-1e9, -1.5)),
            min_size=1,
            max_size=3,
            unique=True,
        ).map(tuple),
    ),
    max_size=2,
    unique_by=lambda pair: pair[0],
).map(tuple)


@st.composite
def _sections(draw: st.DrawFn) -> Config:
    return Config(
        mode=draw(st.sampled_from(("enforce", "observe"))),
        listen=Listen(
            addresses=tuple(draw(st.lists(addresses, min_size=1, max_size=3, unique=True))),
            pass_sockets=tuple(draw(st.lists(st.sampled_from((Path("/run/a b"), Path("/run/é"))), unique=True))),
            from_systemd=draw(st.booleans()),
            trusted_proxies=tuple(draw(networks)),
            waiting_room=draw(st.integers(1, 10**6)),
            pause=draw(_seconds(0, 240_000)),
            settled=draw(_points(1, 100)),
            drain_time=draw(_seconds(0, 86_400_000)),
            teaser=draw(st.from_regex(r"[A-Za-z\"'\\#][ -~]{0,20}|", fullmatch=True)),
        ),
        admin=Admin(socket=draw(paths), group=draw(st.text("ab'\"\\ é", max_size=5))),
        history=History(
            file=draw(paths),
            good_half_life=draw(st.integers(1, 10**8).map(float)),
            bad_half_life=draw(st.integers(1, 10**8).map(float)),
            evidence_cap=draw(_points(1, 1000)),
            network_limit=draw(_points(0, 100)),
        ),
        learn=Learn(report=Path("/run/report.sock"), foreign=draw(st.booleans())),
        points=draw(_evidence_points),
    )


@st.composite
def _services(draw: st.DrawFn) -> Config:
    titles = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    pools = tuple(
        Pool(
            name=title,
            backends=tuple(draw(st.lists(backends, min_size=1, max_size=2, unique=True))),
            sessions=draw(st.integers(1, 10**6)),
            reserved=title != titles[-1],
            per_client=draw(st.integers(1, 10**6)),
            queue=draw(st.integers(0, 10**6)),
            patience=draw(_seconds(0, 240_000)),
            handover_wait=draw(_seconds(1, 240_000)),
            fallback=below,
        )
        for title, below in zip(titles, [*titles[1:], ""], strict=True)
    )
    ways = st.one_of(
        st.builds(RouteSettings, rules, to=st.sampled_from(titles)), st.builds(RouteSettings, rules, reply=replies)
    )
    return Config(pools=pools, routes=(*draw(st.lists(ways, max_size=3)), RouteSettings(None, to=titles[-1])))


@st.composite
def _evidence(draw: st.DrawFn) -> Config:
    kinds: st.SearchStrategy[Any] = st.sampled_from(("deny", "own", "relay", "probe"))
    titles = draw(st.lists(names, max_size=2, unique=True))
    lists = [ListSettings(title, draw(kinds), file=draw(paths), networks=tuple(draw(networks))) for title in titles]
    lists.append(ListSettings("friends", "points", networks=("192.0.2.0/24",), points=draw(_points(1, 100))))
    return Config(
        lists=tuple(lists),
        geo=tuple(draw(st.lists(st.builds(Geo, paths), max_size=2))),
        networks=tuple(
            draw(st.lists(st.builds(NetworkEvidence, asns, countries, _points(-9, 9), fields_of_databases), max_size=2))
        ),
        dns=Dns(
            servers=tuple(draw(st.lists(servers, max_size=2, unique=True))),
            lookups_per_second=draw(st.integers(1, 10**6)),
            names=draw(st.booleans()),
            generic=tuple(draw(st.lists(domains, max_size=2, unique=True))),
        ),
        dnslists=tuple(
            DnsListSettings(zone, draw(replies_of_lists)) for zone in draw(st.lists(domains, max_size=2, unique=True))
        ),
        smtpd=draw(st.dictionaries(words, st.one_of(st.integers(), st.booleans(), words), max_size=3)),
    )


@settings(max_examples=12)
@given(_sections())
def test_the_printed_sections_are_the_same_sections(config: Config) -> None:
    assert _read_again(config) == _anchored(config)


@settings(max_examples=12)
@given(_services())
def test_the_printed_pools_and_routes_are_the_same_pools_and_routes(config: Config) -> None:
    assert _read_again(config) == _anchored(config)


@settings(max_examples=12)
@given(_evidence())
def test_the_printed_evidence_is_the_same_evidence(config: Config) -> None:
    assert _read_again(config) == _anchored(config)

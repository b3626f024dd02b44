"""The configuration as a whole: what we ship works, what is broken is told line by line, and nothing raises."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.core.config import (
    Backend,
    Checked,
    Config,
    DnsListSettings,
    Geo,
    ListSettings,
    NetworkEvidence,
    ReplyPoints,
    parse,
)
from frontproxy.core.config_values import PolicyService
from frontproxy.core.reply_pattern import parse_pattern

FOLDER = Path("/etc/frontproxy")
SHIPPED = Path(__file__).parents[2] / "config.toml"
BROKEN = sorted((Path(__file__).parents[1] / "configs").glob("*.toml"))


def check(text: str) -> Checked:
    return parse(text, file_name="config.toml", folder=FOLDER)


def test_the_shipped_file_has_neither_mistakes_nor_warnings() -> None:
    checked = check(SHIPPED.read_text())

    assert (checked.mistakes, checked.warnings) == ([], [])


def test_an_empty_file_means_what_the_shipped_one_says() -> None:
    empty = check("")

    assert (empty.mistakes, empty.warnings) == ([], [])
    assert empty.config == check(SHIPPED.read_text()).config


def test_the_defaults_are_those_of_an_empty_file_but_for_the_folder() -> None:
    config = check("").config
    plain = Config()

    assert config.admin.socket == FOLDER / plain.admin.socket
    assert config.history.file == FOLDER / plain.history.file
    assert config.learn.report == FOLDER / plain.learn.report
    assert replace(config, admin=plain.admin, history=plain.history, learn=plain.learn) == plain


def test_the_examples_of_the_shipped_file_work_when_uncommented() -> None:
    text = re.sub(r"^#(?=\S)", "", SHIPPED.read_text(), flags=re.MULTILINE)
    checked = check(text)

    assert checked.mistakes == []
    assert [warning.key for warning in checked.warnings] == ["learn.milter"]  # the pools lead to the bundled smtpd
    assert [settings.name for settings in checked.config.lists] == ["partners"]
    assert checked.config.geo == (Geo(FOLDER / "asn.mmdb"),)
    assert checked.config.networks == (
        NetworkEvidence(
            asn=(64500,),
            country=("ZZ",),
            points=-3.0,
            where=(("traits.user_type", ("residential", "cellular")), ("traits.is_anonymous_proxy", (True,))),
        ),
    )
    assert [settings.zone for settings in checked.config.dnslists] == ["zen.spamhaus.org", "list.dnswl.org"]
    assert checked.config.smtpd["error_sleep_time"] == "1s"
    assert checked.config.learn.maillog == Path("/var/log/mail.log")


def test_each_setting_of_the_shipped_file_stands_under_a_comment() -> None:
    """A blank line ends what a comment is about; only repeated tables may do without one."""
    blocks = SHIPPED.read_text().split("\n\n")
    bare = [block for block in blocks if not block.lstrip("\n").startswith("#")]

    assert [block.lstrip("\n").splitlines()[0] for block in bare] == ["[pool.hostile]", "[[route]]", "[[route]]"]


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_file_is_told_what_stands_beside_it(path: Path) -> None:
    checked = check(path.read_text())
    told = [str(mistake) for mistake in checked.mistakes] + [f"warning: {warning}" for warning in checked.warnings]

    assert told == path.with_suffix(".expected").read_text().splitlines()
    assert told


def test_there_are_many_broken_files() -> None:
    assert len(BROKEN) >= 25


def test_a_wrong_value_is_replaced_by_its_default() -> None:
    checked = check(
        'mode = 1\npool = 1\nsmtpd = 1\nroute = 1\n[listen]\npause = 1\naddresses = ["[::1]:25", "x"]\n'
        "[admin]\nsocket = 1"
    )

    assert len(checked.mistakes) == 7
    assert checked.config == check("").config


def test_what_is_not_toml_is_one_mistake_and_the_defaults() -> None:
    checked = check('mode = "observe"\n[listen')

    assert [mistake.line for mistake in checked.mistakes] == [2]
    assert checked.config == check("").config


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("[listen]\na = " + "[" * 5000, 0, "this is nested too deeply to be a configuration"),
        ("a = " + "9" * 5000, 0, "this is not TOML: Exceeds the limit (4300 digits) for integer string conversion"),
        ("\n\na = [", 3, "this is not TOML: Invalid value"),
        ("a = 1\n= 2\n", 2, "this is not TOML: Invalid statement"),
    ],
)
def test_toml_that_python_cannot_read_is_a_mistake_too(text: str, line: int, what: str) -> None:
    (mistake,) = check(text).mistakes

    assert (mistake.line, mistake.what.partition(": value has")[0]) == (line, what)


def test_relative_paths_start_at_the_folder_and_absolute_ones_stay() -> None:
    config = check(
        '[admin]\nsocket = "/run/admin.sock"\n[pool.nice]\nbackends = ["pass:public/nice", "pass:/run/nice"]\n'
        '[[list]]\nname = "ours"\nkind = "own"\nfile = "own.cidr"\n[[geo]]\nfile = "/var/lib/asn.mmdb"'
    ).config

    assert config.admin.socket == Path("/run/admin.sock")
    assert config.learn.report == FOLDER / "var/report.sock"
    assert config.pools[0].backends == (Backend("pass", "/etc/frontproxy/public/nice"), Backend("pass", "/run/nice"))
    assert config.lists == (ListSettings("ours", "own", file=FOLDER / "own.cidr"),)
    assert config.geo == (Geo(Path("/var/lib/asn.mmdb")),)


def test_addresses_and_networks_get_their_usual_spelling() -> None:
    config = check(
        '[listen]\naddresses = ["[2001:DB8:0::1]:25", "127.0.0.1:0", "[::ffff:192.0.2.1]:25"]\n'
        '[[list]]\nname = "ours"\nkind = "own"\nnetworks = ["2001:DB8::/32", "192.0.2.1"]'
    ).config

    assert config.listen.addresses == (("2001:db8::1", 25), ("127.0.0.1", 0), ("192.0.2.1", 25))
    assert config.lists[0].networks == ("2001:db8::/32", "192.0.2.1/32")


def test_a_pool_starts_from_the_defaults_of_all_pools() -> None:
    (pool,) = check('[pool.all]\n[[route]]\nto = "all"').config.pools

    assert pool.backends == (Backend("bundled", "all"),)
    assert (pool.sessions, pool.reserved, pool.per_client, pool.fallback) == (20, False, 3, "")


def test_where_nobody_comes_in_pools_are_names_without_servers() -> None:
    text = '[listen]\naddresses = []\n[learn]\nforeign = true\n[pool.good]\n[pool.bad]\n[[route]]\nto = "bad"'
    checked = check(text)

    assert checked.mistakes == []
    assert [(pool.name, pool.backends) for pool in checked.config.pools] == [("good", ()), ("bad", ())]


def test_actions_are_those_of_access_5() -> None:
    actions = ("friends", "PERMIT", "450 4.7.1 Later", "DEFER_IF_PERMIT busy", "reject_unknown_client_hostname, permit")
    for action in actions:
        checked = check(f'[learn]\nforeign = true\npolicy = {{address = "[::1]:25", classes = {{nice = "{action}"}}}}')
        assert (checked.mistakes, checked.warnings) == ([], [])
        assert checked.config.learn.policy == PolicyService(("::1", 25), (("nice", action),))


def test_classes_keep_the_order_of_the_file() -> None:
    """So that the policy service is not started anew when nothing has changed."""
    keys = ("reply", "hostile.stress", "nice", "hostile", "nice.stress")
    text = "".join(f'"{key}" = "permit"\n' for key in keys)
    config = check(f'[learn.policy]\naddress = "[::1]:25"\n[learn.policy.classes]\n{text}').config

    assert config.learn.policy is not None
    assert [key for key, _action in config.learn.policy.classes] == list(keys)


def test_pools_keep_the_order_of_the_file() -> None:
    checked = check('[pool.zebra]\n[pool.ape]\n[[route]]\nwhen = "friend"\nto = "ape"\n[[route]]\nto = "zebra"')

    assert [pool.name for pool in checked.config.pools] == ["zebra", "ape"]


def test_strangers_may_end_in_a_reserved_pool_that_falls_back_to_an_open_one() -> None:
    assert check('[pool.nice]\nreserved = true\nfallback = "all"\n[pool.all]\n[[route]]\nto = "nice"').mistakes == []


def test_a_rule_that_asks_for_lists_or_history_may_refuse_for_good() -> None:
    refusal = 'reply = "554 5.7.1 Refused"\n[[route]]\nto = "nice"\n[pool.nice]'

    for rule in ("known and score < -20", "lists"):
        assert check(f'[[route]]\nwhen = "{rule}"\n{refusal}').warnings == []


def test_a_country_may_be_asked_for_with_a_database() -> None:
    assert (
        check(
            '[[geo]]\nfile = "c.mmdb"\n[[route]]\nwhen = "country == \'DE\'"\nto = "nice"\n[[route]]\nto = "hostile"'
        ).warnings
        == []
    )


def test_a_reply_may_have_the_512_octets_of_the_standard() -> None:
    for length, mistakes in ((510, 0), (511, 1)):
        reply = "421 4.3.2 ".ljust(length, "x")
        routes = f'[[route]]\nwhen = "foe"\nreply = "{reply}"\n[[route]]\nto = "hostile"'
        assert len(check(routes).mistakes) == mistakes


def test_a_socket_may_have_the_107_octets_that_the_kernel_takes() -> None:
    for length, mistakes in ((107, 0), (108, 1)):
        path = "/é".ljust(length - 1, "x")  # é is two octets
        assert len(check(f'[admin]\nsocket = "{path}"').mistakes) == mistakes


def replies(**points: float) -> tuple[ReplyPoints, ...]:
    """127.0.0.2 by the keyword `n2`, and so on."""
    return tuple(ReplyPoints(parse_pattern(f"127.0.0.{key[1:]}"), worth) for key, worth in points.items())


def test_a_resolver_may_have_a_port_and_domains_get_their_usual_spelling() -> None:
    config = check(
        '[dns]\nservers = ["127.0.0.1:5353", "192.0.2.53", "[::1]:5353", "2001:DB8::53", "[2001:db8::54]"]\n'
        'generic = ["Example.COM"]\n'
        '[[dnslist]]\nzone = "BL.Example.com"\nreplies = { "127.0.0.2" = -25 }'
    ).config

    assert config.dns.servers == (
        ("127.0.0.1", 5353),
        ("192.0.2.53", 53),
        ("::1", 5353),
        ("2001:db8::53", 53),
        ("2001:db8::54", 53),
    )
    assert config.dns.generic == ("example.com",)
    assert config.dnslists == (DnsListSettings("bl.example.com", replies(n2=-25.0)),)


@given(st.text("0123456789abcdef:.[]%", max_size=30))
def test_a_server_is_an_address_or_one_mistake(server: str) -> None:
    checked = check(f'[dns]\nservers = ["{server}"]')

    assert len(checked.mistakes) + len(checked.config.dns.servers) == 1


@given(st.sampled_from(["::1", "2001:db8::1", "2001:db8:1:2:3:4:5:6"]), st.integers(10, 65535))
def test_an_ipv6_address_with_a_port_needs_brackets_and_what_the_remedy_says_is_taken(host: str, port: int) -> None:
    (mistake,) = check(f'[dns]\nservers = ["{host}:{port}"]').mistakes
    remedies = re.findall(r'"(.*?)"', mistake.remedy)

    assert remedies[0] == f"[{host}]:{port}"
    assert all(check(f'[dns]\nservers = ["{remedy}"]').mistakes == [] for remedy in remedies)


def test_a_zone_leaves_room_for_an_ipv6_address_in_a_query() -> None:
    for length, mistakes in ((189, 0), (190, 1)):
        zone = ("label." * 40)[: length - len("example.com") - 1].rstrip(".").ljust(length - 12, "x") + ".example.com"
        assert len(zone) == length
        assert len(check(f'[[dnslist]]\nzone = "{zone}"\nreplies = {{ "127.0.0.2" = -25 }}').mistakes) == mistakes


@pytest.mark.parametrize(
    "zone", ["example.com", "_dnsbl.example.com", "key-1.zen.example.net", "xn--p1ai.example", "0.x1"]
)
def test_a_zone_is_a_domain_of_two_labels_or_more(zone: str) -> None:
    assert check(f'[[dnslist]]\nzone = "{zone}"\nreplies = {{ "127.0.0.2" = -25 }}').mistakes == []


@pytest.mark.parametrize(
    "zone", ["", "example", "127.0.0.2", "a..b", ".example.com", "a b.example", "é.example", "x" * 64 + ".de"]
)
def test_anything_else_is_no_zone(zone: str) -> None:
    assert len(check(f'[[dnslist]]\nzone = "{zone}"\nreplies = {{ "127.0.0.2" = -25 }}').mistakes) == 1


@pytest.mark.parametrize(
    ("codes", "points"),
    [
        ([], None),
        (["127.0.0.9"], None),
        (["127.0.0.2"], -25.0),
        (["127.0.0.2", "127.0.0.3"], -25.0),
        (["127.0.0.3", "127.0.0.9"], 3.0),
        (["127.0.0.4"], 0.0),
        (["127.0.0.4", "127.0.0.5"], -3.0),
        (["127.0.0.3", "127.0.0.5"], -3.0),
        (["127.0.0.5", "127.0.0.6"], 4.0),
    ],
)
def test_of_several_replies_of_a_list_the_weightiest_counts(codes: list[str], points: float | None) -> None:
    assert DnsListSettings("bl.example.com", replies(n2=-25.0, n3=3.0, n4=0.0, n5=-3.0, n6=4.0)).worth(codes) == points


def test_a_wide_range_may_stand_beside_a_narrow_one_of_more_points() -> None:
    checked = check('[[dnslist]]\nzone = "bl.example"\nreplies = { "127.*.*.*" = -5, "127.0.0.2" = -25 }')

    assert (checked.mistakes, checked.warnings) == ([], [])
    assert checked.config.dnslists[0].worth(["127.0.0.2"]) == -25.0


def test_allow_lists_may_give_less_than_makes_a_friend() -> None:
    """Several of them make no friend either, whatever they add up to."""
    for points, warnings in ((4.9, 0), (5, 2)):
        lists = [f'[[dnslist]]\nzone = "wl{n}.example"\nreplies = {{ "127.0.0.2" = {points} }}\n' for n in (1, 2)]
        assert len(check("".join(lists)).warnings) == warnings


def test_a_rule_may_ask_for_a_list_that_is_asked_and_for_names() -> None:
    rule = "'bl.example' in listed and name != '' and domain == 'example.com'"
    text = '[[dnslist]]\nzone = "bl.example"\nreplies = { "127.0.0.2" = 0 }\n'

    assert check(f'{text}[[route]]\nwhen = "{rule}"\nto = "nice"\n[[route]]\nto = "hostile"').warnings == []


def test_a_teaser_may_have_200_octets() -> None:
    for length, mistakes in ((200, 0), (201, 1)):
        assert len(check(f'[listen]\nteaser = "{"x" * length}"').mistakes) == mistakes


def test_a_path_without_quotes_means_the_same_field() -> None:
    for path in ('"traits.user_type"', "traits.user_type", 'traits."user_type"'):
        (network,) = check(f'[[network]]\npoints = -1\nwhere = {{ {path} = ["a", 1, 1.5, false] }}').config.networks

        assert network.where == (("traits.user_type", ("a", 1, 1.5, False)),)


@pytest.mark.parametrize(
    "field", [".".join("a" * 5000), '"' + "a" * 201 + '"', '"a."', '""', '"a\\u0000b"', "a = {}, b"]
)
def test_a_path_that_leads_to_no_field_is_a_mistake(field: str) -> None:
    assert len(check(f'[[network]]\npoints = -1\nwhere = {{ {field} = ["x"] }}').mistakes) == 1


def test_a_number_that_no_database_holds_is_a_mistake() -> None:
    for number, mistakes in ((2**128, 0), (10**50, 1), (-(10**50), 1)):
        assert len(check(f"[[network]]\npoints = -1\nwhere = {{ a = [{number}] }}").mistakes) == mistakes


KEYS = st.sampled_from(
    (
        "mode",
        "listen",
        "pool",
        "nice",
        "list",
        "route",
        "dns",
        "servers",
        "generic",
        "dnslist",
        "zone",
        "replies",
        "127.0.0.2",
        "network",
        "where",
        "teaser",
        "learn",
        "smtpd",
        "name",
        "when",
        "to",
        "networks",
        "x",
        "",
    )
)
VALUES = st.recursive(
    st.one_of(st.text(max_size=5), st.integers(), st.floats(), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}" = {_toml(inner)}' for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(character):08x}" for character in value if character.isascii()) + '"'
    return str(value).lower()


@settings(max_examples=25)
@given(st.dictionaries(KEYS.filter(bool), VALUES, max_size=4))
def test_no_values_raise(tables: dict[str, object]) -> None:
    text = "\n".join(f"{key} = {_toml(value)}" for key, value in tables.items())

    assert not any("not TOML" in mistake.what for mistake in check(text).mistakes)


@settings(max_examples=40)
@given(st.one_of(st.text(), st.text("[]{}=.,\"'\n #a1")))
def test_no_text_raises(text: str) -> None:
    checked = check(text)

    assert checked.mistakes == sorted(checked.mistakes)
    assert all("\n" not in str(mistake) for mistake in checked.mistakes)

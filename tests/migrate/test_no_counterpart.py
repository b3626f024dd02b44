"""Parameters that have no key in config.toml: each is told, with what to do instead."""

import pytest

from tests.migrate.pages import page_of, remarks_of


@pytest.mark.parametrize(
    ("setting", "remedy"),
    [
        ("postscreen_upstream_proxy_protocol = haproxy", "listen.trusted_proxies"),
        ("postscreen_client_connection_count_limit = 10", "per_client"),
        ("postscreen_dnsbl_reply_map = texthash:/etc/postfix/dnsbl_reply", "keep config.toml"),
        ("postscreen_allowlist_interfaces = !192.0.2.8, static:all", "backup MX"),
        ("postscreen_whitelist_interfaces = !192.0.2.8, static:all", "backup MX"),
        ("postscreen_pipelining_enable = yes", "nothing is to be done"),
        ("postscreen_non_smtp_command_enable = Yes", "nothing is to be done"),
        ("postscreen_bare_newline_enable = yes", "nothing is to be done"),
        ("postscreen_cache_map = btree:/x", 'mode = "observe"'),
        ("postscreen_greet_ttl = 2d", "history"),
        ("postscreen_command_time_limit = 300s", "smtpd behind it"),
        ("postscreen_of_tomorrow = yes", "smtpd behind it"),
    ],
)
def test_what_has_no_counterpart_is_told_with_its_line_and_a_remedy(setting: str, remedy: str) -> None:
    remarks = remarks_of(setting)

    assert len(remarks) == 1
    assert remarks[0].startswith(f"main.cf:3: {setting.partition(' ')[0]}: ".replace("whitelist", "allowlist"))
    assert remedy in remarks[0]


@pytest.mark.parametrize(
    "setting",
    [
        "postscreen_pipelining_enable = no",
        "postscreen_pipelining_action = drop",
        "postscreen_bare_newline_ttl = 1d",
        "postscreen_allowlist_interfaces = static:all",
        "postscreen_upstream_proxy_protocol =",
        "postscreen_dnsbl_reply_map =",
        "smtpd_helo_required = yes",
    ],
)
def test_what_changes_nothing_is_passed_over(setting: str) -> None:
    assert [remark for remark in remarks_of(setting) if "sets nothing of it" not in remark] == []


def test_a_name_that_is_none_reaches_no_terminal() -> None:
    assert "\x1b" not in page_of("postscreen_\x1b[31m = x\n").text

"""postscreen's parameters that config.toml has no key for: why not, and what to do instead."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from frontproxy.migrate.parameters import OLD_SPELLINGS, Parameters

Remark = tuple[str, str, str]
"""Parameter, what is not translated, remedy."""

_NAME: Final = re.compile(r"postscreen_[a-z0-9_]{1,80}")
_TRANSLATED: Final = frozenset(
    {
        "postscreen_access_list",
        "postscreen_denylist_action",
        "postscreen_dnsbl_action",
        "postscreen_dnsbl_allowlist_threshold",
        "postscreen_dnsbl_sites",
        "postscreen_dnsbl_threshold",
        "postscreen_greet_action",
        "postscreen_greet_banner",
        "postscreen_greet_wait",
    }
)
_DEEP_TESTS: Final = ("pipelining", "non_smtp_command", "bare_newline")
_PARTS_OF_DEEP_TESTS: Final = frozenset(
    {f"postscreen_{test}_{part}" for test in _DEEP_TESTS for part in ("enable", "action", "ttl")}
)
_OF_THE_SERVER: Final = "frontproxy has no SMTP server of its own in front", "set this for the smtpd behind it"
_OF_THE_CACHE: Final = (
    "nobody's past is taken over",
    'let frontproxy learn for a while with mode = "observe" before it decides',
)
_ANSWERS: Final = "answers are kept as long as the DNS says, from a minute to an hour", "nothing is to be done"
_REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "postscreen_cache_cleanup_interval": _OF_THE_CACHE,
    "postscreen_cache_map": _OF_THE_CACHE,
    "postscreen_cache_retention_time": _OF_THE_CACHE,
    "postscreen_client_connection_count_limit": (
        "strangers that are being observed are limited all together (listen.waiting_room)",
        "limit one client's sessions with per_client in the tables of your pools",
    ),
    "postscreen_dnsbl_max_ttl": _ANSWERS,
    "postscreen_dnsbl_min_ttl": _ANSWERS,
    "postscreen_dnsbl_reply_map": (
        "clients are never told the name of a list, so no key in it needs hiding from them",
        "keep config.toml and the log, which do name it, from other eyes",
    ),
    "postscreen_dnsbl_timeout": ("nobody waits for the DNS longer than its pause", "set listen.pause"),
    "postscreen_dnsbl_ttl": _ANSWERS,
    "postscreen_greet_ttl": (
        "friends are not made to wait, strangers are each time",
        "nothing is to be done: history makes friends",
    ),
    "postscreen_post_queue_limit": ("places belong to pools", "set sessions and queue in the tables of your pools"),
    "postscreen_pre_queue_limit": ("the waiting room has its own size", "set listen.waiting_room"),
    "postscreen_reject_footer": ("there is no footer", "write the whole text into the reply of a [[route]]"),
    "postscreen_reject_footer_maps": ("there is no footer", "write the whole text into the reply of a [[route]]"),
    "postscreen_upstream_proxy_protocol": (
        "frontproxy must know which proxies to believe",
        "name their addresses in listen.trusted_proxies; what else connects is a client",
    ),
    "postscreen_upstream_proxy_timeout": ("the time for a PROXY header is fixed", "nothing is to be done"),
    "postscreen_watchdog_timeout": ("there is no such clock to set", "nothing is to be done"),
}


def untranslated(parameters: Parameters) -> Iterator[Remark]:
    """What main.cf sets beside all that has its place in config.toml; defaults written out are passed over."""
    tests = [test for test in _DEEP_TESTS if parameters.value(f"postscreen_{test}_enable").text.lower() == "yes"]
    for test in tests:
        what = "sessions are not tested after the greeting, as they are not interrupted"
        yield (
            f"postscreen_{test}_enable",
            what,
            "nothing is to be done: how sessions end is what frontproxy learns from",
        )
    if parameters.value("postscreen_allowlist_interfaces").text.strip() != "static:all":
        what = "all addresses that frontproxy listens on are alike"
        yield "postscreen_allowlist_interfaces", what, "give a backup MX a frontproxy of its own, or none"
    for name in sorted(parameters.settings):
        today = OLD_SPELLINGS.get(name, name)
        done = _TRANSLATED | _PARTS_OF_DEEP_TESTS | {"postscreen_allowlist_interfaces"}
        if _NAME.fullmatch(name) and today not in done and parameters.value(name).text:
            yield name, *_REASONS.get(name, _OF_THE_SERVER)

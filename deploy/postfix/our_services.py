"""The smtpd services that frontproxy passes clients to: what they set, and how many processes each may have."""

import argparse
from dataclasses import dataclass

from cf_files import Folder

# `personality` is a parameter of our own: main.cf can ask for it, as smtpd_milters below does.
COMMON = {"smtpd_sasl_auth_enable": "no", "smtpd_client_port_logging": "yes"}
NICE = {"syslog_name": "postfix/nice", "personality": "nice", "stress": "", **COMMON}
# Postfix's defaults, said once more: a fixed value in main.cf would make the service deaf to stress. Only the time
# limit is shorter, as a process that was started in calm weather keeps its limit when the flood comes.
ADAPTING = {
    "smtpd_timeout": "${stress?{10}:{60}}s",
    "smtpd_hard_error_limit": "${stress?{1}:{20}}",
    "smtpd_junk_command_limit": "${stress?{1}:{100}}",
    "smtpd_per_request_deadline": "${stress?{yes}:{no}}",
}
HOSTILE = {"syslog_name": "postfix/hostile", "personality": "hostile", **COMMON, **ADAPTING}
FOE = {**HOSTILE, "syslog_name": "postfix/foe", "personality": "foe", "stress": "yes"}
# For trying what a foe meets: no trust in this machine, and nothing is learned from it.
TEST = {**FOE, "syslog_name": "postfix/test", "personality": "hostile", "mynetworks": "", "frontproxy_milter": ""}
# Everybody's, when frontproxy is dead: it must adapt for all, as Postfix alone does.
BYPASS = {"syslog_name": "postfix/bypass", "smtpd_sasl_auth_enable": "no", **ADAPTING}

NAMES = ("nice", "hostile", "foe", "test", "bypass")

MILTER = "{{ {}, connect_timeout=2s, command_timeout=2s, content_timeout=10s, default_action=accept }}"
OUR_MILTER = "${personality?{$frontproxy_milter}}"
DEFAULT_MILTER = "inet:127.0.0.1:10032"


@dataclass(frozen=True, slots=True)
class Order:
    """How many processes each service may have, as master.cf says it; and the keys of two of them, "" for none."""

    nice: str = "50"
    hostile: str = "20"
    foe: str = "5"
    test: str = "2"
    bypass: str = "70"
    test_key: str = "127.0.0.1:12345/inet"
    bypass_key: str = ""


def ordered(options: argparse.Namespace, draft: Folder) -> Order:
    """What the operator has named, else what is there, else the defaults."""
    keys = dict(reversed(our_keys(draft)))
    there = {name: draft.service(key).split()[6] for name, key in keys.items()}
    named = {name: str(value) for name in ("nice", "hostile", "foe") if (value := getattr(options, name)) is not None}
    limits = {name: getattr(Order(), name) for name in NAMES} | there | named
    if "bypass" not in there or named.keys() & {"nice", "hostile"}:
        limits["bypass"] = _sum(limits["nice"], limits["hostile"])
    test_key = keys.get("test", "") if keys else Order().test_key
    if options.test_port is not None:
        test_key = f"127.0.0.1:{options.test_port}/inet" if options.test_port else ""
    bypass_key = keys.get("bypass", "")
    if options.bypass_port is not None:
        bypass_key = f"{options.bypass_port}/inet" if options.bypass_port else ""
    return Order(**limits, test_key=test_key, bypass_key=bypass_key)


def _sum(one: str, other: str) -> str:
    """Of two process limits, each of which can be "-", the default."""
    return str(int(one) + int(other)) if (one + other).isdigit() else "-"


def our_keys(folder: Folder) -> list[tuple[str, str]]:
    """Our services that are there, known by their names in the log: each as that name and its key."""
    names = {f"syslog_name=postfix/{name}": name for name in NAMES}
    return [(names[word], key) for key, line in folder.services().items() for word in line.split() if word in names]


def services(order: Order) -> dict[str, tuple[str, dict[str, str]]]:
    """Each of our services by its key: how many processes it may have, and its parameters."""
    wanted = {
        "nice/pass": (order.nice, NICE),
        "hostile/pass": (order.hostile, HOSTILE),
        "foe/pass": (order.foe, FOE),
    }
    if order.test_key:
        wanted[order.test_key] = (order.test, TEST)
    if order.bypass_key:
        wanted[order.bypass_key] = (order.bypass, BYPASS)
    return wanted

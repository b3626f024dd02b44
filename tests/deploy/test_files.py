"""The files of deploy/ agree with each other, and with what frontproxy understands."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from frontproxy.core import config
from frontproxy.core.config_values import Config

DEPLOY = Path(__file__).parents[2] / "deploy"
CONFIGS = ("config-postfix.toml", "docker/config.toml")


def settings(name: str) -> Config:
    checked = config.parse((DEPLOY / name).read_text(), file_name=name, folder=Path("/etc/frontproxy"))
    assert [str(mistake) for mistake in checked.mistakes + checked.warnings] == []
    return checked.config


def unit(name: str) -> dict[str, list[str]]:
    """The settings of a unit, each with its values."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def our_services() -> Any:
    """What the script that sets up Postfix puts into master.cf, as a module; it finds its neighbours beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DEPLOY / "postfix")
        return import_module("our_services")


@pytest.mark.parametrize("name", CONFIGS)
def test_an_example_has_no_mistakes_and_only_looks_at_first(name: str) -> None:
    assert settings(name).mode == "observe"


@pytest.mark.parametrize("name", CONFIGS)
def test_each_pool_has_as_many_places_as_its_service_has_processes(name: str) -> None:
    module = our_services()
    services = module.services(module.Order())

    for pool in settings(name).pools:
        [backend] = pool.backends
        service = Path(backend.target).name
        assert services[f"{service}/pass"][0] == str(pool.sessions)


def test_the_unit_gives_the_folders_that_the_example_uses() -> None:
    service, example = unit("frontproxy.service"), settings("config-postfix.toml")

    assert {example.admin.socket.parent, example.learn.report.parent} == {Path("/run", *service["RuntimeDirectory"])}
    assert example.history.file.parent == Path("/var/lib", *service["StateDirectory"])
    assert service["ExecStart"][0].endswith("-c /etc/frontproxy/config.toml")
    assert example.listen.from_systemd


def test_a_drain_has_the_time_it_needs() -> None:
    longest = float(unit("frontproxy.service")["TimeoutStopSec"][0].removesuffix("s"))
    compose = (DEPLOY / "docker/compose.yaml").read_text()
    grace = [float(seconds) for seconds in re.findall(r"stop_grace_period: (\d+)s", compose)]

    assert longest > config.Listen().drain_time
    assert min(grace) > settings("docker/config.toml").listen.drain_time


def test_a_client_of_ipv4_never_comes_in_by_the_ipv6_socket() -> None:
    socket = unit("frontproxy.socket")

    assert socket["BindIPv6Only"] == ["ipv6-only"]
    assert socket["ListenStream"] == ["0.0.0.0:25", "[::]:25"]


def test_both_containers_know_the_group_of_the_sockets_by_one_number() -> None:
    files = [(DEPLOY / "docker" / name).read_text() for name in ("Dockerfile", "postfix.Dockerfile")]

    assert {number for text in files for number in re.findall(r"groupadd --gid (\d+) postdrop", text)} == {"5025"}
    assert "--groups postdrop" in files[0]


def test_no_passed_service_offers_auth_or_is_private() -> None:
    module = our_services()
    services = module.services(module.Order(bypass_key="2526/inet"))

    assert len(services) == 5
    assert all(parameters["smtpd_sasl_auth_enable"] == "no" for _processes, parameters in services.values())


def test_whatever_a_service_adapts_is_as_strict_under_stress_as_postfix_would_be() -> None:
    """The values of postconf -d in Postfix 3.7, in which a fixed value in main.cf would be lost."""
    assert our_services().ADAPTING == {
        "smtpd_timeout": "${stress?{10}:{60}}s",
        "smtpd_hard_error_limit": "${stress?{1}:{20}}",
        "smtpd_junk_command_limit": "${stress?{1}:{100}}",
        "smtpd_per_request_deadline": "${stress?{yes}:{no}}",
    }


def test_the_bypass_leads_to_the_port_that_the_readme_names() -> None:
    rules = (DEPLOY / "nftables/bypass.nft").read_text()

    assert set(re.findall(r"redirect to :(\d+)", rules)) == set(re.findall(r"--bypass-port (\d+)", rules)) == {"2526"}
    assert "--bypass-port 2526" in (DEPLOY / "README.md").read_text()


def master_cf() -> dict[str, tuple[str, dict[str, str]]]:
    """The services of deploy/postfix/master.cf: how many processes each may have, and its parameters."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    last = ""
    for line in (DEPLOY / "postfix/master.cf").read_text().splitlines():
        words = line.split()
        if line.startswith(" "):
            name, _, value = words[1].partition("=")
            found[last][1][name] = value
        elif words and not line.startswith("#"):
            last = "/".join(words[:2])
            found[last] = (words[6], {})
    return found


def test_the_lines_to_write_by_hand_are_those_that_the_script_writes() -> None:
    module = our_services()
    main_cf = (DEPLOY / "postfix/main.cf").read_text().splitlines()

    assert master_cf() == module.services(module.Order())
    assert f"frontproxy_milter = {module.MILTER.format(module.DEFAULT_MILTER)}" in main_cf
    assert f"smtpd_milters = {module.OUR_MILTER}" in main_cf

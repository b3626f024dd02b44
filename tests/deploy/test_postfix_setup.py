"""deploy/postfix/setup, with the real postconf: shown first, then done, then undone."""

from pathlib import Path

import pytest

from tests.deploy.postfix_etc import MAIN, MASTER, postconf, services, setup
from tests.real.need import need

pytestmark = pytest.mark.real


def test_it_shows_what_it_would_change_and_changes_nothing(etc: Path) -> None:
    said = setup(etc, "--take-port-25")

    assert "+nice       pass  n       -       y       -       50      smtpd" in said
    assert "-smtp      inet" in said
    assert "+#frontproxy# smtp      inet" in said
    assert said.endswith("# nothing was changed; --apply does it\n")
    assert (etc / "main.cf").read_text() == MAIN
    assert (etc / "master.cf").read_text() == MASTER
    assert len(list(etc.iterdir())) == 2


def test_it_does_what_it_has_shown_and_then_has_nothing_to_do(etc: Path) -> None:
    shown = setup(etc).splitlines()[:-1]
    done = setup(etc, "--apply").splitlines()[:-1]
    after = [(etc / name).read_bytes() for name in ("main.cf", "master.cf")]

    assert shown == done
    assert setup(etc, "--apply").endswith("# nothing to change\n")
    assert [(etc / name).read_bytes() for name in ("main.cf", "master.cf")] == after
    assert {path.name for path in etc.iterdir()} == {"main.cf", "master.cf", "before-frontproxy"}


def test_postfix_finds_nothing_to_complain_of(etc: Path) -> None:
    setup(etc, "--apply", "--bypass-port", "2526")

    assert len(postconf(etc, "-M").splitlines()) == 8
    assert "smtpd_milters" in postconf(etc, "-n")


def test_our_milter_is_the_last_and_only_for_our_services(etc: Path) -> None:
    setup(etc, "--apply")

    assert postconf(etc, "-xh", "smtpd_milters") == "inet:127.0.0.1:8891,", "for all others"
    assert postconf(etc, "-o", "personality=nice", "-xh", "smtpd_milters").startswith(
        "inet:127.0.0.1:8891, { inet:127.0.0.1:10032, connect_timeout=2s,"
    )


def test_the_way_back_leads_to_where_it_began(etc: Path) -> None:
    setup(etc, "--apply", "--take-port-25", "--bypass-port", "2526")
    assert setup(etc, "--undo").endswith("--apply does it\n")
    setup(etc, "--undo", "--apply")

    assert (etc / "main.cf").read_text() == MAIN
    assert (etc / "master.cf").read_text() == MASTER
    assert len(list(etc.iterdir())) == 2, "and leaves nothing behind"


def test_the_way_back_keeps_what_others_have_changed_since(etc: Path) -> None:
    setup(etc, "--apply", "--take-port-25")
    postconf(etc, "-e", "smtpd_milters = inet:127.0.0.1:7777, ${personality?{$frontproxy_milter}}", "soft_bounce = yes")
    postconf(etc, "-M", "tlsmgr/unix=tlsmgr unix - - y 1000? 1 tlsmgr")
    setup(etc, "--undo", "--apply")

    assert postconf(etc, "-h", "smtpd_milters") == "inet:127.0.0.1:7777"
    assert postconf(etc, "-h", "soft_bounce") == "yes"
    assert [key.partition("/")[0] for key in services(etc)] == ["smtp", "submission", "cleanup", "tlsmgr"]
    assert "frontproxy" not in (etc / "main.cf").read_text()


def test_a_service_of_the_same_name_comes_back(etc: Path) -> None:
    with (etc / "master.cf").open("a") as master:
        master.write("nice pass - - n - 7 smtpd -o smtpd_timeout=7s\n")
    setup(etc, "--apply")
    ours = postconf(etc, "-M", "nice/pass")
    setup(etc, "--undo", "--apply")

    assert "smtpd_timeout=7s" in ours, "what the operator gave it stays"
    assert ours.split()[2] == "n"
    assert ours.split()[6] == "50"
    assert postconf(etc, "-M", "nice/pass").split()[6:] == ["7", "smtpd", "-o", "smtpd_timeout=7s"]


def test_what_no_option_names_stays_as_it_is(etc: Path) -> None:
    first = ["--nice", "100", "--hostile", "30", "--foe", "7", "--milter", "unix:/run/m", "--test-port", "12346"]
    setup(etc, "--apply", *first)
    postconf(etc, "-P", "hostile/pass/smtpd_timeout=30s")
    before = services(etc)
    said = setup(etc, "--apply", "--bypass-port", "2526")
    after = services(etc)

    assert "sessions = 100" in said
    assert after.pop("2526/inet").split()[6] == "130"
    assert after == before
    assert postconf(etc, "-h", "frontproxy_milter").startswith("{ unix:/run/m,")


def test_an_option_changes_what_it_names_and_no_more(etc: Path) -> None:
    setup(etc, "--apply", "--nice", "100", "--bypass-port", "2526")
    setup(etc, "--apply", "--hostile", "30", "--milter", "")

    limits = {key: line.split()[6] for key, line in services(etc).items()}
    assert [limits[key] for key in ("nice/pass", "hostile/pass", "foe/pass", "2526/inet")] == ["100", "30", "5", "130"]
    assert postconf(etc, "-h", "frontproxy_milter") == ""
    assert (etc / "before-frontproxy/main.cf").read_text() == MAIN

    setup(etc, "--apply")
    assert postconf(etc, "-h", "frontproxy_milter") == ""


def test_a_port_that_is_named_anew_is_left_and_0_is_none(etc: Path) -> None:
    setup(etc, "--apply", "--bypass-port", "2526")
    setup(etc, "--apply", "--test-port", "0", "--bypass-port", "2527")
    assert {key for key in services(etc) if key.endswith("inet")} == {"smtp/inet", "submission/inet", "2527/inet"}

    setup(etc, "--apply")
    assert "127.0.0.1:12345/inet" not in services(etc)


def test_a_service_that_looks_like_ours_is_nobody_elses_loss(etc: Path) -> None:
    """An operator's second nice service logs under the same name."""
    setup(etc, "--apply")
    postconf(etc, "-M", "fair/pass=fair pass n - y - 9 smtpd -o syslog_name=postfix/nice")
    setup(etc, "--apply", "--nice", "60")

    assert services(etc)["fair/pass"].split()[6] == "9"
    assert services(etc)["nice/pass"].split()[6] == "60"


def test_the_default_process_limit_stays_and_is_told_as_a_number(etc: Path) -> None:
    setup(etc, "--apply")
    postconf(etc, "-F", "nice/pass/process_limit=-")
    said = setup(etc, "--apply", "--bypass-port", "2526")

    assert "sessions = 100" in said
    assert services(etc)["nice/pass"].split()[6] == services(etc)["2526/inet"].split()[6] == "-"


@pytest.mark.parametrize(
    ("line", "remark"),
    [
        ("smtpd_sasl_auth_enable = yes", "# smtpd_sasl_auth_enable = yes: our services offer no AUTH; users belong to"),
        ("smtpd_upstream_proxy_protocol = haproxy", "# smtpd_upstream_proxy_protocol is set: Postfix ignores it"),
        ("queue_directory = /q", '#     backends = ["pass:/q/public/nice"]\n#     sessions = 50\n'),
        ("inet_interfaces = loopback-only", "# inet_interfaces is not all: frontproxy.socket listens on all addresses"),
    ],
)
def test_it_says_what_the_operator_should_know(etc: Path, line: str, remark: str) -> None:
    (etc / "main.cf").write_text(MAIN + line + "\n")

    assert remark in setup(etc)


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--undo"], "nothing of ours to take out"), (["--undo", "--apply"], "nothing of ours to take out")],
)
def test_what_cannot_be_done_is_told(etc: Path, options: list[str], words: str) -> None:
    assert words in setup(etc, *options, code=1)


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    need("postconf")
    assert "main.cf" in setup(tmp_path, code=1)

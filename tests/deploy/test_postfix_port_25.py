"""deploy/postfix/setup and the services that have port 25: what they set is carried over, and they come back whole."""

from pathlib import Path

import pytest

from tests.deploy.postfix_etc import MASTER, postconf, services, setup

pytestmark = pytest.mark.real

FILTERED = """\
# ==========
#smtp      inet  n       -       y       -       1       postscreen
smtp      inet  n       -       n       -       7       smtpd
  -o content_filter=scan:[127.0.0.1]:10024
# the list of last winter
  -o { smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination }

  -o syslog_name=postfix/mx -o smtpd_timeout=99s
scan      unix  -       -       n       -       10      smtp
"""
FILTER = "content_filter=scan:[127.0.0.1]:10024"
PASSED = ("nice/pass", "hostile/pass", "foe/pass")
OURS = (*PASSED, "127.0.0.1:12345/inet", "2526/inet")


def write_master(etc: Path, text: str) -> None:
    (etc / "master.cf").write_text(text)


def with_port_25(*lines: str) -> str:
    """master.cf with these services instead of smtp inet."""
    first, _smtp, *rest = MASTER.splitlines()
    return "\n".join([first, *lines, *rest, ""])


def options(etc: Path, key: str) -> dict[str, str]:
    """What a service sets by -o."""
    lines = [line.removeprefix(f"{key}/") for line in postconf(etc, "-P", key).splitlines()]
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def test_no_service_of_ours_is_a_way_past_a_filter_or_a_restriction(etc: Path) -> None:
    write_master(etc, FILTERED)
    setup(etc, "--apply", "--bypass-port", "2526")

    for key in OURS:
        ours = options(etc, key)
        assert ours["content_filter"] == "scan:[127.0.0.1]:10024"
        assert ours["smtpd_recipient_restrictions"] == "permit_mynetworks, reject_unauth_destination"
        assert services(etc)[key].split()[4] == "n", "the chroot of the site's own"


def test_ours_wins_where_both_set_the_same_and_that_is_said(etc: Path) -> None:
    write_master(etc, FILTERED)
    said = setup(etc, "--apply")

    assert "# smtpd_timeout=99s of smtp/inet is not carried over to hostile, foe, 127.0.0.1:12345: ours wins" in said
    assert "# syslog_name=postfix/mx of smtp/inet is not carried over to nice, hostile, foe, 127" in said
    assert "# content_filter" not in said
    assert options(etc, "nice/pass")["smtpd_timeout"] == "99s"
    assert options(etc, "hostile/pass")["smtpd_timeout"] == "${stress?{10}:{60}}s"
    assert options(etc, "nice/pass")["syslog_name"] == "postfix/nice"


def test_an_option_is_carried_over_after_the_port_was_left_too(etc: Path) -> None:
    write_master(etc, FILTERED)
    setup(etc, "--apply", "--take-port-25")
    setup(etc, "--apply", "--bypass-port", "2526")

    assert FILTER in services(etc)["2526/inet"]
    assert services(etc)["2526/inet"].split()[4] == "n"


def test_what_the_operator_gave_to_ours_stays(etc: Path) -> None:
    write_master(etc, FILTERED)
    setup(etc, "--apply")
    postconf(etc, "-P", "nice/pass/content_filter=other:")
    said = setup(etc, "--apply")

    assert options(etc, "nice/pass")["content_filter"] == "other:"
    assert f"# {FILTER} of smtp/inet is not carried over to nice: ours wins" in said


def test_milters_of_the_service_alone_stand_before_ours(etc: Path) -> None:
    write_master(etc, with_port_25("smtp inet n - y - - smtpd -o smtpd_milters=inet:127.0.0.1:9"))
    said = setup(etc, "--apply")

    assert options(etc, "nice/pass")["smtpd_milters"] == "inet:127.0.0.1:9,${personality?{$frontproxy_milter}}"
    assert "not carried over" not in said
    assert setup(etc, "--apply").endswith("# nothing to change\n")


def test_a_proxy_header_is_expected_on_the_way_round_only(etc: Path) -> None:
    header = "smtpd_upstream_proxy_protocol"
    write_master(etc, with_port_25(f"smtp inet n - y - - smtpd -o {header}=haproxy -o stress="))
    setup(etc, "--apply", "--bypass-port", "2526")

    assert [header in options(etc, key) for key in OURS] == [False, False, False, False, True]
    assert "stress" not in options(etc, "hostile/pass"), "it must adapt"


def test_behind_postscreen_the_options_are_those_of_its_smtpd(etc: Path) -> None:
    write_master(
        etc,
        with_port_25(
            "smtp inet n - y - 1 postscreen -o postscreen_greet_wait=3s", f"smtpd pass - - n - - smtpd -o {FILTER}"
        ),
    )
    said = setup(etc, "--apply")

    assert "# smtp/inet is postscreen's: frontproxy can replace it, or stand behind it" in said
    for key in PASSED:
        assert FILTER in services(etc)[key]
        assert "postscreen_greet_wait" not in options(etc, key)
        assert services(etc)[key].split()[4] == "n"


@pytest.mark.parametrize(
    "name", ["smtp", "25", "0.0.0.0:25", "[::]:25", "192.0.2.1:smtp", "localhost:25", "[::1]:smtp"]
)
def test_whatever_listens_on_port_25_leaves_it(etc: Path, name: str) -> None:
    write_master(etc, with_port_25(f"{name} inet n - y - - smtpd", "  -o content_filter=scan:"))
    said = setup(etc, "--apply", "--take-port-25")

    assert f"# {name}/inet leaves port 25 and becomes a comment; --return-port-25 brings it back\n" in said
    assert f"{name}/inet" not in services(etc)
    assert "content_filter=scan:" in services(etc)["nice/pass"]


def test_all_of_them_leave_and_each_is_told_of(etc: Path) -> None:
    write_master(
        etc, with_port_25("[::1]:25 inet n - y - - smtpd -o soft_bounce=yes", "192.0.2.1:smtp inet n - y - - smtpd")
    )
    kept = setup(etc)
    said = setup(etc, "--apply", "--take-port-25")
    again = setup(etc, "--apply", "--take-port-25")

    for key in ("[::1]:25/inet", "192.0.2.1:smtp/inet"):
        assert f"# {key} stays on port 25, until --take-port-25" in kept
        assert f"# {key} leaves port 25" in said
        assert f"# {key} has left port 25 before" in again
        assert f"# {key} is for one address" in said
    assert "# [::1]:25/inet has other -o options than 192.0.2.1:smtp/inet: only those of 192.0.2.1:smtp" in said
    assert "soft_bounce" not in options(etc, "nice/pass")
    assert not {"[::1]:25/inet", "192.0.2.1:smtp/inet"} & services(etc).keys()


def test_other_ports_are_nobodys_business(etc: Path) -> None:
    write_master(etc, with_port_25("127.0.0.1:2525 inet n - y - - smtpd", "smtp unix - - y - - smtp"))
    said = setup(etc, "--apply", "--take-port-25")

    assert "# no service of Postfix is on port 25\n" in said
    assert {"127.0.0.1:2525/inet", "smtp/unix", "submission/inet"} <= services(etc).keys()


@pytest.mark.parametrize("way", ["--undo", "--return-port-25"])
def test_postfix_takes_the_port_back_as_it_had_it(etc: Path, way: str) -> None:
    write_master(etc, FILTERED + "[::1]:smtp inet n - y - - smtpd -v\n")
    before = (etc / "master.cf").read_text()
    setup(etc, "--apply")
    postconf(etc, "-M", "tlsmgr/unix=tlsmgr unix - - y 1000? 1 tlsmgr")
    setup(etc, "--apply", "--take-port-25")
    setup(etc, way, "--apply")

    assert (etc / "master.cf").read_text().startswith(before), "every line, comments and blanks too"
    assert "tlsmgr/unix" in services(etc)
    assert ("nice/pass" in services(etc)) == (way == "--return-port-25")


def test_what_was_changed_before_the_port_was_left_comes_back_changed(etc: Path) -> None:
    setup(etc, "--apply")
    postconf(etc, "-P", "smtp/inet/content_filter=scan:")
    setup(etc, "--apply", "--take-port-25")
    setup(etc, "--undo", "--apply")

    assert options(etc, "smtp/inet") == {"content_filter": "scan:"}


def test_a_port_that_was_left_by_hand_comes_back_from_the_backup(etc: Path) -> None:
    write_master(etc, FILTERED)
    setup(etc, "--apply")
    postconf(etc, "-M#", "smtp/inet")
    said = setup(etc, "--return-port-25", "--apply")

    assert "# smtp/inet comes back to port 25: stop frontproxy.socket first" in said
    assert FILTER in services(etc)["smtp/inet"]


def test_a_service_that_was_written_anew_is_not_doubled(etc: Path) -> None:
    setup(etc, "--apply", "--take-port-25")
    postconf(etc, "-M", "smtp/inet=smtp inet n - y - 9 smtpd")
    setup(etc, "--return-port-25", "--apply")
    assert len(postconf(etc, "-M", "smtp/inet").splitlines()) == 1

    setup(etc, "--undo", "--apply")
    assert services(etc)["smtp/inet"].split()[6] == "9"


def test_no_port_to_come_back_to_is_told(etc: Path) -> None:
    write_master(etc, with_port_25())

    assert "no service has left port 25; write one: postconf -M" in setup(etc, "--return-port-25", "--apply", code=1)
    assert not (etc / "before-frontproxy").exists()

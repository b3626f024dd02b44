"""deploy/postfix/setup, with the real postconf: shown first, then done, then undone."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.deploy.machine import REPOSITORY
from tests.real.need import need

pytestmark = pytest.mark.real

SETUP = REPOSITORY / "deploy/postfix/setup"

MAIN = """\
# the operator's own words
myhostname = mx.example.test
smtpd_milters = inet:127.0.0.1:8891
"""
MASTER = """\
# ==========
smtp      inet  n       -       y       -       -       smtpd
submission inet n       -       y       -       -       smtpd
  -o smtpd_sasl_auth_enable=yes
cleanup   unix  n       -       y       -       0       cleanup
"""


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """A folder with a configuration of Postfix."""
    need("postconf")
    (tmp_path / "main.cf").write_text(MAIN)
    (tmp_path / "master.cf").write_text(MASTER)
    return tmp_path


def setup(etc: Path, *options: str, code: int = 0) -> str:
    """What the script says."""
    command = [str(SETUP), "-c", str(etc), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == code, done.stdout
    return done.stdout


def postconf(etc: Path, *arguments: str) -> str:
    os.utime(etc / "main.cf", (0, 0))  # postconf does not read a fresh file for two seconds
    done = subprocess.run(
        ["/usr/sbin/postconf", "-c", str(etc), *arguments], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_it_shows_what_it_would_change_and_changes_nothing(etc: Path) -> None:
    said = setup(etc, "--take-port-25")

    assert "+nice       pass  n       -       y       -       50      smtpd" in said
    assert "-smtp      inet" in said
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
    assert [line.split()[0] for line in postconf(etc, "-M").splitlines()] == [
        "submission", "cleanup", "tlsmgr", "smtp",
    ]  # fmt: skip
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


def test_other_numbers_change_what_was_set_up_before(etc: Path) -> None:
    setup(etc, "--apply")
    setup(etc, "--apply", "--nice", "30", "--milter", "")

    assert postconf(etc, "-F", "nice/pass/process_limit").endswith("= 30")
    assert postconf(etc, "-h", "frontproxy_milter") == ""
    assert (etc / "before-frontproxy/main.cf").read_text() == MAIN


@pytest.mark.parametrize(
    ("line", "remark"),
    [
        ("smtpd_sasl_auth_enable = yes", "# smtpd_sasl_auth_enable = yes: our services offer no AUTH; users belong to"),
        ("smtpd_upstream_proxy_protocol = haproxy", "# smtpd_upstream_proxy_protocol is set: Postfix ignores it"),
        ("queue_directory = /q", '# config.toml of frontproxy: backends = ["pass:/q/public/nice"]'),
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

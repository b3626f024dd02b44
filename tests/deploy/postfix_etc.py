"""A folder with a configuration of Postfix, and what deploy/postfix/setup and postconf say of it."""

import os
import subprocess
from pathlib import Path

from tests.deploy.machine import REPOSITORY

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


def setup(etc: Path, *options: str, code: int = 0) -> str:
    """What the script says."""
    command = [str(SETUP), "-c", str(etc), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == code, done.stdout
    return done.stdout


def postconf(etc: Path, *arguments: str) -> str:
    """What postconf says; it must not complain."""
    os.utime(etc / "main.cf", (0, 0))  # postconf does not read a fresh file for two seconds
    os.utime(etc / "master.cf", (0, 0))
    done = subprocess.run(
        ["/usr/sbin/postconf", "-c", str(etc), *arguments], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.strip()


def services(etc: Path) -> dict[str, str]:
    """The services of master.cf by name and type, each in one line."""
    return {"/".join(line.split()[:2]): line for line in postconf(etc, "-M").splitlines()}

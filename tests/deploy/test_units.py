"""The units, as systemd-analyze reads them."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.machine import REPOSITORY
from tests.real.need import need

pytestmark = pytest.mark.real

EXPOSURE = 2.0
"""systemd-analyze's words: below 2.5 is "OK"; without any sandbox it would be 9.2."""


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as systemd-analyze wants them: it insists on programs that are there."""
    need("systemd-analyze")
    for name in ("frontproxy.service", "frontproxy.socket"):
        text = (REPOSITORY / "deploy/systemd" / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/frontproxy/bin/frontproxy", "/bin/true"))
    return tmp_path


def test_systemd_has_nothing_to_say_against_the_units(units: Path) -> None:
    names = [str(path) for path in sorted(units.iterdir())]
    done = subprocess.run(["systemd-analyze", "verify", *names], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_service_is_exposed_to_little(units: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(units / "frontproxy.service")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Overall exposure level for frontproxy.service: ([0-9.]+)", said)

    assert found is not None
    assert float(found[1]) < EXPOSURE

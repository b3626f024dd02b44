"""Our reading of main.cf beside Postfix's own: every value that counts comes to the same."""

import os
import subprocess
from pathlib import Path

import pytest

from frontproxy import cli
from frontproxy.migrate.expansion import expand
from frontproxy.migrate.main_cf import parse_main_cf
from frontproxy.migrate.parameters import DEFAULTS, Parameters
from tests.migrate.expressions import BROKEN, EXPRESSIONS, VALUES
from tests.migrate.pages import FILES, page_of
from tests.real.need import need

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def _postfix() -> None:
    need("postconf")


def postconf(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What postconf says with that main.cf."""
    (folder / "main.cf").write_text(text)
    (folder / "master.cf").write_text("")
    for name in ("main.cf", "master.cf"):
        os.utime(folder / name, (0, 0))  # postconf waits until a file has been left alone for two seconds
    command = ["postconf", "-c", str(folder), *arguments]
    environment = {**os.environ, "LC_ALL": "C", "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)


def defaults(folder: Path) -> dict[str, str]:
    lines = postconf(folder, "", "-d").stdout.splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def test_our_defaults_are_those_of_postfix(tmp_path: Path) -> None:
    theirs = defaults(tmp_path)

    assert {name: theirs[name] for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize(("expression", "text"), EXPRESSIONS.items())
def test_expressions_come_to_the_same(tmp_path: Path, expression: str, text: str) -> None:
    settings = "".join(f"{name} = {value}\n" for name, value in VALUES.items() if name != "stress")
    told = postconf(tmp_path, f"{settings}smtpd_banner = {expression}\n", "-xh", "smtpd_banner")

    assert told.stdout.removesuffix("\n") == text == expand(expression, VALUES.get).text


@pytest.mark.parametrize("expression", BROKEN)
def test_what_we_refuse_postfix_refuses_too(tmp_path: Path, expression: str) -> None:
    told = postconf(tmp_path, f"cc = yes\nsmtpd_banner = {expression}\n", "-xh", "smtpd_banner")

    assert told.returncode
    assert "fatal" in told.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_value_of_a_file_comes_to_the_same(tmp_path: Path, path: Path) -> None:
    text = path.read_text()
    parameters = Parameters("main.cf", parse_main_cf(text, "main.cf"), tmp_path)
    known = [name for name in {**DEFAULTS, **parameters.settings} if name in defaults(tmp_path)]
    ours = {name: parameters.value(name) for name in known}
    ours = {name: value for name, value in ours.items() if not value.unknown}

    told = postconf(tmp_path, text, "-x", *ours).stdout.splitlines()
    theirs = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in told)}
    assert theirs == {name: _printed(value.text) for name, value in ours.items()}


def _printed(value: str) -> str:
    """A value as postconf prints it: with single blanks."""
    return " ".join(value.split())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_page_passes_the_check(tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "config.toml"
    page.write_text(page_of(path.read_text()).text)

    assert cli.run(["check", "-c", str(page)]) == os.EX_OK, capsys.readouterr().err

"""Reading main.cf from a path or standard input, and the command that prints the page."""

import io
import os
from pathlib import Path

import pytest

from frontproxy import cli
from frontproxy.core.mistakes import Mistaken
from frontproxy.migrate import reading
from frontproxy.migrate.reading import from_postscreen, read_text
from tests.migrate.pages import NAMED


def test_tables_are_read_from_the_folder_that_main_cf_is_in(tmp_path: Path) -> None:
    (tmp_path / "access.cidr").write_text("192.0.2.0/24 permit\n")
    (tmp_path / "main.cf").write_text(f"{NAMED}postscreen_access_list = cidr:$config_directory/access.cidr\n")

    assert '"192.0.2.0/24"' in from_postscreen(str(tmp_path / "main.cf")).text


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"postscreen_greet_wait = 3s\n# \xff\n")))

    assert 'pause = "3s"' in from_postscreen("-").text


def test_a_file_that_cannot_be_read_is_the_operators_mistake(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing_here", tmp_path):
        with pytest.raises(Mistaken, match=f"{path}: cannot be read: .*; name the main.cf"):
            from_postscreen(str(path))


def test_an_endless_file_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_LARGEST", 1000)

    with pytest.raises(OSError, match="larger than 1000"):
        read_text(Path("/dev/zero"))


def test_the_command_prints_toml_and_remarks_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "main.cf").write_text(f"{NAMED}postscreen_cache_map = btree:x\n")

    assert cli.run(["check", "--from-postscreen", str(tmp_path / "main.cf")]) == os.EX_OK
    out, err = capsys.readouterr()
    assert out == from_postscreen(str(tmp_path / "main.cf")).text
    assert err.startswith(f"not translated: {tmp_path}/main.cf:3: postscreen_cache_map: ")


def test_the_command_tells_mistakes_and_exits_with_78(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "main.cf").write_text("nonsense\n")

    assert cli.run(["check", "--from-postscreen", str(tmp_path / "main.cf")]) == os.EX_CONFIG
    assert capsys.readouterr() == (
        "",
        f"{tmp_path}/main.cf:1: this is not NAME = VALUE; Postfix refuses such a line too\n",
    )


def test_the_command_does_one_thing_at_a_time() -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run(["check", "--print", "--from-postscreen", "main.cf"])

    assert ended.value.code == os.EX_USAGE

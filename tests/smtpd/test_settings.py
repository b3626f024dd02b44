"""The [smtpd] table."""

from pathlib import Path

import pytest

from backends.smtpd.settings import read_settings


def _mistakes(table: dict[str, object], folder: Path) -> list[tuple[str, str]]:
    _, mistakes = read_settings(table, folder, ["nice", "hostile"])
    assert all(mistake.remedy for mistake in mistakes)
    return [(mistake.key, mistake.what) for mistake in mistakes]


def test_an_empty_table_is_complete(tmp_path: Path) -> None:
    settings, mistakes = read_settings({}, tmp_path, ["nice", "hostile"])
    assert not mistakes
    assert settings.delivery == tmp_path / "var/mail"
    assert set(settings.effective()) == {"nice", "nice.stress", "hostile", "hostile.stress"}
    assert settings.effective()["hostile.stress"]["timeout"] == "10s"
    assert not (tmp_path / "var").exists()


def test_the_layers_of_the_shipped_example(tmp_path: Path) -> None:
    table = {"timeout": "300s", "hostile": {"timeout": "60s", "stress": {"timeout": "10s", "hard_error_limit": 1}}}
    settings, mistakes = read_settings(table, tmp_path, ["nice", "hostile"])
    assert not mistakes
    timeouts = {name: values["timeout"] for name, values in settings.effective().items()}
    assert timeouts == {"nice": "300s", "nice.stress": "300s", "hostile": "60s", "hostile.stress": "10s"}


def test_a_stress_value_quotes_the_stressed_parameter(tmp_path: Path) -> None:
    """The anomaly that the mail of 2007 names: a stress value that mentions $smtpd_timeout got the calm one."""
    table = {"error_sleep_time": "$smtpd_timeout", "hostile": {"stress": {"timeout": "3s"}}}
    effective = read_settings(table, tmp_path, ["hostile"])[0].effective()
    assert effective["hostile"]["error_sleep_time"] == "300s"
    assert effective["hostile.stress"]["error_sleep_time"] == "3s"


@pytest.mark.parametrize(
    ("table", "key", "what"),
    [
        ({"tiemout": 5}, "smtpd.tiemout", "no such parameter"),
        ({"hostlie": {"timeout": 5}}, "smtpd.hostlie", "no pool uses"),
        ({"hostile": {"tiemout": 5}}, "smtpd.hostile.tiemout", "no such parameter"),
        ({"hostile": {"stress": {"tiemout": 5}}}, "smtpd.hostile.stress.tiemout", "no such parameter"),
        ({"hostile": {"stress": True}}, "smtpd.hostile.stress", "not a table"),
        ({"hostile": {"hostname": "mx"}}, "smtpd.hostile.hostname", "whole server"),
        ({"hostile": {"stress": {"timeout": "x"}}}, "smtpd.hostile.stress.timeout", "not a duration"),
        ({"timeout": "x"}, "smtpd.timeout", "not a duration"),
        ({"timeout": {}}, "smtpd.timeout", "not a duration"),
        ({"hostname": "two words"}, "smtpd.hostname", "no host name"),
        ({"hostname": {}}, "smtpd.hostname", "a table"),
        ({"domains": "example.com"}, "smtpd.domains", "not a list"),
        ({"domains": ["-x"]}, "smtpd.domains", "no domain"),
        ({"domains": [5]}, "smtpd.domains", "no domain"),
        ({"recipients": 5}, "smtpd.recipients", "no file name"),
        ({"recipients": "nothing"}, "smtpd.recipients", "No such file"),
        ({"recipients": "bad"}, "smtpd.recipients", "line 2"),
        ({"recipients": "binary"}, "smtpd.recipients", "not UTF-8"),
        ({"recipients": "a\0b"}, "smtpd.recipients", "no file name"),
        ({"delivery": "mbox:x"}, "smtpd.delivery", "no way to deliver"),
        ({"delivery": "maildir:"}, "smtpd.delivery", "no way to deliver"),
        ({"delivery": "maildir:bad/mail"}, "smtpd.delivery", "not a folder"),
    ],
)
def test_each_mistake_has_its_key(table: dict[str, object], key: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("ned\ntwo words\n")
    (tmp_path / "binary").write_bytes(b"\xff\n")
    mistakes = _mistakes(table, tmp_path)
    assert [found for found, _ in mistakes] == [key]
    assert what in mistakes[0][1]


def test_all_mistakes_come_at_once_and_each_once(tmp_path: Path) -> None:
    table: dict[str, object] = {"timeout": "x", "domains": 5, "nope": 1, "hostile": {"banner": "$x"}}
    keys = [key for key, _ in _mistakes(table, tmp_path)]
    assert keys == ["smtpd.domains", "smtpd.hostile.banner", "smtpd.nope", "smtpd.timeout"]

"""A Setup: everything the configuration names is opened, or every mistake is told."""

import sys
from pathlib import Path

import pytest

from frontproxy import setup
from frontproxy.core.address import pack
from frontproxy.core.mistakes import Mistaken
from frontproxy.programs import environment
from frontproxy.setup import load, personalities, read

POOLS = '[pool.nice]\nbackends = ["pass:/run/nice"]\n[pool.hostile]\nbackends = ["pass:/run/hostile"]\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def fake_smtpd(folder: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    script = folder / "smtpd.py"
    script.write_text(f"import json, sys\nassert sys.argv[1:] == ['--check']\n{program}\n")
    monkeypatch.setattr(setup, "command", lambda _module, *words: [sys.executable, "-IS", str(script), *words])


async def mistakes_of(path: Path) -> list[str]:
    with pytest.raises(Mistaken) as caught:
        await load(path)
    return [str(mistake).replace(f"{path.parent}/", "") for mistake in caught.value.mistakes]


async def test_a_setup_without_the_bundled_smtpd_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "command", lambda *_words: ["/nowhere"])

    loaded = await load(written(tmp_path, POOLS))

    assert (loaded.folder, loaded.mailbox, loaded.personalities) == (tmp_path, "", {})
    assert loaded.config.history.file == tmp_path / "var/history.sqlite3"
    assert loaded.forgetting.evidence_cap == 25
    assert loaded.lists_of(pack("192.0.2.1")) == ()
    loaded.close()


async def test_lists_are_found_in_the_order_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "wide.cidr").write_text("192.0.0.0/8\n")
    wide = '[[list]]\nname = "wide"\nkind = "points"\nfile = "wide.cidr"\npoints = 1\n'
    narrow = '[[list]]\nname = "narrow"\nkind = "deny"\nnetworks = ["192.0.2.0/24"]\n'

    loaded = await load(written(tmp_path, POOLS + wide + narrow))

    found = [(listed.settings.name, listed.prefix_length) for listed in loaded.lists_of(pack("192.0.2.1"))]
    assert found == [("wide", 8), ("narrow", 24)]
    loaded.close()


async def test_the_mistakes_of_every_part_are_told_at_once_and_sorted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_smtpd(
        tmp_path,
        monkeypatch,
        "print(json.dumps({'mistakes': [{'key': 'smtpd.timeout', 'what': 'is odd', 'remedy': 'mend it'}]}))",
    )
    (tmp_path / "bad.cidr").write_text("192.0.2.0/24\nnonsense\n")
    text = (
        'mode = "enforced"\n[smtpd]\ntimeout = "now"\n'
        '[[list]]\nname = "bad"\nkind = "deny"\nfile = "bad.cidr"\n[[geo]]\nfile = "gone.mmdb"\n'
    )

    told = await mistakes_of(written(tmp_path, text))

    assert len(told) == 4
    assert any(line.startswith("bad.cidr:2: ") for line in told)
    assert any("gone.mmdb" in line for line in told)
    assert any(line.startswith("config.toml:1: mode: ") for line in told)
    assert "config.toml:3: smtpd.timeout: is odd; mend it" in told
    assert told.index("config.toml:3: smtpd.timeout: is odd; mend it") > 0


async def test_the_bundled_smtpd_is_asked_about_its_part_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_smtpd(
        tmp_path,
        monkeypatch,
        "question = json.load(sys.stdin)\n"
        "print(json.dumps({'mistakes': [], 'delivery': question['folder'], 'effective': question}))",
    )

    loaded = await load(written(tmp_path, '[smtpd]\nhostname = "mx.example.net"\n'))

    assert loaded.mailbox == str(tmp_path)
    assert loaded.personalities == {
        "smtpd": {"hostname": "mx.example.net"},
        "folder": str(tmp_path),
        "personalities": ["nice", "hostile"],
    }
    loaded.close()


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("sys.exit('no memory')", "it ended with status 1: 'no memory'"),
        ("print('half a l')", "it ended with status 0: ''"),
        ("import time; time.sleep(5)", "no answer within 0.1 s"),
    ],
)
async def test_an_smtpd_that_does_not_answer_is_a_mistake_and_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, why: str
) -> None:
    monkeypatch.setattr(setup, "CHECK_WITHIN", 0.1)
    fake_smtpd(tmp_path, monkeypatch, program)

    (told,) = await mistakes_of(written(tmp_path, ""))

    assert told.startswith(f"config.toml: smtpd: the bundled smtpd could not be asked ({why}); try again")


async def test_an_smtpd_that_cannot_be_started_is_a_mistake_and_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "command", lambda *_words: ["/nowhere/smtpd"])

    (told,) = await mistakes_of(written(tmp_path, ""))

    assert "No such file or directory" in told


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "cannot be read: No such file or directory"), (b"\xff\xfe", "cannot be read: it is not UTF-8 text")],
)
def test_a_file_that_cannot_be_read_says_why_and_what_to_do(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "config.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(Mistaken) as caught:
        read(path)

    assert str(caught.value) == f"{path}: {why}; name another file with -c"


def test_each_bundled_personality_is_named_once(tmp_path: Path) -> None:
    text = (
        '[pool.a]\nbackends = ["bundled:nice", "bundled:odd"]\n[pool.b]\nbackends = ["pass:/b", "bundled:nice"]\n'
        '[[route]]\nto = "a"\n'
    )

    assert personalities(read(written(tmp_path, text)).checked.config) == ["nice", "odd"]


@pytest.mark.parametrize("before", [None, "/somewhere"])
def test_our_programs_find_this_very_frontproxy(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if before:
        monkeypatch.setenv("PYTHONPATH", before)

    first, *others = environment()["PYTHONPATH"].split(":")

    assert (Path(first) / "frontproxy" / "setup.py").exists()
    assert others == ([before] if before else [])


async def test_what_only_the_machine_can_tell_is_a_mistake_too(tmp_path: Path) -> None:
    text = f'[admin]\ngroup = "no-such-group"\n[history]\nfile = "{tmp_path}"\n'

    told = await mistakes_of(written(tmp_path, text + POOLS))

    assert any(line.startswith("config.toml: admin.group: there is no group 'no-such-group'; ") for line in told)
    assert any("history.file:" in line and "is a folder; name a file in it" in line for line in told)


async def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, POOLS)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    (await load(path)).close()

"""A Maildir that keeps its promise, and looks after itself."""

import os
import time
from pathlib import Path

from backends.smtpd.maildir import DRAFTS_KEPT, Maildir


def test_a_committed_message_is_in_new_and_nowhere_else(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path / "mail")
    maildir.prepare()

    message = maildir.open("1", "mx.example.com")
    message.write(b"Subject: hello\n\n")
    message.commit()

    assert [path.name for path in maildir.path.rglob("*") if path.is_file()] == ["1.mx.example.com"]
    assert (maildir.path / "new/1.mx.example.com").read_bytes() == b"Subject: hello\n\n"


def test_a_discarded_message_leaves_nothing(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path)
    maildir.prepare()

    maildir.open("1", "mx.example.com").discard()

    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_drafts_of_a_process_that_was_killed_go_when_they_are_old(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path)
    maildir.prepare()
    for name, age in (("old", DRAFTS_KEPT + 60), ("young", DRAFTS_KEPT - 60)):
        draft = tmp_path / "tmp" / name
        draft.write_bytes(b"half a mess")
        os.utime(draft, (time.time() - age,) * 2)

    maildir.prepare()

    assert [path.name for path in (tmp_path / "tmp").iterdir()] == ["young"]


def test_folders_that_were_removed_are_made_again_for_the_next_message(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path / "mail")

    message = maildir.open("1", "mx.example.com")
    message.commit()

    assert (maildir.path / "new/1.mx.example.com").exists()
    assert (maildir.path / "new").stat().st_mode & 0o777 == 0o700

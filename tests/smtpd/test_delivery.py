"""Messages on their way to the disk."""

import errno
import os
import re
from pathlib import Path

import pytest
import trio

from backends.smtpd.arrival import Client
from backends.smtpd.commands import Address
from backends.smtpd.delivery import Delivery, DeliveryFailed, trace
from backends.smtpd.events import Envelope
from backends.smtpd.maildir import Maildir, new_queue_id
from backends.smtpd.replies import CANNOT_DELIVER, DISK_FULL

_ENVELOPE = Envelope("ann@b.example", (Address("ned", "example.com", "ned@example.com"),), "client.example", "ESMTP")
_CLIENT = Client("192.0.2.1", 4711, "s1")


def _delivery(path: Path) -> Delivery:
    maildir = Maildir(path)
    maildir.prepare()
    delivery = Delivery(maildir, "mx.example.com", trio.CapacityLimiter(1))
    delivery.begin(_ENVELOPE, _CLIENT)
    return delivery


def _files(path: Path) -> dict[str, int]:
    return {name: len(list((path / name).iterdir())) for name in ("tmp", "new", "cur")}


async def test_a_message_lands_in_new_with_its_trace(tmp_path: Path) -> None:
    delivery = _delivery(tmp_path)
    await delivery.write(b"Subject: x\r\n\r\nhello\r\n")
    await delivery.commit()
    assert _files(tmp_path) == {"tmp": 0, "new": 1, "cur": 0}
    (file,) = (tmp_path / "new").iterdir()
    assert file.name == f"{delivery.queue_id}.mx.example.com"
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_bytes().decode()
    assert text.startswith(
        "Return-Path: <ann@b.example>\r\nX-Original-To: ned@example.com\r\nDelivered-To: ned@example.com\r\n"
    )
    assert text.endswith("\r\nSubject: x\r\n\r\nhello\r\n")


async def test_a_large_message_is_streamed(tmp_path: Path) -> None:
    delivery = _delivery(tmp_path)
    for _turn in range(10):
        await delivery.write(b"x" * 99_998 + b"\r\n")
    assert _files(tmp_path)["tmp"] == 1
    await delivery.commit()
    (file,) = (tmp_path / "new").iterdir()
    assert file.stat().st_size > 1_000_000
    assert delivery.size == 1_000_000


async def test_a_discarded_message_leaves_nothing(tmp_path: Path) -> None:
    delivery = _delivery(tmp_path)
    await delivery.write(b"x" * 300_000)
    assert _files(tmp_path)["tmp"] == 1
    delivery.discard()
    assert _files(tmp_path) == {"tmp": 0, "new": 0, "cur": 0}


@pytest.mark.parametrize(
    ("code", "reply"), [(errno.ENOSPC, DISK_FULL), (errno.EDQUOT, DISK_FULL), (errno.EIO, CANNOT_DELIVER)]
)
@pytest.mark.parametrize("call", ["write", "fsync", "open"])
async def test_trouble_with_the_disk_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, reply: object, call: str
) -> None:
    def fail(*_arguments: object) -> int:
        raise OSError(code, os.strerror(code))

    delivery = _delivery(tmp_path)
    await delivery.write(b"x")
    with monkeypatch.context() as patch:
        patch.setattr(f"backends.smtpd.maildir.os.{call}", fail)
        with pytest.raises(DeliveryFailed) as failure:
            await delivery.commit()
    assert failure.value.reply is reply
    assert _files(tmp_path) == {"tmp": 0, "new": 0, "cur": 0}


async def test_a_folder_that_cannot_be_synced_holds_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client hears 4xx and comes again, so the first copy must not stay."""
    sync = os.fsync

    def fail_on_folders(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(errno.EIO, "I/O error")
        sync(descriptor)

    delivery = _delivery(tmp_path)
    monkeypatch.setattr("backends.smtpd.maildir.os.fsync", fail_on_folders)
    with pytest.raises(DeliveryFailed):
        await delivery.commit()
    assert _files(tmp_path) == {"tmp": 0, "new": 0, "cur": 0}


def test_file_and_folder_are_synced_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr("backends.smtpd.maildir.os.fsync", note)
    maildir = Maildir(tmp_path)
    maildir.prepare()
    file = maildir.open("id", "host")
    file.write(b"x")
    assert synced == []
    file.commit()
    assert synced == [tmp_path / "tmp" / "id.host", tmp_path / "new"]


def test_queue_ids_are_never_the_same() -> None:
    ids = {new_queue_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"[0-9A-F]+\.[0-9A-F]+P[0-9A-F]+Q[0-9A-F]+", it) for it in ids)


def test_the_trace_tells_who_and_when() -> None:
    text = trace(_ENVELOPE, Client("2001:db8::1", 25, "s1"), "mx.example.com", "ID").decode()
    received = text[text.index("Received:") :].replace("\r\n\t", " ")
    assert re.fullmatch(
        r"Received: from client\.example \(\[IPv6:2001:db8::1\]:25\) by mx\.example\.com with ESMTP id ID"
        r" \(session s1\); \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\r\n",
        received,
    )


def test_a_name_the_client_gives_itself_cannot_forge_a_trace() -> None:
    envelope = Envelope("", (), "x) by evil (a;b" + "y" * 1000, "ESMTP")
    text = trace(envelope, Client("192.0.2.1", 25), "mx", "ID").decode()
    assert "from x??by?evil??a?by" in text
    assert max(map(len, text.split("\r\n"))) < 400


def test_every_recipient_is_named() -> None:
    recipients = tuple(Address(name, "example.com", f"{name}@example.com") for name in ("ann", "ned"))
    text = trace(Envelope("", recipients, "c", "SMTP"), _CLIENT, "mx", "ID").decode()
    assert text.startswith("Return-Path: <>\r\n")
    assert text.count("X-Original-To: ") == text.count("Delivered-To: ") == 2

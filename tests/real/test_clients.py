"""Real mail clients through the whole house: swaks, smtplib and Postfix's smtp-source."""

import subprocess
from collections.abc import Callable

import pytest

from tests.real.house import CONFIG, DEADLINE, House, wait_for

ROOMY = CONFIG.replace("[pool.hostile]", '[pool.hostile]\nper_client = 20\npatience = "60s"')


def test_smtplib_delivers_to_the_maildir(house: House) -> None:
    house.deliver()

    [message] = house.mail()
    text = message.read_text()
    assert text.startswith("Return-Path: <me@example.org>")
    assert "Delivered-To: user@example.com" in text
    assert text.endswith("\nSubject: hello\n\nHello.\n")


@pytest.mark.parametrize("program", ["swaks"], indirect=True)
def test_swaks_delivers_and_reads_every_reply(house: House, program: str) -> None:
    command = [program, "--server", "127.0.0.1", "--port", str(house.port), "--from", "me@example.org"]
    done = subprocess.run(
        [*command, "--to", "user@example.com", "--ehlo", "client.example.org"],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "250-PIPELINING" in done.stdout
    assert len(house.mail()) == 1


@pytest.mark.parametrize("program", ["swaks"], indirect=True)
def test_swaks_is_told_that_we_do_not_relay(house: House, program: str) -> None:
    command = [program, "--server", "127.0.0.1", "--port", str(house.port), "--from", "me@example.org"]
    done = subprocess.run(
        [*command, "--to", "user@elsewhere.example"], capture_output=True, text=True, timeout=DEADLINE, check=False
    )

    assert done.returncode == 24  # swaks: no recipient was accepted
    assert "550 5.7.1" in done.stdout
    assert not house.mail()


@pytest.mark.parametrize("program", ["smtp-source"], indirect=True)
def test_smtp_source_delivers_5000_messages_20_at_a_time(build: Callable[..., House], program: str) -> None:
    house = build(ROOMY).start()

    words = [program, "-s", "20", "-m", "5000", "-l", "2000"]
    done = subprocess.run(
        [*words, "-f", "me@example.org", "-t", "user@example.com", f"127.0.0.1:{house.port}"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert len(house.mail()) == 5000
    wait_for(lambda: house.ask("status")["counters"]["outcomes"] == 5000, "an outcome for each session")
    status = house.ask("status")
    assert [pool["taken"] for pool in status["pools"]] == [0, 0]
    assert not [name for name in status["counters"] if name.startswith("refused")]

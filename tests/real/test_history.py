"""Friends and foes are made by what clients do, and outlive a restart and a kill -9."""

import signal
import smtplib
from collections.abc import Callable

import pytest

from tests.real.house import House, wait_for

FRIEND = "127.1.0.1"
FOE = "127.64.0.1"


def guess_recipients(house: House, client: str, sessions: int) -> None:
    """Sessions that try names and hit none."""
    for number in range(sessions):
        with house.smtp(client) as session:
            session.ehlo()
            session.mail("me@example.org")
            for name in range(5):
                code, _text = session.rcpt(f"guess{number}{name}@example.com")
                assert code == 550
    house.wait_for_outcomes(client, sessions)


def test_ten_good_messages_make_a_friend_who_goes_to_the_nice_pool_without_a_pause(house: House) -> None:
    house.befriend(FRIEND)

    answer = house.ask(f"score {FRIEND}")
    assert answer["score"] >= 5
    assert answer["settled"]
    assert answer["pool"] == "nice"
    house.deliver(FRIEND)
    handover = house.events("handover", client=FRIEND)[-1]
    assert "pool=nice" in handover
    assert float(handover.partition("ms=")[2]) < 150  # the pause of a stranger is 200 ms


def test_guessing_recipients_makes_a_foe_and_the_score_says_why(house: House) -> None:
    guess_recipients(house, FOE, 10)

    answer = house.ask(f"score {FOE}")
    assert answer["score"] < -5
    assert answer["pool"] == "hostile"
    [reason] = [reason for reason in answer["reasons"] if reason["name"] == "history"]
    assert "bad sessions" in reason["text"]
    assert house.events("outcome", client=FOE)[0].count("refused=5") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["restart", "kill -9"])
def test_friends_and_foes_outlive_the_process(build: Callable[..., House], number: int) -> None:
    house = build().start()
    house.befriend(FRIEND)
    guess_recipients(house, FOE, 10)
    before = house.score(FRIEND), house.score(FOE)
    wait_for(lambda: house.ask("status")["history"]["unwritten"] == 0, "the history on disk")
    house.kill(number)
    house.wait()

    house.start()

    after = house.score(FRIEND), house.score(FOE)
    assert after == pytest.approx(before, abs=0.1)


def test_a_pin_outlives_the_process_and_wins_over_history(build: Callable[..., House]) -> None:
    house = build().start()
    house.befriend(FRIEND)
    assert house.ask(f"pin {FRIEND} hostile --because spammed us")["ok"]
    house.stop()

    house.start()

    answer = house.ask(f"score {FRIEND}")
    assert (answer["pool"], answer["pinned"], answer["score"] >= 5) == ("hostile", FRIEND, True)
    assert house.ask(f"unpin {FRIEND}")["ok"]
    assert house.ask(f"score {FRIEND}")["pool"] == "nice"


def test_an_early_talker_is_remembered_as_one(house: House) -> None:
    with house.connect(FOE) as connection:
        connection.sendall(b"EHLO client.example.org\r\nQUIT\r\n")
        replies = b""
        while data := connection.recv(4096):
            replies += data

    assert replies.startswith(b"220 ")
    assert b"\r\n221 " in replies
    house.wait_for_outcomes(FOE, 1)
    [handover] = house.events("handover", client=FOE)
    assert "pregreet:-30.0" in handover
    assert house.score(FOE) < 0


def test_a_list_sends_its_clients_to_the_nice_pool_at_once(build: Callable[..., House]) -> None:
    house = build()
    house.write_config(
        (house.folder / "config.toml").read_text()
        + '[[list]]\nname = "own"\nkind = "own"\nnetworks = ["127.5.0.0/16"]\n'
        + '[[list]]\nname = "enemies"\nkind = "deny"\nnetworks = ["127.5.6.0/24"]\n'
    )
    house.start()

    assert house.ask("score 127.5.0.1")["pool"] == "nice"
    with pytest.raises(smtplib.SMTPConnectError) as refused, house.smtp("127.5.6.7"):
        pass
    assert refused.value.smtp_code == 554

"""Who talked before the greeting, with what became of them."""

from tests.logs.reading import read, session

HEAD = "Nov 22 20:11:17 mx postfix/postscreen[9]: "
EARLY = f"{HEAD}PREGREET 48 after 0 from [192.0.2.1]:4711: EHLO PREGREET 1 after 0 from [192.0.2.9]:11: x".encode()
GONE = f"{HEAD}DISCONNECT [192.0.2.1]:4711".encode()


def test_one_that_postscreen_keeps_is_told_at_its_end() -> None:
    (seen,) = read([EARLY, GONE, GONE])

    assert (seen.line.client, seen.line.port, seen.line.early, seen.line.end) == ("192.0.2.1", 4711, True, "refused")
    assert seen.service == "postfix/postscreen"


def test_one_that_postscreen_lets_through_is_told_with_its_session() -> None:
    assert [seen.line.early for seen in read([EARLY, *session(), *session(), GONE])] == [True, False]


def test_without_ports_nobody_knows_whose_session_it_was() -> None:
    assert [seen.line.early for seen in read([EARLY, *session(client="unknown[192.0.2.1]")])] == [False]


def test_those_that_waited_for_the_greeting_are_not_told() -> None:
    connect = f"{HEAD}CONNECT from [192.0.2.1]:4711 to [198.51.100.25]:25".encode()

    assert read([connect, f"{HEAD}PASS OLD [192.0.2.1]:4711".encode(), GONE]) == []

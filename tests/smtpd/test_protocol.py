"""The protocol as a machine: bytes in, events out."""

from hypothesis import given
from hypothesis import strategies as st

from backends.smtpd import replies
from backends.smtpd.events import Closed, Content, MessageDropped, NeedInput, Pause, Send
from tests.smtpd.scripts import Played, personality, protocol

_GOOD = [b"EHLO c", b"HELO c", b"MAIL FROM:<a@b.example>", b"MAIL FROM:<>", b"RCPT TO:<ned@example.com>", b"RSET"]
_ODD = [
    b"RCPT TO:<x@y.example>",
    b"FOO",
    b"VRFY x",
    b"QUIT",
    b"MAIL FROM:<a@",
    b"STARTTLS",
    b"\0",
    b"x" * 3000,
    b"a\nb",
]
_COMMANDS = st.sampled_from([*_GOOD, *_ODD])
_TURNS = st.lists(st.lists(_COMMANDS, max_size=5) | st.just([b"DATA"]) | st.just([b"x", b"..y", b"."]), max_size=6)


@given(_TURNS, st.integers(1, 7))
def test_chunking_never_changes_the_replies(turns: list[list[bytes]], size: int) -> None:
    """A client that waits after DATA gets the same replies however its bytes are cut."""
    whole, cut = Played(protocol()), Played(protocol())
    for turn in turns:
        data = b"".join(line + b"\r\n" for line in turn)
        whole.settle()
        whole.send(data)
        cut.settle()
        for start in range(0, len(data), size):
            cut.send(data[start : start + size])
    assert (whole.output, whole.messages) == (cut.output, cut.messages)
    assert (whole.closed and whole.closed.end) == (cut.closed and cut.closed.end)


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_random_bytes_raise_nothing(chunks: list[bytes]) -> None:
    for manners in (personality("nice"), personality("hostile", stress=True)):
        played = Played(protocol(manners))
        played.settle()
        for chunk in chunks:
            played.send(chunk)
        played.protocol.receive_eof()
        played.settle()
        assert played.closed is not None


def test_pipelined_commands_are_answered_in_one_write() -> None:
    played = Played(protocol())
    played.settle()
    played.events.clear()
    played.send(b"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<ned@example.com>\r\nDATA\r\n")
    assert sum(isinstance(event, Send) for event in played.events) == 1


def test_replies_do_not_gather_without_bound() -> None:
    played = Played(protocol(personality(junk_command_limit=100_000, hard_error_limit=100_000)))
    played.settle()
    played.send(b"EHLO c\r\n" * 8000)
    assert max(len(event.data) for event in played.events if isinstance(event, Send)) < 17_000


def test_the_reply_after_too_many_errors_is_delayed() -> None:
    played = Played(protocol(personality(soft_error_limit=2, error_sleep_time="3s")))
    played.settle()
    played.events.clear()
    played.send(b"FOO\r\nFOO\r\nNOOP\r\n")
    assert [type(event) for event in played.events] == [Send, Pause, Send, NeedInput]
    assert played.events[1] == Pause(3.0)
    assert bytes(played.output).endswith(b"250 2.0.0 Ok\r\n")


def test_a_message_in_a_thousand_pieces_is_not_kept() -> None:
    played = Played(protocol())
    played.settle()
    played.send(b"MAIL FROM:<>\r\nRCPT TO:<ned@example.com>\r\nDATA\r\n")
    played.events.clear()
    for _turn in range(1000):
        played.send(b"x" * 100)
    assert sum(len(event.data) for event in played.events if isinstance(event, Content)) == 100_000


def test_a_message_too_big_is_dropped_at_once_and_answered_at_its_end() -> None:
    played = Played(protocol(personality(message_size_limit=100)))
    played.settle()
    played.send(b"MAIL FROM:<>\r\nRCPT TO:<ned@example.com>\r\nDATA\r\n")
    played.output.clear()
    played.send(b"x" * 150)
    assert MessageDropped() in played.events
    assert not played.output
    played.send(b"\r\n.\r\n")
    assert played.output.startswith(b"552 5.3.4")
    assert played.closed is None


def test_giving_up_says_so_and_drops_the_message() -> None:
    played = Played(protocol())
    played.settle()
    played.send(b"MAIL FROM:<>\r\nRCPT TO:<ned@example.com>\r\nDATA\r\n")
    played.events.clear()
    played.protocol.give_up(replies.TIMED_OUT, "timeout")
    played.settle()
    assert played.events == [MessageDropped(), Send(bytes(replies.TIMED_OUT)), Closed("timeout", linger=True)]
    assert played.protocol.stage == "data"


def test_stress_ends_the_session_of_a_stranger_at_the_first_error_and_spares_the_nice() -> None:
    answers = {}
    for name in ("nice", "hostile"):
        played = Played(protocol(personality(name, stress=True)))
        played.settle()
        played.send(b"FOO\r\n")
        answers[name] = played.closed
    assert answers == {"nice": None, "hostile": Closed("errors", linger=True)}


def test_bytes_behind_quit_are_lingered_for() -> None:
    played = Played(protocol())
    played.settle()
    played.send(b"QUIT\r\nNOOP\r\n")
    assert played.closed == Closed("quit", linger=True)

"""Troubles of the history file: each told once, for as long as it lasts."""

import pytest

from frontproxy.memory.troubles import Troubles


class Heard:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.values: list[dict[str, object]] = []

    def __call__(self, event: str, /, **values: object) -> None:
        assert (event, values["state"]) == ("history", "trouble")
        self.values.append(values)

    @property
    def texts(self) -> list[object]:
        return [values["text"] for values in self.values]


def test_what_was_found_at_opening_stays() -> None:
    log = Heard()
    troubles = Troubles(log, at_opening=["it was damaged"], failing="it can only be read")

    assert troubles.current() == log.texts == ["it was damaged", "it can only be read"]
    assert troubles.end("write")
    assert troubles.current() == ["it was damaged"]


def test_a_trouble_is_told_once_while_it_lasts_and_again_when_it_comes_back() -> None:
    log = Heard()
    troubles = Troubles(log, at_opening=[], failing="")
    assert not troubles.end("copy")
    for text in ("no room", "no room", "no rights"):
        troubles.begin("copy", text)
    troubles.begin("size", "no room")
    assert troubles.current() == ["no rights", "no room"]
    assert troubles.end("copy")
    assert not troubles.end("copy")
    troubles.begin("copy", "no rights")

    assert log.texts == ["no room", "no rights", "no room", "no rights"]
    assert troubles.current() == ["no room", "no rights"]


def test_a_bug_is_told_once_with_the_end_of_its_traceback() -> None:
    log = Heard()
    troubles = Troubles(log, at_opening=[], failing="")
    for number in range(3):
        with pytest.raises(OverflowError) as caught:
            raise OverflowError("x" * 3000 + str(number))
        troubles.bug("history was lost", caught.value)

    [told] = log.values
    assert str(told["text"]).startswith("history was lost (OverflowError('xxx")
    assert str(told["text"]).endswith("xxx): a bug in frontproxy; its traceback is in the log")
    assert len(str(told["text"])) < 400
    assert str(told["traceback"]).endswith("xxx0\n")
    assert len(str(told["traceback"])) == 900
    assert troubles.current() == log.texts

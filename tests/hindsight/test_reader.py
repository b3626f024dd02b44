"""The command's end of the reading program."""

import pytest

from frontproxy.hindsight import reader
from frontproxy.hindsight.ways import Broken


async def test_a_reading_program_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "command", lambda *_words: ["/nowhere/python"])

    with pytest.raises(Broken, match=r"cannot be started \(/nowhere/python: No such file") as caught:
        async with reader.reading(["mail.log"], ()):
            pass

    assert caught.value.code == reader.EX_OSERR

"""The asking program: what it makes of its arguments and orders."""

import pytest

from frontproxy.lookup import program


@pytest.mark.parametrize("arguments", [[], ["--socket-fd"], ["--socket-fd", "a"], ["--socket-fd", "1", "more"]])
def test_wrong_arguments_are_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(arguments)

    assert ended.value.code == 64
    assert "usage:" in capsys.readouterr().err

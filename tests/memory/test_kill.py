"""What a kill -9 costs: at most a second of history, and never the file."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from frontproxy.core.history import Keys
from frontproxy.core.level import Forgetting
from frontproxy.memory.sqlite import HistoryFile

_FORGETTING = Forgetting(good_half_life=30 * 86400, bad_half_life=7 * 86400, evidence_cap=25, network_limit=4)
_LIVED = 1.5  # seconds of history before the kill

_CHILD = """
import sys, time, trio
from pathlib import Path
from frontproxy.core.history import Keys, learn
from frontproxy.core.level import Forgetting
from frontproxy.memory.sqlite import HistoryFile

forgetting = Forgetting(30 * 86400, 7 * 86400, 25, 4)

async def main():
    history = HistoryFile.open(Path(sys.argv[1]), limit=10**6, forgetting=forgetting, log=print)
    async with trio.open_nursery() as nursery:
        await nursery.start(history.run)
        for number in range(10**6):
            keys = Keys(number.to_bytes(4, "big"), b"net", 1)
            recalled = history.recall(keys)
            history.remember(learn(recalled, good=1, bad=0, now=time.time(), forgetting=forgetting)[0])
            print(number, time.monotonic(), flush=True)
            await trio.sleep(0.01)

trio.run(main)
"""


@pytest.mark.real
def test_kill_9_loses_at_most_a_second(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    moments: list[float] = []
    with subprocess.Popen([sys.executable, "-c", _CHILD, str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        for line in child.stdout:
            moments.append(float(line.split()[1]))
            if moments[-1] - moments[0] > _LIVED and child.poll() is None:
                child.kill()
    logged: list[object] = []
    history = HistoryFile.open(
        path, limit=10**6, forgetting=_FORGETTING, log=lambda event, /, **values: logged.append((event, values))
    )
    with closing(history):
        kept = history.status()["clients"]
        assert isinstance(kept, int)
        assert history.recall(Keys((kept - 1).to_bytes(4, "big"), b"net", 1)).client is not None

    assert kept > 0
    assert moments[-1] - moments[kept - 1] < 1
    assert logged == []

"""How long `frontproxy learn` takes for a log of a million lines: wall time, and CPU of all its processes.

python -m tests.bench learn_log [--lines 1000000] [--rounds 3]

The log is one of Postfix with client ports, made up: 7 lines for a session that sends a message, 3 for one that is
refused, and lines of other programs between them; clients by Zipf's law, the most frequent with thousands of sessions.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

_CLIENTS = 40_000


def main(arguments: list[str] | None = None) -> None:
    """Learn the log into an empty history, and then again, when every session is known already."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "mail.log"
        with log.open("w") as file:
            file.writelines(_lines(options.lines))
        for again in (False, True):
            times = [_learn(folder, log, keep=again) for _round in range(options.rounds)]
            what = "again, all told" if again else f"{options.lines} lines"
            wall, cpu = (median(numbers) for numbers in zip(*times, strict=True))
            print(
                f"{what}: {wall:.1f} s, {cpu:.1f} s of CPU (medians of {options.rounds}); load {os.getloadavg()[0]:.1f}"
            )


def _learn(folder: Path, log: Path, *, keep: bool) -> tuple[float, float]:
    """Seconds, and seconds of CPU."""
    config = folder / "config.toml"
    config.write_text(f'[admin]\nsocket = "{folder}/admin.sock"\n[history]\nfile = "{folder}/history.sqlite3"\n')
    if not keep:
        for path in folder.glob("history*"):
            path.unlink()
    before, began = os.times(), time.monotonic()
    command = [sys.executable, "-m", "frontproxy", "learn", "-c", str(config), str(log)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - began, spent


def _lines(count: int) -> Iterator[str]:
    chance = random.Random(7)
    now = time.time() - 14 * 86400
    step = 14 * 86400 / count
    made = session = 0
    while made < count:
        session += 1
        lines = list(_session(chance, session))
        for line in lines[: count - made]:
            now += step
            stamp = time.strftime("%b %e %H:%M:%S", time.localtime(now))
            yield f"{stamp} mx {line}\n"
        made += len(lines)


def _session(chance: random.Random, number: int) -> Iterator[str]:
    client = int(_CLIENTS * chance.random() ** 3)
    name = f"mail{client}.example{client % 997}.com" if client % 3 else "unknown"
    who = f"{name}[{198 + client % 2}.{client // 256 % 256}.{client % 256}.{client % 250 + 1}]:{1024 + number % 60000}"
    smtpd = f"postfix/smtpd[{1000 + number % 50}]:"
    yield f"{smtpd} connect from {who}"
    if client % 4:
        queue = f"{number:07X}A9"
        yield f"{smtpd} {queue}: client={who}"
        yield f"postfix/cleanup[77]: {queue}: message-id=<{number}@example.com>"
        yield f"postfix/qmgr[78]: {queue}: from=<a@example.com>, size=2345, nrcpt=1 (queue active)"
        yield f"{smtpd} disconnect from {who} ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5"
        yield (
            f"postfix/lmtp[79]: {queue}: to=<b@example.org>, relay=mx[private/dovecot-lmtp], delay=0.2,"
            " delays=0.1/0/0/0.1, dsn=2.0.0, status=sent (250 2.0.0 <b@example.org> Saved)"
        )
        yield f"postfix/qmgr[78]: {queue}: removed"
    else:
        yield (
            f"{smtpd} NOQUEUE: reject: RCPT from {who}: 550 5.1.1 <c@example.org>: Recipient address rejected: User"
            " unknown in local recipient table; from=<a@example.com> to=<c@example.org> proto=ESMTP helo=<x>"
        )
        yield f"{smtpd} disconnect from {who} ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4"


if __name__ == "__main__":
    main()

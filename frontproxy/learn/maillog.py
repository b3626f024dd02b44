"""The log feed: follows the log of Postfix or Exim, and tells how each SMTP session ended, as an outcome line.

python -m frontproxy.learn.maillog --orders                       started by frontproxy, orders on standard input
python -m frontproxy.learn.maillog --file PATH|- --report PATH    on its own; `-` is standard input

The log must name the clients' ports, by which sessions are joined. Postfix: `smtpd_client_port_logging = yes`. Exim:
`log_selector = +incoming_port +smtp_connection`. With systemd's journal: `journalctl -f -n 0 -o short-iso > FIFO`.
Whoever can write into the log can tell outcomes: it is for the mail server and the system's logger alone.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NoReturn

from frontproxy.learn.feed import read_orders
from frontproxy.learn.follow import Follower, Piped
from frontproxy.learn.maillog_loop import MaillogLoop, Source
from frontproxy.learn.reporter import Reporter
from frontproxy.lifeline import BadOrders, ChildLog
from frontproxy.logs import LogReader

_USAGE: Final = 64  # sysexits


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(_USAGE, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the arguments say; the exit code is one of sysexits."""
    options = _options(arguments)
    log = ChildLog("feed", "maillog")
    if not options.orders:
        source = Piped(sys.stdin.fileno()) if options.file == Path("-") else Follower(options.file)
        _loop(source, options.report, log).run()
        return 0
    for number in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to all of us; the parent obeys
        signal.signal(number, signal.SIG_IGN)
    lifeline = sys.stdin.fileno()
    os.set_blocking(2, False)  # a pipe of our own
    try:
        orders = read_orders(lifeline)
    except (BadOrders, OSError) as error:
        log.say("feed_error", what=f"standard input: {error}")
        return _USAGE
    if orders.file is None:
        log.say("feed_error", what='standard input: "file", the path of the log, is missing')
        return _USAGE
    os.set_blocking(lifeline, False)
    _loop(Follower(orders.file), orders.report, log, lifeline).run()
    return 0


def _loop(source: Source, report: Path, log: ChildLog, lifeline: int | None = None) -> MaillogLoop:
    now = time.time()
    reader = LogReader(year=datetime.fromtimestamp(now).astimezone().year, now=now)
    return MaillogLoop(source, reader, Reporter(report), log, lifeline)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(prog="python -m frontproxy.learn.maillog", description="Learns from the mail server's log.")
    log = parser.add_mutually_exclusive_group(required=True)
    log.add_argument("--orders", action="store_true", help="orders come on standard input, which is the lifeline")
    log.add_argument("--file", type=Path, metavar="PATH", help="the log, a file or a FIFO; - for standard input")
    parser.add_argument("--report", type=Path, metavar="PATH", help="with --file: frontproxy's report socket")
    options = parser.parse_args(arguments)
    if (options.file is None) != (options.report is None):
        parser.error("--file and --report go together")
    return options


if __name__ == "__main__":
    sys.exit(main())

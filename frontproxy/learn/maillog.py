"""The log feed: follows the log of Postfix or Exim, and tells how each SMTP session ended, as an outcome line.

python -m frontproxy.learn.maillog --orders                       started by frontproxy, orders on standard input
python -m frontproxy.learn.maillog --file PATH|- --report PATH    on its own; `-` is standard input

The log must name the clients' ports, by which sessions are joined. Postfix: `smtpd_client_port_logging = yes`. Exim:
`log_selector = +incoming_port +smtp_connection`. With systemd's journal: `journalctl -f -n 0 -o short-iso > FIFO`.
Whoever can write into the log can tell outcomes: it is for the mail server and the system's logger alone.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from frontproxy.learn.follow import Follower, Piped
from frontproxy.learn.maillog_loop import MaillogLoop, Source
from frontproxy.learn.program import USAGE, Parser, orders_of_parent
from frontproxy.learn.reporter import Reporter
from frontproxy.lifeline import BadOrders, ChildLog
from frontproxy.logs import LogReader


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the arguments say; the exit code is one of sysexits."""
    options = _options(arguments)
    log = ChildLog("feed", "maillog")
    if not options.orders:
        source = Piped(sys.stdin.fileno()) if options.file == Path("-") else Follower(options.file)
        _loop(source, options.report, log).run()
        return 0
    lifeline = sys.stdin.fileno()
    try:
        orders = orders_of_parent(lifeline)
    except (BadOrders, OSError) as error:
        log.say("feed_error", what=f"standard input: {error}")
        return USAGE
    if orders.file is None:
        log.say("feed_error", what='standard input: "file", the path of the log, is missing')
        return USAGE
    os.set_blocking(lifeline, False)
    _loop(Follower(orders.file), orders.report, log, lifeline).run()
    return 0


def _loop(source: Source, report: Path, log: ChildLog, lifeline: int | None = None) -> MaillogLoop:
    now = time.time()
    reader = LogReader(year=datetime.fromtimestamp(now).astimezone().year, now=now)
    return MaillogLoop(source, reader, Reporter(report), log, lifeline)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser("maillog", "Learns from the mail server's log.", alone="file")
    lifeline = "orders come on standard input, which is the lifeline"
    parser.source.add_argument("--orders", action="store_true", help=lifeline)
    parser.source.add_argument("--file", type=Path, metavar="PATH", help="the log, a file or a FIFO; - for stdin")
    return parser.options(arguments)


if __name__ == "__main__":
    sys.exit(main())

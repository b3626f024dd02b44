"""The passive milter beside Postfix: hears how each SMTP session goes, and tells it as an outcome line.

python -m frontproxy.learn.milter --listen-fd N                              started by frontproxy, orders on stdin
python -m frontproxy.learn.milter --listen 127.0.0.1:10032 --report PATH     on its own

In Postfix, as the last milter: `smtpd_milters = ..., { inet:127.0.0.1:10032, connect_timeout=2s, command_timeout=2s,
content_timeout=10s, default_action=accept }`. Mail then goes on whatever happens here. Whoever can connect can tell
outcomes, so the door is for Postfix alone: a UNIX socket in a folder that only Postfix enters, or the loopback of a
machine without other users.
"""

import argparse
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from frontproxy.learn.feed import read_orders
from frontproxy.learn.milter_loop import Milter
from frontproxy.learn.reporter import Reporter
from frontproxy.lifeline import BadOrders, ChildLog

_USAGE: Final = 64  # sysexits
_OS_ERROR: Final = 71


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(_USAGE, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the arguments say; the exit code is one of sysexits."""
    options = _options(arguments)
    log = ChildLog("feed", "milter")
    try:
        if options.listen_fd is None:
            Milter(_listening(options.listen), Reporter(options.report), log).run()
        for number in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to all of us; the parent obeys
            signal.signal(number, signal.SIG_IGN)
        os.set_blocking(2, False)  # a pipe of our own
        lifeline = sys.stdin.fileno()
        orders = read_orders(lifeline)
        Milter(socket.socket(fileno=options.listen_fd), Reporter(orders.report), log, lifeline).run()
    except BadOrders as error:
        log.say("feed_error", what=f"standard input: {error}")
        return _USAGE
    except OSError as error:
        log.say("feed_error", what=f"{error.filename or 'the listening socket'}: {error.strerror}")
        return _OS_ERROR
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(prog="python -m frontproxy.learn.milter", description="The passive milter.")
    door = parser.add_mutually_exclusive_group(required=True)
    door.add_argument("--listen-fd", type=int, metavar="N", help="a listening socket; orders come on standard input")
    door.add_argument("--listen", type=_address, metavar="ADDRESS:PORT")
    parser.add_argument("--report", type=Path, metavar="PATH", help="with --listen: frontproxy's report socket")
    options = parser.parse_args(arguments)
    if (options.listen is None) != (options.report is None):
        parser.error("--listen and --report go together")
    return options


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!a} is not ADDRESS:PORT")
    return host.strip("[]"), int(port)


def _listening(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return socket.create_server(address, family=family, backlog=1024)


if __name__ == "__main__":
    sys.exit(main())

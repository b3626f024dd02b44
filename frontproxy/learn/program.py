"""What the feeds have in common as programs: arguments, orders, exit codes."""

import argparse
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

from frontproxy.learn.feed import Orders, read_orders
from frontproxy.learn.loop import Loop, Service
from frontproxy.learn.reporter import Reporter
from frontproxy.lifeline import BadOrders, ChildLog

USAGE: Final = 64
"""The exit code of sysexits for wrong arguments or orders."""
_OS_ERROR: Final = 71

MakeService = Callable[[Orders, Reporter, ChildLog], Service]
"""What a program does, from what it was told."""


class Parser(argparse.ArgumentParser):
    """Arguments of a feed program; a wrong one ends it with the exit code of sysexits.

    It is either started by frontproxy or lives on its own: `source` takes one option for each. `alone` is the latter's
    name, such as `listen`.
    """

    def __init__(self, name: str, description: str, alone: str) -> None:
        super().__init__(prog=f"python -m frontproxy.learn.{name}", description=description)
        self._alone = alone
        self.source = self.add_mutually_exclusive_group(required=True)
        self.add_argument("--report", type=Path, metavar="PATH", help=f"with --{alone}: frontproxy's report socket")

    def options(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """The arguments, which fit together."""
        options = self.parse_args(arguments)
        if (getattr(options, self._alone) is None) != (options.report is None):
            self.error(f"--{self._alone} and --report go together")
        return options

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def door_parser(name: str, description: str) -> Parser:
    """For a feed that mail servers connect to."""
    parser = Parser(name, description, alone="listen")
    parser.source.add_argument("--listen-fd", type=int, metavar="N", help="a listening socket; orders come on stdin")
    parser.source.add_argument("--listen", type=_address, metavar="ADDRESS:PORT")
    return parser


def orders_of_parent(lifeline: int) -> Orders:
    """What frontproxy says at the start to the feed that it has started. Raises BadOrders, OSError."""
    for number in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to all of us; the parent obeys
        signal.signal(number, signal.SIG_IGN)
    os.set_blocking(2, False)  # a pipe of our own
    return read_orders(lifeline)


def serve(name: str, options: argparse.Namespace, own_orders: Orders, make: MakeService) -> int:
    """Serve at the door that the options name; `own_orders` are for a life without frontproxy as the parent.

    Returns the exit code, one of sysexits.
    """
    log = ChildLog("feed", name)
    try:
        if options.listen_fd is None:
            _run(_listening(options.listen), own_orders, log, make)
            return 0
        lifeline = sys.stdin.fileno()
        orders = orders_of_parent(lifeline)
        _run(socket.socket(fileno=options.listen_fd), orders, log, make, lifeline)
    except BadOrders as error:
        log.say("feed_error", what=f"standard input: {error}")
        return USAGE
    except OSError as error:
        log.say("feed_error", what=f"{error.filename or 'the listening socket'}: {error.strerror}")
        return _OS_ERROR
    return 0


def _run(door: socket.socket, orders: Orders, log: ChildLog, make: MakeService, lifeline: int | None = None) -> None:
    reporter = Reporter(orders.report)
    Loop(door, make(orders, reporter, log), reporter, log, lifeline).run()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!a} is not ADDRESS:PORT")
    return host.strip("[]"), int(port)


def _listening(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return socket.create_server(address, family=family, backlog=1024)

"""What the feeds that mail servers connect to have in common as programs: arguments, orders, exit codes."""

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

_USAGE: Final = 64  # sysexits
_OS_ERROR: Final = 71

MakeService = Callable[[Orders, Reporter, ChildLog], Service]
"""What a program does, from what it was told."""


class Parser(argparse.ArgumentParser):
    """Arguments of a feed program; a wrong one ends it with the exit code of sysexits."""

    def __init__(self, name: str, description: str) -> None:
        super().__init__(prog=f"python -m frontproxy.learn.{name}", description=description)
        door = self.add_mutually_exclusive_group(required=True)
        door.add_argument("--listen-fd", type=int, metavar="N", help="a listening socket; orders come on stdin")
        door.add_argument("--listen", type=_address, metavar="ADDRESS:PORT")
        self.add_argument("--report", type=Path, metavar="PATH", help="with --listen: frontproxy's report socket")

    def options(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """The arguments, which fit together."""
        options = self.parse_args(arguments)
        if (options.listen is None) != (options.report is None):
            self.error("--listen and --report go together")
        return options

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        self.print_usage(sys.stderr)
        self.exit(_USAGE, f"{self.prog}: {message}\n")


def serve(name: str, options: argparse.Namespace, own_orders: Orders, make: MakeService) -> int:
    """Serve at the door that the options name; `own_orders` are for a life without frontproxy as the parent.

    Returns the exit code, one of sysexits.
    """
    log = ChildLog("feed", name)
    try:
        if options.listen_fd is None:
            _run(_listening(options.listen), own_orders, log, make)
            return 0
        for number in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to all of us; the parent obeys
            signal.signal(number, signal.SIG_IGN)
        os.set_blocking(2, False)  # a pipe of our own
        lifeline = sys.stdin.fileno()
        orders = read_orders(lifeline)
        _run(socket.socket(fileno=options.listen_fd), orders, log, make, lifeline)
    except BadOrders as error:
        log.say("feed_error", what=f"standard input: {error}")
        return _USAGE
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

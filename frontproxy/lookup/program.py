"""The asking program: looks addresses up in DNS lists, and their names, for the desk in the proxy.

python -m frontproxy.lookup.program --socket-fd N        started by frontproxy, orders on standard input

Questions and answers go through one socket (`messages`). It is a process of its own because a look-up costs ten times
what judging does: however many strangers have to be looked up, friends are served by another one.
"""

import argparse
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from frontproxy.lifeline import BadOrders, ChildLog
from frontproxy.lookup.loop import Loop
from frontproxy.lookup.orders import read_orders

_USAGE: Final = 64  # sysexits
_OS_ERROR: Final = 71
_NICENESS: Final = 5  # when cores are short, those who serve friends come first


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(_USAGE, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the arguments say; the exit code is one of sysexits."""
    parser = _Parser(prog="python -m frontproxy.lookup.program", description="Looks clients up in the DNS.")
    parser.add_argument("--socket-fd", type=int, metavar="N", required=True, help="where questions come from")
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to all of us; the parent obeys
        signal.signal(number, signal.SIG_IGN)
    os.set_blocking(2, False)  # a pipe of our own
    os.nice(_NICENESS)
    log = ChildLog("lookup", "lookup")
    lifeline = sys.stdin.fileno()
    try:
        orders = read_orders(lifeline)
        desk = socket.socket(fileno=options.socket_fd)
    except BadOrders as error:
        log.say("lookup_error", what=f"standard input: {error}")
        return _USAGE
    except OSError as error:
        log.say("lookup_error", what=f"standard input or socket {options.socket_fd}: {error.strerror}")
        return _OS_ERROR
    Loop(desk, orders, log, lifeline=lifeline).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The policy service beside Postfix: learns from what it is asked, and lets restrictions depend on the client.

python -m frontproxy.learn.policy --listen-fd N                              started by frontproxy, orders on stdin
python -m frontproxy.learn.policy --listen 127.0.0.1:10031 --report PATH [--admin PATH --class nice=friends ...]

deploy/postfix/policy.cf has the lines for main.cf; with `default_action=DUNNO` mail goes on whatever happens here.
Whoever can connect can tell outcomes, so the door is for Postfix alone: a UNIX socket in a folder that only Postfix
enters, or the loopback of a machine without other users.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from frontproxy.learn.feed import Orders
from frontproxy.learn.policy_service import Policy
from frontproxy.learn.program import door_parser, serve
from frontproxy.learn.reporter import Reporter
from frontproxy.lifeline import ChildLog


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the arguments say; the exit code is one of sysexits."""
    parser = door_parser("policy", "The policy service.")
    parser.add_argument("--admin", type=Path, metavar="PATH", help="with --listen: frontproxy's admin socket")
    parser.add_argument("--class", dest="classes", type=_class, action="append", default=[], metavar="POOL=ACTION")
    options = parser.options(arguments)
    return serve("policy", options, Orders(options.report, options.admin, classes=dict(options.classes)), _service)


def _class(text: str) -> tuple[str, str]:
    pool, equals, action = text.partition("=")
    if not (pool and equals and action and action.isascii() and action.isprintable()):
        raise argparse.ArgumentTypeError(f"{text!a} is not POOL=ACTION")
    return pool, action


def _service(orders: Orders, reporter: Reporter, log: ChildLog) -> Policy:
    return Policy(reporter, log, orders.admin, orders.classes)


if __name__ == "__main__":
    sys.exit(main())

"""The passive milter beside Postfix: hears how each SMTP session goes, and tells it as an outcome line.

python -m frontproxy.learn.milter --listen-fd N                              started by frontproxy, orders on stdin
python -m frontproxy.learn.milter --listen 127.0.0.1:10032 --report PATH     on its own

In Postfix, as the last milter: `smtpd_milters = ..., { inet:127.0.0.1:10032, connect_timeout=2s, command_timeout=2s,
content_timeout=10s, default_action=accept }`. Mail then goes on whatever happens here. Whoever can connect can tell
outcomes, so the door is for Postfix alone: a UNIX socket in a folder that only Postfix enters, or the loopback of a
machine without other users.
"""

import sys
from collections.abc import Sequence

from frontproxy.learn.feed import Orders
from frontproxy.learn.milter_service import MilterService
from frontproxy.learn.program import door_parser, serve
from frontproxy.learn.reporter import Reporter
from frontproxy.lifeline import ChildLog


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the arguments say; the exit code is one of sysexits."""
    options = door_parser("milter", "The passive milter.").options(arguments)
    return serve("milter", options, Orders(options.report), _service)


def _service(_orders: Orders, reporter: Reporter, _log: ChildLog) -> MilterService:
    return MilterService(reporter)


if __name__ == "__main__":
    sys.exit(main())

"""The bundled smtpd as a program.

python -m backends.smtpd --personality NAME --handover-fd N          started by frontproxy: sessions come as descriptors
python -m backends.smtpd --personality NAME [--stress] --listen ADDRESS:PORT [-c config.toml]       on its own
python -m backends.smtpd --check                                     every mistake in the JSON on standard input
"""

import argparse
import errno
import json
import signal
import socket
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import trio

from backends.smtpd.log import Log
from backends.smtpd.maildir import Maildir
from backends.smtpd.parent import BadOrders, Orders, read_orders
from backends.smtpd.personality import Mistake
from backends.smtpd.report import Reporter
from backends.smtpd.server import Manners, Server
from backends.smtpd.service import serve_parent, serve_standalone
from backends.smtpd.session import Site
from backends.smtpd.settings import Settings, read_settings

_USAGE, _OS_ERROR, _NO_PERMISSION, _CONFIGURATION = 64, 71, 77, 78  # sysexits
_WRITERS = 8
"""Messages written at the same time."""
_BACKLOG = 1024


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(_USAGE, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the arguments say; the exit code is one of sysexits."""
    options = _options(arguments)
    if options.check:
        return _check()
    if options.handover_fd is not None:
        return _serve_parent(options.personality, options.handover_fd)
    return _serve_alone(options.personality, options.listen, options.config, stress=options.stress)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(prog="python -m backends.smtpd", description="The bundled smtpd of frontproxy.")
    parser.add_argument("--personality", metavar="NAME", help="nice, hostile, or any [smtpd.NAME]")
    parser.add_argument("--stress", action="store_true", help="with --listen: as under stress, always")
    parser.add_argument("-c", dest="config", type=Path, metavar="FILE", help="with --listen: a config.toml")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--handover-fd", type=int, metavar="N", help="a listening socket that speaks the pass protocol")
    mode.add_argument("--listen", type=_address, metavar="ADDRESS:PORT", help="accept SMTP clients; port 0 is any")
    mode.add_argument("--check", action="store_true", help="read settings as JSON, print every mistake as JSON")
    options = parser.parse_args(arguments)
    if not options.check and not options.personality:
        parser.error("--personality is missing")
    if options.listen is None and (options.stress or options.config):
        parser.error("--stress and -c go with --listen")
    return options


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!a} is not ADDRESS:PORT, such as 127.0.0.1:2526 or [::1]:2526")
    return host, int(port)


def _check() -> int:
    try:
        orders = read_orders(sys.stdin.fileno(), to_the_end=True)
    except BadOrders as error:
        return _fail(_USAGE, f"standard input: {error}")
    settings, mistakes = read_settings(orders.smtpd, orders.folder, orders.personalities)
    shown = [{"key": mistake.key, "what": mistake.what, "remedy": mistake.remedy} for mistake in mistakes]
    answer = {
        "mistakes": shown,
        "effective": settings.effective(),
        "delivery": str(settings.delivery),
        "fingerprint": settings.recipients.fingerprint(),
    }
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


def _serve_parent(name: str, descriptor: int) -> int:
    for number in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to all of us; the parent obeys
        signal.signal(number, signal.SIG_IGN)
    try:
        listener = socket.socket(fileno=descriptor)
        orders = read_orders(sys.stdin.fileno(), to_the_end=False)
    except (OSError, BadOrders) as error:
        return _fail(_USAGE, f"--handover-fd or standard input: {error}")
    log = Log()
    log.never_block()
    settings, mistakes = read_settings(orders.smtpd, orders.folder, [name], only=False)
    for mistake in mistakes:
        log.event("smtpd_error", what=_line(mistake))
    if mistakes:
        return _CONFIGURATION
    try:
        server, reporter = _server(settings, name, log, orders)
    except OSError as error:
        log.event("smtpd_error", what=_undeliverable(settings, error))
        return _CONFIGURATION
    trio.run(serve_parent, server, listener, reporter, sys.stdin.fileno())
    return 0


def _serve_alone(name: str, address: tuple[str, int], config: Path | None, *, stress: bool) -> int:
    try:
        table = _smtpd_table(config)
    except (OSError, ValueError) as error:
        return _fail(_CONFIGURATION, f"{config}: {error}; correct the file")
    folder = config.absolute().parent if config else Path.cwd()
    settings, mistakes = read_settings(table, folder, [name], only=False)
    if mistakes:
        return _fail(_CONFIGURATION, *map(_line, mistakes))
    try:
        listener = _listener(address)
    except OSError as error:
        code = _NO_PERMISSION if error.errno in {errno.EACCES, errno.EPERM} else _OS_ERROR
        return _fail(code, f"cannot listen on {address[0]}:{address[1]}: {error.strerror}; choose another --listen")
    try:
        server, _reporter = _server(settings, name, Log(), Orders(table, folder))
    except OSError as error:
        return _fail(_CONFIGURATION, _undeliverable(settings, error))
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    manners = f"{name} under stress" if stress else name
    sys.stdout.write(f"listening on {shown} ({manners}), mail goes to {settings.delivery}\n")
    sys.stdout.flush()
    trio.run(serve_standalone, server, listener, stress)
    return 0


def _server(settings: Settings, name: str, log: Log, orders: Orders) -> tuple[Server, Reporter | None]:
    maildir = Maildir(settings.delivery)
    maildir.prepare()
    site = Site(settings.hostname, settings.recipients, maildir, log, trio.CapacityLimiter(_WRITERS))
    reporter = Reporter(orders.report, log) if orders.report else None
    calm, stressed = settings.personalities[name, False], settings.personalities[name, True]
    return Server(site, Manners(calm, stressed), reporter, orders.drain_time), reporter


def _smtpd_table(config: Path | None) -> dict[str, Any]:
    if config is None:
        return {}
    table = tomllib.loads(config.read_text(encoding="utf-8")).get("smtpd", {})
    if not isinstance(table, dict):
        raise TypeError("smtpd is not a table")
    return table


def _listener(address: tuple[str, int]) -> socket.socket:
    family, kind, protocol, _name, target = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(target)
    listener.listen(_BACKLOG)
    return listener


def _undeliverable(settings: Settings, error: OSError) -> str:
    return f"smtpd.delivery: {settings.delivery}: {error.strerror}; choose another path"


def _line(mistake: Mistake) -> str:
    return f"{mistake.key}: {mistake.what}; {mistake.remedy}"


def _fail(code: int, *lines: str) -> int:
    for line in lines:
        sys.stderr.write(f"smtpd: {line}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())

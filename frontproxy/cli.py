"""The commands: `run` and `check` work on a configuration, all others ask the running proxy over its admin socket."""

import argparse
import errno
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import trio

import frontproxy
from frontproxy import app, show
from frontproxy.admin_client import AdminClient, ClosedWithoutAnswer
from frontproxy.core import config
from frontproxy.core.mistakes import Mistaken
from frontproxy.core.toml_text import dumps
from frontproxy.doors import Address, CannotListen
from frontproxy.hindsight.command import run as learn_logs
from frontproxy.local import InUseError
from frontproxy.memory.lock import InUse
from frontproxy.migrate.reading import from_postscreen
from frontproxy.preview.command import run as preview
from frontproxy.setup import Setup, load, read

EX_OK = 0
EX_USAGE = 64
EX_UNAVAILABLE = 69
EX_OSERR = 71
EX_NOPERM = 77
EX_CONFIG = 78
DEFAULT_FILES = (Path("config.toml"), Path("/etc/frontproxy/config.toml"))


class Failed(Exception):
    """The command cannot do its work; `code` is its exit code."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(text)


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code (sysexits)."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a character shows something else
    try:
        options = _parser().parse_args(arguments)
        code: int = options.do(options)
    except Failed as failed:
        print(f"frontproxy: {failed}", file=sys.stderr)
        return failed.code
    except Mistaken as mistaken:
        print(mistaken, file=sys.stderr)
        if isinstance(mistaken, CannotListen):
            return EX_NOPERM if mistaken.number in {errno.EACCES, errno.EPERM} else EX_OSERR
        return EX_CONFIG
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return EX_OK
    return code


def _run(options: argparse.Namespace) -> int:
    try:
        trio.run(app.serve, _file(options), _greet)
    except InUseError as error:
        raise Failed(EX_OSERR, f"{error}; is another frontproxy running?") from None
    except InUse as error:
        raise Failed(EX_OSERR, str(error)) from None
    except PermissionError as error:
        raise Failed(EX_NOPERM, f"{error.filename}: {error.strerror}") from None
    except OSError as error:
        raise Failed(EX_OSERR, str(error)) from None
    except LookupError as error:
        raise Failed(EX_CONFIG, f"admin.group: {error}") from None
    return EX_OK


def _greet(setup: Setup, addresses: list[Address]) -> None:
    program = sys.argv[0] if sys.argv[0].endswith("frontproxy") else "frontproxy"
    print(show.greeting(setup, addresses, program), flush=True)


def _check(options: argparse.Namespace) -> int:
    if options.from_postscreen:
        return _translate(options.from_postscreen)
    setup = trio.run(load, _file(options))
    for warning in setup.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if options.print:
        print(dumps(_effective(setup)), end="")
    else:
        print(f"{setup.path}: no mistakes")
    return EX_OK


def _translate(main_cf: str) -> int:
    page = from_postscreen(main_cf)
    for remark in page.remarks:
        print(f"not translated: {remark}", file=sys.stderr)
    print(page.text, end="")
    return EX_OK


def _effective(setup: Setup) -> dict[str, Any]:
    """The configuration with every value in force, those of the personalities included."""
    values = config.effective(setup.config)
    smtpd = dict(values["smtpd"])
    for name, parameters in sorted(setup.personalities.items()):
        personality, _, stress = name.partition(".")
        table = {**smtpd.get(personality, {})}
        table = {**table, stress: parameters} if stress else {**table, **parameters}
        smtpd[personality] = table
    return {**values, "smtpd": smtpd}


def _learn(options: argparse.Namespace) -> int:
    if options.logs == ["undo"]:
        if not options.since:
            raise Failed(EX_USAGE, "learn undo needs --since, such as --since 2h (a file of that name is ./undo)")
        return _ask(options)
    if options.since:
        raise Failed(EX_USAGE, "--since goes with `learn undo`")
    return learn_logs(_file(options), options.logs, json=options.json, dry_run=options.dry_run)


def _preview(options: argparse.Namespace) -> int:
    return preview(_file(options), journal=options.journal, json=options.json)


def _ask(options: argparse.Namespace) -> int:
    """Ask the running proxy, once for each client where several are named, and show the answers."""
    answers = _converse(_admin_socket(options), options.requests(options))
    failed = [answer for answer in answers if not answer["ok"]]
    if getattr(options, "json", False):
        for answer in answers:
            print(json.dumps(answer))
    else:
        for answer in answers:
            if answer["ok"]:
                options.show(answer, options)
            else:
                show.refused(answer)
    if not failed:
        return EX_OK
    if "mistakes" in failed[0]:
        return EX_CONFIG
    return EX_USAGE if failed[0]["code"] in {"usage", "bad_address", "unknown_command"} else 1


@dataclass(frozen=True, slots=True)
class _AdminSocket:
    path: Path
    source: str
    """Where it is said."""


def _converse(admin: _AdminSocket, requests: Sequence[str]) -> list[dict[str, Any]]:
    try:
        with AdminClient(admin.path) as client:
            return [client.ask(request) for request in requests]
    except PermissionError:
        raise Failed(EX_NOPERM, f"{admin.path}: you may not use this socket; be root or in admin.group") from None
    except ClosedWithoutAnswer:
        raise Failed(EX_UNAVAILABLE, f"{admin.path}: closed without an answer; may you use this socket?") from None
    except OSError as error:
        why = error.strerror or error
        remedy = "is it running? with another file, name that with -c"
        raise Failed(
            EX_UNAVAILABLE, f"frontproxy does not answer at {admin.path} ({admin.source}): {why}; {remedy}"
        ) from None


def _file(options: argparse.Namespace) -> Path:
    if options.config:
        return Path(options.config)
    return next((path for path in DEFAULT_FILES if path.exists()), DEFAULT_FILES[0])


def _admin_socket(options: argparse.Namespace) -> _AdminSocket:
    """Where it is; mistakes elsewhere in the configuration are not this command's business."""
    file = _file(options)
    checked = read(file).checked
    doubt = ", which has mistakes: frontproxy check tells them" if checked.mistakes else ""
    return _AdminSocket(checked.config.admin.socket, f"admin.socket of {file}{doubt}")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"{self.prog}: {message}", file=sys.stderr)
        raise SystemExit(EX_USAGE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="frontproxy", description="A front end for mail servers: friends get the nice smtpd.")
    parser.add_argument("--version", action="version", version=f"frontproxy {frontproxy.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add(commands, "run", "serve, in the foreground; SIGTERM and Ctrl-C drain, SIGHUP reloads").set_defaults(do=_run)
    check = _add(commands, "check", "find every mistake in the configuration; exit 0 or 78")
    instead = check.add_mutually_exclusive_group()
    instead.add_argument("--print", action="store_true", help="print the effective configuration as TOML")
    instead.add_argument(
        "--from-postscreen", metavar="MAIN_CF", help="print as TOML what this main.cf lets postscreen do; - is stdin"
    )
    check.set_defaults(do=_check)
    _add_questions(commands)
    _add_orders(commands)
    _add_the_past(commands)
    return parser


def _add_questions(commands: Any) -> None:
    score = _add(commands, "score", "the verdict on a client, explained")
    score.add_argument("client", nargs="+", metavar="CLIENT", help="an IPv4 or IPv6 address")
    score.add_argument("--ask", action="store_true", help="ask the DNS anew first, which may take five seconds")
    _asks(score, _score_requests, show.score)
    _asks(_add(commands, "clients", "who is known: best, worst, busiest"), lambda _options: ["clients"], show.clients)
    _asks(_add(commands, "pins", "the operator's overrides"), lambda _options: ["pins"], show.pins)
    status = _add(commands, "status", "how everything is")
    status.add_argument("--prometheus", action="store_true", help="in Prometheus' text format")
    _asks(status, lambda _options: ["status"], show.status)


def _add_orders(commands: Any) -> None:
    pin = _add(commands, "pin", "send a client or network to a pool, whatever its score")
    pin.add_argument("client", metavar="CLIENT|NETWORK")
    pin.add_argument("pool", metavar="POOL")
    pin.add_argument("--for", dest="duration", metavar="1h", help="until then only")
    pin.add_argument("--because", metavar="TEXT", help="a note for whoever wonders later")
    _asks(pin, lambda options: [_words("pin", options.client, options.pool, options)], show.pinned)
    unpin = _add(commands, "unpin", "remove a pin")
    unpin.add_argument("client", metavar="CLIENT|NETWORK")
    _asks(unpin, lambda options: [f"unpin {options.client}"], show.done)
    tell = _add(commands, "tell", "teach what came out later: a verdict on a client's mail, a trap that it hit")
    tell.add_argument("client", metavar="CLIENT")
    tell.add_argument("kind", choices=("good", "bad"))
    tell.add_argument("--weight", metavar="N", help="units of a session, 0.1 to 8; without it 1 of good or 2 of bad")
    tell.add_argument("--because", metavar="TEXT", help="a note for the log")
    _asks(tell, lambda options: [_words("tell", options.client, options.kind, options)], show.told)
    forget = _add(commands, "forget", "forget what a client's sessions have taught")
    forget.add_argument("client", metavar="CLIENT")
    _asks(forget, lambda options: [f"forget {options.client}"], show.done)
    stress = _add(commands, "stress", "show the stress of the pools, or hold it on or off")
    stress.add_argument("words", nargs="*", metavar="[POOL] [on|off|auto]")
    stress.add_argument("--for", dest="duration", metavar="1h", help="hold it until then only")
    _asks(stress, lambda options: [_words("stress", *options.words, options)], show.stress)
    _asks(
        _add(commands, "reload", "read the configuration anew, as SIGHUP does"),
        lambda _options: ["reload"],
        show.reloaded,
    )
    _asks(
        _add(commands, "drain", "take nobody new, finish what is under way, end"), lambda _options: ["drain"], show.done
    )


def _score_requests(options: argparse.Namespace) -> list[str]:
    return [f"score {client}{' --ask' if options.ask else ''}" for client in options.client]


def _add_the_past(commands: Any) -> None:
    learn = _add(
        commands, "learn", "history from mail logs of the past; `learn undo --since 2h` takes back what was learned"
    )
    learn.add_argument(
        "logs", nargs="+", metavar="LOG", help="Postfix's or Exim's, plain, .gz, .bz2, .xz or .zst; - is stdin"
    )
    learn.add_argument("--dry-run", action="store_true", help="learn nothing, and show what would be learned")
    learn.add_argument("--since", metavar="2h", help="with `undo`: a duration, or a time such as 2026-11-20T14:00")
    learn.add_argument("--json", action="store_true", help="the result as JSON")
    learn.set_defaults(do=_learn, requests=lambda options: [f"undo --since {options.since}"], show=show.undone)
    preview = _add(commands, "preview", "who would change pool under this configuration, from recorded sessions")
    preview.add_argument(
        "--journal", metavar="FILE", type=Path, help="of the sessions; without it the one beside its history"
    )
    preview.add_argument("--json", action="store_true", help="the result as JSON")
    preview.set_defaults(do=_preview)


def _add(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.add_argument("-c", "--config", metavar="FILE", help="config.toml (default: ./, then /etc/frontproxy/)")
    return command


def _asks(command: argparse.ArgumentParser, requests: Any, shown: Any) -> None:
    command.add_argument("--json", action="store_true", help="the answer as JSON")
    command.set_defaults(do=_ask, requests=requests, show=shown)


def _words(*words: Any) -> str:
    """A request line from words and, last, the options that go with it."""
    *plain, options = words
    line = [str(word) for word in plain]
    for option, name in (("--for", "duration"), ("--weight", "weight")):
        if getattr(options, name, None):
            line += [option, getattr(options, name)]
    if getattr(options, "because", None):
        line += ["--because", " ".join(options.because.split())]
    return " ".join(line)

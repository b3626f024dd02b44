"""The command line: words into options, options into work, trouble into a line of text and an exit code."""

import argparse
import errno
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import frontproxy
from frontproxy import commands, show
from frontproxy.core.mistakes import Mistaken
from frontproxy.doors import CannotListen

_UNDO_WITHIN = 3600.0  # seconds; a million lessons take minutes


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code (sysexits)."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a character shows something else
    try:
        options = _parser().parse_args(_with_reason(arguments))
        code: int = options.do(options)
    except commands.Failed as failed:
        print(f"frontproxy: {failed}", file=sys.stderr)
        return failed.code
    except Mistaken as mistaken:
        print(mistaken, file=sys.stderr)
        if isinstance(mistaken, CannotListen):
            return commands.EX_NOPERM if mistaken.number in {errno.EACCES, errno.EPERM} else commands.EX_OSERR
        return commands.EX_CONFIG
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return commands.EX_OK
    return code


def _with_reason(arguments: Sequence[str]) -> list[str]:
    """What follows --because is a reason, even if it looks like an option: somebody else may have written it."""
    words = list(arguments)
    if "--because" in words[:-1]:
        at = words.index("--because")
        words[at : at + 2] = [f"--because={words[at + 1]}"]
    return words


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"{self.prog}: {message}", file=sys.stderr)
        raise SystemExit(commands.EX_USAGE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="frontproxy", description="A front end for mail servers: friends get the nice smtpd.")
    parser.add_argument("--version", action="version", version=f"frontproxy {frontproxy.__version__}")
    verbs = parser.add_subparsers(metavar="COMMAND", required=True)
    _add(verbs, "run", "serve, in the foreground; SIGTERM and Ctrl-C drain, SIGHUP reloads").set_defaults(
        do=commands.run
    )
    check = _add(verbs, "check", "find every mistake in the configuration; exit 0 or 78")
    instead = check.add_mutually_exclusive_group()
    instead.add_argument("--print", action="store_true", help="print the effective configuration as TOML")
    instead.add_argument(
        "--from-postscreen", metavar="MAIN_CF", help="print as TOML what this main.cf lets postscreen do; - is stdin"
    )
    check.set_defaults(do=commands.check)
    _add_questions(verbs)
    _add_orders(verbs)
    _add_the_past(verbs)
    return parser


def _add_questions(verbs: Any) -> None:
    score = _add(verbs, "score", "the verdict on a client, explained")
    score.add_argument("client", nargs="+", metavar="CLIENT", help="an IPv4 or IPv6 address")
    score.add_argument("--ask", action="store_true", help="ask the DNS anew first, which may take five seconds")
    _asks(score, _score_requests, show.score)
    _asks(_add(verbs, "clients", "who is known: best, worst, busiest"), lambda _options: ["clients"], show.clients)
    _asks(_add(verbs, "pins", "the operator's overrides"), lambda _options: ["pins"], show.pins)
    status = _add(verbs, "status", "how everything is")
    status.add_argument("--prometheus", action="store_true", help="in Prometheus' text format")
    _asks(status, lambda _options: ["status"], show.status)


def _add_orders(verbs: Any) -> None:
    pin = _add(verbs, "pin", "send a client or network to a pool, whatever its score")
    pin.add_argument("client", metavar="CLIENT|NETWORK")
    pin.add_argument("pool", metavar="POOL")
    pin.add_argument("--for", dest="duration", metavar="1h", help="until then only")
    pin.add_argument("--because", metavar="TEXT", help="a note for whoever wonders later")
    _asks(pin, lambda options: [_words("pin", options.client, options.pool, options)], show.pinned)
    unpin = _add(verbs, "unpin", "remove a pin")
    unpin.add_argument("client", metavar="CLIENT|NETWORK")
    _asks(unpin, lambda options: [f"unpin {options.client}"], show.done)
    tell = _add(verbs, "tell", "teach what came out later: a verdict on a client's mail, a trap that it hit")
    tell.add_argument("client", metavar="CLIENT")
    tell.add_argument("kind", choices=("good", "bad"))
    tell.add_argument("--weight", metavar="N", help="units of a session, 0.1 to 8; without it 1 of good or 2 of bad")
    tell.add_argument("--because", metavar="TEXT", help="a note for the log")
    _asks(tell, lambda options: [_words("tell", options.client, options.kind, options)], show.told)
    forget = _add(verbs, "forget", "forget what a client's sessions have taught")
    forget.add_argument("client", metavar="CLIENT")
    _asks(forget, lambda options: [f"forget {options.client}"], show.done)
    stress = _add(verbs, "stress", "show the stress of the pools, or hold it on or off")
    stress.add_argument("words", nargs="*", metavar="[POOL] [on|off|auto]")
    stress.add_argument("--for", dest="duration", metavar="1h", help="hold it until then only")
    _asks(stress, lambda options: [_words("stress", *options.words, options)], show.stress)
    _asks(
        _add(verbs, "reload", "read the configuration anew, as SIGHUP does"),
        lambda _options: ["reload"],
        show.reloaded,
    )
    _asks(_add(verbs, "drain", "take nobody new, finish what is under way, end"), lambda _options: ["drain"], show.done)


def _score_requests(options: argparse.Namespace) -> list[str]:
    return [f"score {client}{' --ask' if options.ask else ''}" for client in options.client]


def _add_the_past(verbs: Any) -> None:
    learn = _add(
        verbs, "learn", "history from mail logs of the past; `learn undo --since 2h` takes back what was learned live"
    )
    learn.epilog = (
        "`learn undo --since 2h` takes back what was learned as it happened since then, and nothing that `learn LOG` "
        "has taught: the way back from that is the copy of the history made before it, history.sqlite3.before-learn."
    )
    learn.add_argument(
        "logs", nargs="+", metavar="LOG", help="Postfix's or Exim's, plain, .gz, .bz2, .xz or .zst; - is stdin"
    )
    learn.add_argument("--dry-run", action="store_true", help="learn nothing, and show what would be learned")
    learn.add_argument("--since", metavar="2h", help="with `undo`: a duration, or a time such as 2026-11-20T14:00")
    learn.add_argument("--json", action="store_true", help="the result as JSON")
    learn.set_defaults(
        do=commands.learn,
        within=_UNDO_WITHIN,
        requests=lambda options: [f"undo --since {options.since}"],
        show=show.undone,
    )
    preview = _add(verbs, "preview", "who would change pool under this configuration, from recorded sessions")
    preview.add_argument(
        "--journal", metavar="FILE", type=Path, help="of the sessions; without it the one beside its history"
    )
    preview.add_argument("--json", action="store_true", help="the result as JSON")
    preview.set_defaults(do=commands.preview)


def _add(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    command.add_argument("-c", "--config", metavar="FILE", help="config.toml (default: ./, then /etc/frontproxy/)")
    return command


def _asks(command: argparse.ArgumentParser, requests: Any, shown: Any) -> None:
    command.add_argument("--json", action="store_true", help="the answer as JSON")
    command.set_defaults(do=commands.ask, requests=requests, show=shown)


def _words(*given: Any) -> str:
    """A request line from words and, last, the options that go with it."""
    *plain, options = given
    line = [str(word) for word in plain]
    for option, name in (("--for", "duration"), ("--weight", "weight")):
        if getattr(options, name, None):
            line += [option, getattr(options, name)]
    if getattr(options, "because", None):
        line += ["--because", " ".join(options.because.split())]
    return " ".join(line)

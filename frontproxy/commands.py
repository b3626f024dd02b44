"""What the commands do: each takes the options of its command line and returns an exit code (sysexits)."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from frontproxy import app, show
from frontproxy.admin_client import AdminClient, ClosedWithoutAnswer
from frontproxy.core import config
from frontproxy.core.toml_text import dumps
from frontproxy.doors import Address
from frontproxy.hindsight.command import run as learn_logs
from frontproxy.local import InUseError
from frontproxy.memory.lock import InUse
from frontproxy.migrate.reading import from_postscreen
from frontproxy.preview.command import run as preview_sessions
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


def run(options: argparse.Namespace) -> int:
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


def check(options: argparse.Namespace) -> int:
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


def learn(options: argparse.Namespace) -> int:
    if options.logs == ["undo"]:
        if not options.since:
            raise Failed(EX_USAGE, "learn undo needs --since, such as --since 2h (a file of that name is ./undo)")
        return ask(options)
    if options.since:
        raise Failed(EX_USAGE, "--since goes with `learn undo`")
    return learn_logs(_file(options), options.logs, json=options.json, dry_run=options.dry_run)


def preview(options: argparse.Namespace) -> int:
    return preview_sessions(_file(options), journal=options.journal, json=options.json)


def ask(options: argparse.Namespace) -> int:
    """Ask the running proxy, once for each client where several are named, and show the answers."""
    answers = _converse(_admin_socket(options), options.requests(options), getattr(options, "within", None))
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


def _converse(admin: _AdminSocket, requests: Sequence[str], within: float | None) -> list[dict[str, Any]]:
    try:
        with AdminClient(admin.path, within=within) as client:
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

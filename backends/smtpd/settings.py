"""The `[smtpd]` table of config.toml: the whole server's keys, the personalities, and every mistake in them."""

import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backends.smtpd.commands import valid_domain
from backends.smtpd.personality import NAMES, Layer, Mistake, Personality, build, defaults
from backends.smtpd.recipients import BadEntry, Recipients, read_table

_SITE_KEYS = frozenset({"hostname", "domains", "recipients", "delivery"})
_PERSONALITY_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}\Z")
_HOSTNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}\Z")
_KNOWN = "known are " + ", ".join(sorted(NAMES | _SITE_KEYS)) + ", and tables of personalities"


@dataclass(frozen=True, slots=True)
class Settings:
    """A finished `[smtpd]` table."""

    hostname: str
    recipients: Recipients
    delivery: Path
    """The Maildir, as an absolute path."""
    personalities: Mapping[tuple[str, bool], Personality]
    """By name and stress."""

    def effective(self) -> dict[str, dict[str, object]]:
        """Every personality as the configuration file would spell it: `nice`, `nice.stress`, ..."""
        return {
            name + (".stress" if stress else ""): personality.shown()
            for (name, stress), personality in self.personalities.items()
        }


@dataclass(slots=True)
class _Reading:
    """One look at a table: what was found wrong so far."""

    folder: Path
    mistakes: list[Mistake] = field(default_factory=list)

    def mistake(self, key: str, what: str, remedy: str) -> None:
        self.mistakes.append(Mistake(key, what, remedy))


def read_settings(
    table: Mapping[str, object], folder: Path, names: Iterable[str], *, only: bool = True
) -> tuple[Settings, list[Mistake]]:
    """The settings for the personalities `names`, and every mistake, sorted; relative paths start at `folder`.

    With `only`, a table for any other personality is a mistake. What is mistaken has its default in the settings.
    """
    reading = _Reading(folder)
    wanted = list(dict.fromkeys(names))
    _check_keys(reading, table, wanted if only else None)
    hostname = _hostname(reading, table.get("hostname"))
    settings = Settings(
        hostname=hostname,
        recipients=Recipients(_domains(reading, table), _recipients(reading, table.get("recipients"))),
        delivery=_delivery(reading, table.get("delivery", "maildir:var/mail")),
        personalities=_personalities(reading, table, wanted, hostname),
    )
    return settings, sorted(set(reading.mistakes))


def _check_keys(reading: _Reading, table: Mapping[str, object], wanted: list[str] | None) -> None:
    for key, value in table.items():
        if not isinstance(value, Mapping):
            if key not in NAMES | _SITE_KEYS:
                reading.mistake(f"smtpd.{key}", "there is no such parameter", _KNOWN)
        elif key in NAMES | _SITE_KEYS:
            if key in _SITE_KEYS:  # for a parameter, reading its value says so
                reading.mistake(f"smtpd.{key}", "it is a table, and not a value", "write a value")
        elif not _PERSONALITY_NAME.match(key) or (wanted is not None and key not in wanted):
            known = ", ".join(wanted or ()) or "none"
            reading.mistake(f"smtpd.{key}", "no pool uses this personality", f"used are: {known}; correct the name")
        else:
            _check_layer(reading, f"smtpd.{key}", value, stress=False)


def _check_layer(reading: _Reading, prefix: str, layer: Mapping[str, object], *, stress: bool) -> None:
    for key, value in layer.items():
        if key == "stress" and not stress:
            if isinstance(value, Mapping):
                _check_layer(reading, f"{prefix}.stress", value, stress=True)
            else:
                reading.mistake(f"{prefix}.stress", f"{value!a:.60} is not a table", f"write [{prefix}.stress]")
        elif key in _SITE_KEYS:
            reading.mistake(f"{prefix}.{key}", "it belongs to the whole server", "move it to [smtpd]")
        elif key not in NAMES:
            reading.mistake(f"{prefix}.{key}", "there is no such parameter", "known are " + ", ".join(sorted(NAMES)))


def _personalities(
    reading: _Reading, table: Mapping[str, object], names: list[str], hostname: str
) -> dict[tuple[str, bool], Personality]:
    personalities = {}
    for name in names:
        own = _table(table.get(name))
        layers = [Layer("smtpd", table), Layer(f"smtpd.{name}", own)]
        stressed = [*layers, Layer(f"smtpd.{name}.stress", _table(own.get("stress")))]
        for stress, pile in ((False, layers), (True, stressed)):
            finished, mistakes = build([defaults(name, stress=stress), *pile], hostname)
            personalities[name, stress] = finished
            reading.mistakes += mistakes
    return personalities


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _hostname(reading: _Reading, value: object) -> str:
    if value is None:
        own = socket.gethostname()
        return own if _HOSTNAME.match(own) else "localhost"
    if isinstance(value, str) and _HOSTNAME.match(value):
        return value
    if not isinstance(value, Mapping):
        reading.mistake("smtpd.hostname", f"{value!a:.60} is no host name", 'write one like "mx.example.com"')
    return "localhost"


def _domains(reading: _Reading, table: Mapping[str, object]) -> frozenset[str]:
    value = table.get("domains", ["example.com"])
    if not isinstance(value, list):
        if not isinstance(value, Mapping):
            reading.mistake("smtpd.domains", f"{value!a:.60} is not a list", 'write one like ["example.com"]')
        return frozenset()
    for domain in value:
        if not isinstance(domain, str) or not valid_domain(domain):
            reading.mistake("smtpd.domains", f"{domain!a:.60} is no domain", 'write domains like "example.com"')
    return frozenset(domain.lower() for domain in value if isinstance(domain, str))


def _recipients(reading: _Reading, value: object) -> frozenset[str] | None:
    if value is None or isinstance(value, Mapping):
        return None
    if not isinstance(value, str) or not value or "\0" in value:
        reading.mistake("smtpd.recipients", f"{value!a:.60} is no file name", 'write one like "recipients"')
        return None
    path = reading.folder / value
    try:
        with path.open(encoding="utf-8") as lines:
            return read_table(lines)
    except OSError as error:
        reading.mistake("smtpd.recipients", f"{path}: {error.strerror}", "make the file, or leave the key out")
    except BadEntry as error:
        reading.mistake("smtpd.recipients", f"{path}: {error}", "write one name a line, # begins a comment")
    except UnicodeDecodeError:
        reading.mistake("smtpd.recipients", f"{path}: it is not UTF-8", "save it as UTF-8")
    return None


def _delivery(reading: _Reading, value: object) -> Path:
    if not isinstance(value, str) or not value.startswith("maildir:") or value == "maildir:" or "\0" in value:
        if not isinstance(value, Mapping):
            what = f"{value!a:.60} is no way to deliver"
            reading.mistake("smtpd.delivery", what, 'write the path of a Maildir, like "maildir:var/mail"')
        value = "maildir:var/mail"
    path = Path(os.path.abspath(reading.folder / value.removeprefix("maildir:")))  # noqa: PTH100  # links stay as written
    for ancestor in (path / "tmp", *(path / "tmp").parents):
        if ancestor.is_dir():
            if not os.access(ancestor, os.W_OK | os.X_OK):
                reading.mistake("smtpd.delivery", f"{ancestor} cannot be written", "give us the right to")
            break
        if ancestor.exists() and not ancestor.is_dir():  # asked again: another smtpd may have made it just now
            reading.mistake("smtpd.delivery", f"{ancestor} is not a folder", "choose another path")
            break
    return path

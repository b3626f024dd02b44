"""A Setup: configuration, lists, databases and rules, read and opened together. SIGHUP swaps one for another.

Building it may take a while and may fail, with every mistake at once; having it costs nothing.
"""

import grp
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from frontproxy.core import config
from frontproxy.core.config_values import Config
from frontproxy.core.evidence import Listed
from frontproxy.core.level import Forgetting
from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.core.toml_lines import key_lines, line_of
from frontproxy.observe.geo import GeoBook
from frontproxy.observe.lists import ListBook, ListSource, compile_lists, empty_book
from frontproxy.programs import command, environment

SMTPD = "backends.smtpd"
"""The module of the bundled smtpd."""
CHECK_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Setup:
    """What the proxy works with until the next one."""

    path: Path
    folder: Path
    """Where relative paths in it start."""
    config: Config
    lists: ListBook
    geo: GeoBook
    forgetting: Forgetting
    warnings: tuple[Mistake, ...]
    mailbox: str
    """Where the bundled smtpd delivers; empty without one."""
    personalities: dict[str, dict[str, Any]]
    """Every parameter in force, by personality (`nice`, `nice.stress`), as the bundled smtpd tells them."""
    fingerprint: str
    """Of the files that the bundled smtpd reads; when one has changed, it has to be started anew."""

    def lists_of(self, packed: bytes) -> tuple[Listed, ...]:
        """The operator's lists an address is on, in the order of the file."""
        return tuple([Listed(self.config.lists[match.index], match.prefix_length) for match in self.lists.find(packed)])

    def close(self) -> None:
        """Let go of lists and databases."""
        self.lists.close()
        self.geo.close()


def personalities(settings: Config) -> list[str]:
    """Names of the bundled personalities that some pool uses."""
    names = [backend.target for pool in settings.pools for backend in pool.backends if backend.kind == "bundled"]
    return list(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class Source:
    """A configuration file as it was read."""

    path: Path
    folder: Path
    """Where its relative paths start."""
    text: str
    checked: config.Checked


def read(path: Path) -> Source:
    """Read and parse a configuration, without opening what it names. Raises Mistaken if there is nothing to read."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Mistaken([Mistake(str(path), 0, "", f"cannot be read: {why}", "name another file with -c")]) from None
    folder = path.absolute().parent
    return Source(path, folder, text, config.parse(text, file_name=str(path), folder=folder))


async def load(path: Path) -> Setup:
    """Read a configuration and open all it names. Raises Mistaken with every mistake found."""
    source = await trio.to_thread.run_sync(read, path)
    checked = source.checked
    mistakes = list(checked.mistakes)
    settings = checked.config
    lists = await _collect(mistakes, compile_lists, _sources(settings)) if settings.lists else None
    geo = await _collect(mistakes, trio.to_thread.run_sync, _open_geo, settings)
    mistakes += _unusable(settings, str(path))
    told = await _collect(mistakes, _check_smtpd, settings, source)
    if mistakes:
        for opened in (lists, geo):
            if opened is not None:
                opened.close()
        raise Mistaken(mistakes)
    return Setup(
        path=path,
        folder=source.folder,
        config=settings,
        lists=lists or empty_book(),
        geo=geo,
        forgetting=Forgetting(
            settings.history.good_half_life,
            settings.history.bad_half_life,
            settings.history.evidence_cap,
            settings.history.network_limit,
        ),
        warnings=tuple(sorted([*checked.warnings, *geo.remarks(str(path))])),
        mailbox=str(told.get("delivery", "")),
        personalities=told.get("effective", {}),
        fingerprint=str(told.get("fingerprint", "")),
    )


def _open_geo(settings: Config) -> GeoBook:
    fields = [path for network in settings.networks for path, _values in network.where]
    return GeoBook.open([geo.file for geo in settings.geo], fields)


def _unusable(settings: Config, file: str) -> list[Mistake]:
    """What only the machine can tell: an unknown group, a folder where the history should be."""
    mistakes = []
    if settings.admin.group:
        try:
            grp.getgrnam(settings.admin.group)
        except KeyError:
            what = f"there is no group {settings.admin.group!a}"
            mistakes.append(Mistake(file, 0, "admin.group", what, "make it with groupadd, or leave it empty"))
    if _is_folder(settings.history.file):
        what, remedy = f"{settings.history.file} is a folder", "name a file in it"
        mistakes.append(Mistake(file, 0, "history.file", what, remedy))
    return mistakes


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:  # `check` is run by somebody who may not look there
        return False


async def _collect(mistakes: list[Mistake], step: Callable[..., Any], *arguments: object) -> Any:
    """The result of one step; None, and its mistakes collected, if it was mistaken."""
    try:
        return await step(*arguments)
    except Mistaken as error:
        mistakes += error.mistakes
        return None


def _sources(settings: Config) -> list[ListSource]:
    return [ListSource(entry.name, str(entry.file) if entry.file else None, entry.networks) for entry in settings.lists]


async def _check_smtpd(settings: Config, source: Source) -> dict[str, Any]:
    """Ask the bundled smtpd what it thinks of its part of the file; it alone knows its parameters."""
    names = personalities(settings)
    if not names:
        return {}
    question = {"smtpd": settings.smtpd, "folder": str(source.folder), "personalities": names}
    answer = await _ask_smtpd(json.dumps(question, default=str).encode(), str(source.path))
    if answer["mistakes"]:
        lines = key_lines(source.text)
        raise Mistaken(
            [
                Mistake(
                    str(source.path),
                    line_of(tuple(found["key"].split(".")), lines),
                    found["key"],
                    found["what"],
                    found["remedy"],
                )
                for found in answer["mistakes"]
            ]
        )
    return answer


async def _ask_smtpd(question: bytes, file: str) -> dict[str, Any]:
    """Its answer. Raises Mistaken if there is none: a reload must not end a proxy that serves."""
    why = f"no answer within {CHECK_WITHIN:g} s"
    try:
        with trio.move_on_after(CHECK_WITHIN):
            done = await trio.run_process(
                command(SMTPD, "--check"),
                stdin=question,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                env=environment(),
                process_group=0,
            )
            last_words = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            why = f"it ended with status {done.returncode}: {last_words[:200]!a}"
            answer: dict[str, Any] = json.loads(done.stdout)
            return answer
    except OSError as error:
        why = str(error)
    except ValueError:
        pass
    remedy = "try again when the machine has memory and time to spare"
    raise Mistaken([Mistake(file, 0, "smtpd", f"the bundled smtpd could not be asked ({why})", remedy)])

"""The command `frontproxy learn LOG...`: history from mail logs of the past."""

import json as json_text
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import trio

from frontproxy.admin_client import AdminClient
from frontproxy.core.config_values import Config
from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.hindsight import shown
from frontproxy.hindsight.by_hand import EX_NOPERM, by_hand, for_show
from frontproxy.hindsight.events import LogRead
from frontproxy.hindsight.progress import Shown
from frontproxy.hindsight.reader import reading
from frontproxy.hindsight.tally import Tally
from frontproxy.hindsight.ways import Broken, ByHand, ByProxy, Way
from frontproxy.setup import load, read
from frontproxy.terminal import escaped

_SIGNALS: Final = signal.SIGINT, signal.SIGTERM
_Error = TypeVar("_Error", bound=BaseException)


@dataclass(slots=True)
class _Run:
    """One run of the command."""

    config: Path
    logs: Sequence[str]
    dry_run: bool
    tally: Tally = field(default_factory=Tally)
    copy: Path | None = None
    """The history as it was before."""
    why: str = ""
    """It was broken off; empty if it was not."""
    code: int = 0
    """The exit code for that, or for a log that could not be read."""
    mistakes: list[Mistake] = field(default_factory=list)
    """In the configuration."""


def run(config: Path, logs: Sequence[str], *, json: bool, dry_run: bool) -> int:
    """Learn these logs and show what was found; the exit code is one of sysexits. Raises Mistaken."""
    this = _Run(config, logs, dry_run)
    trio.run(_run, this)
    if this.mistakes:
        raise Mistaken(this.mistakes)
    for log in this.tally.logs:
        if log.read.trouble:
            _say(log.read.trouble)
            this.code = this.code or log.read.code
    if this.why:
        _say(this.why)
    answer = shown.answer_of(this.tally, dry_run=dry_run, copy=this.copy, why=this.why)
    if json:
        sys.stdout.write(json_text.dumps(answer) + "\n")
    elif answer["total"]["lines"]:
        shown.show(answer)
    return this.code


async def _run(this: _Run) -> None:
    with trio.open_signal_receiver(*_SIGNALS) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_obey, this, signals, nursery.cancel_scope)
            try:
                await _learn(this)
            except* Broken as group:
                for broken in _leaves(group):
                    this.why, this.code = str(broken), broken.code
            except* Mistaken as group:
                for mistaken in _leaves(group):
                    this.mistakes += mistaken.mistakes
            nursery.cancel_scope.cancel()


def _leaves(group: BaseExceptionGroup[_Error]) -> Iterator[_Error]:
    """The exceptions in a group, and in the groups in it."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


async def _obey(this: _Run, signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    async for number in signals:
        this.why, this.code = "stopped; run the same command again, and it goes on where it stopped", 128 + number
        scope.cancel()


async def _learn(this: _Run) -> None:
    """Raises Broken, Mistaken."""
    source = await trio.to_thread.run_sync(read, this.config)
    if source.checked.mistakes:
        raise Mistaken(source.checked.mistakes)
    config = source.checked.config
    # In this order: a way may make us somebody else, and the reading program must stay who may read the logs.
    async with reading(this.logs, config.dns.generic) as events, _way(this, config) as way:
        with Shown(this.tally) as progress:
            async for event in events:
                if isinstance(event, LogRead):
                    this.tally.heard(event)
                else:
                    this.tally.learned(await way.learn(event))
                progress.advance()


@asynccontextmanager
async def _way(this: _Run, config: Config) -> AsyncIterator[Way]:
    """The way to learn; what was learned is on disk after the block. Raises Broken."""
    client = None if this.dry_run else _client(config.admin.socket)
    if client:
        try:
            way = ByProxy(client)
            this.copy = Path((await way.ask("learn"))["copy"])
            yield way
        finally:
            client.close()
        return
    setup = await load(this.config)
    with ExitStack() as stack:
        stack.callback(setup.close)
        if this.dry_run:
            sides = stack.enter_context(for_show(setup, _tell))
        else:
            sides, this.copy = stack.enter_context(by_hand(setup, _tell))
        hand = ByHand(sides, proxy_at=config.admin.socket)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sides.memory.run)
            if not this.dry_run:
                nursery.start_soon(hand.watch)
            try:
                yield hand
            finally:
                with trio.CancelScope(shield=True):
                    await hand.finish()
                nursery.cancel_scope.cancel()


def _client(path: Path) -> AdminClient | None:
    """A connection to the running proxy; None if there is none. Raises Broken if we may not ask it."""
    try:
        return AdminClient(path)
    except PermissionError:
        raise Broken(EX_NOPERM, f"{path}: you may not use this socket; be root or in admin.group") from None
    except OSError:
        return None


def _tell(event: str, /, **values: object) -> None:
    """What the history file tells of itself, such as that it is being brought up to date."""
    if text := values.get("text"):
        _say(f"{event}: {text}")


def _say(text: str) -> None:
    sys.stderr.write(f"frontproxy: {escaped(text)}\n")

"""What a session costs in front of Postfix: CPU of each front end, for the same load on the same smtpd.

Run it alone: `python -m tests.bench.session_cost [--sessions 2000] [--rounds 5] [--only handover,HAProxy]`. smtp-source
sends messages of 2 kB, 20 sessions at a time, one message a session. Every round asks every front end once; medians
over the rounds. Children and feeds are counted in, the smtpds behind are not. A session counts when Postfix saw its
QUIT after a message; if one is missing the run fails. postscreen and "nothing" are Postfix' own processes.
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.bench import fronts
from tests.bench.cpu import Cpu
from tests.bench.fronts import Front
from tests.real.house import wait_for
from tests.real.ports import Port
from tests.real.postfix import Postfix, passed, postscreen, smtp_source, smtpd

SERVED = "data=1 quit=1"
"""What an smtpd logs at the end of a session that brought its message."""
RIVALS = ("HAProxy", "postscreen")
BUDGETS = {"frontproxy, handover": 0.5, "frontproxy, learning": 0.5, "frontproxy, relay": 1.3}
"""What they may cost, as ratios to HAProxy."""
WARM_UP = 100
AFTERWARDS = 0.7
"""Seconds in which history is written, which belongs to the sessions."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one round of sessions cost the front end, and how long it took."""

    cpu: Cpu
    sessions: int
    seconds: float

    @property
    def each(self) -> float:
        """Microseconds of CPU a session."""
        return self.cpu.total / self.sessions * 1e6


@contextmanager
def systems(only: Sequence[str]) -> Iterator[tuple[Postfix, list[Front]]]:
    """Those whose names hold one of these words, all at once, in front of one Postfix."""
    with ExitStack() as stack:
        milter = stack.enter_context(Port())
        postfix = stack.enter_context(
            Postfix(
                smtpd("plain"),
                smtpd("proxied", smtpd_upstream_proxy_protocol="haproxy"),
                passed("nice"),
                passed("watched", smtpd_milters=f"inet:{milter}", milter_default_action="accept"),
                passed("behind", private=True),
                postscreen("screen", "behind", postscreen_greet_wait="1s"),
                main={"smtpd_client_connection_count_limit": "0", "postscreen_client_connection_count_limit": "100"},
            )
        )
        nice, watched = (f"pass:{postfix.pass_path(name)}" for name in ("nice", "watched"))
        plain, proxied = postfix.port("plain"), postfix.port("proxied")
        everything: dict[str, Callable[[str], AbstractContextManager[Front]]] = {
            "nothing": lambda name: nullcontext(Front(name, plain, list)),
            "frontproxy, handover": lambda name: fronts.frontproxy(name, nice),
            "frontproxy, learning": lambda name: fronts.frontproxy(name, watched, learn=f'milter = "{milter}"'),
            "frontproxy, relay": lambda name: fronts.frontproxy(name, f"tcp:127.0.0.1:{proxied}?proxy=v2"),
            "HAProxy": lambda name: fronts.haproxy(name, proxied),
            "nginx": lambda name: fronts.nginx(name, proxied),
            "postscreen": lambda name: nullcontext(
                Front(name, postfix.port("screen"), lambda: postfix.pids("postscreen"))
            ),
        }
        chosen = {name: make for name, make in everything.items() if any(word in name for word in only)}
        yield postfix, [stack.enter_context(make(name)) for name, make in chosen.items()]


def measure(front: Front, postfix: Postfix, sessions: int) -> Measurement:
    """Send that many messages through a front end, and wait until all that follows from them is done."""
    served, told = postfix.log().count(SERVED), front.outcomes and front.outcomes()
    before, began = front.cpu(), time.monotonic()
    smtp_source(front.port, "-s", "20", "-l", "2000", "-m", str(sessions))
    took = time.monotonic() - began
    wait_for(lambda: postfix.log().count(SERVED) >= served + sessions, f"{sessions} sessions through {front.name}")
    if front.outcomes is not None:
        wanted, outcomes = (told or 0) + sessions, front.outcomes
        wait_for(lambda: outcomes() >= wanted, f"{sessions} outcomes told to {front.name}")
    time.sleep(AFTERWARDS)
    return Measurement(front.cpu() - before, sessions, took)


def show(rounds: dict[str, list[Measurement]]) -> None:
    """A table: microseconds a session, where they were spent, and the ratios that count."""
    columns = ("front end", "us of CPU a session", "least", "most", "user", "system", "sessions/s")
    table = Table(*columns, *(f"/ {rival}" for rival in RIVALS))
    for name, measured in rounds.items():
        costs = [one.each for one in measured]
        middle = statistics.median(costs)
        system = sum((one.cpu for one in measured), Cpu()).system_share * middle
        speed = statistics.median(one.sessions / one.seconds for one in measured)
        numbers = (middle, min(costs), max(costs), middle - system, system, speed)
        ratios = (f"{ratio(measured, rounds[rival]):.2f}" if rival in rounds else "-" for rival in RIVALS)
        table.add_row(name, *(f"{number:.0f}" for number in numbers), *ratios)
    Console(width=120).print(table)


def ratio(ours: list[Measurement], theirs: list[Measurement]) -> float:
    """The median of the ratios of all rounds, since what disturbs a round disturbs both."""
    return statistics.median(one.each / other.each for one, other in zip(ours, theirs, strict=True))


def main() -> int:
    """Measure, round after round; 1 if a budget is not kept."""
    parser = argparse.ArgumentParser(description="CPU of front ends per SMTP session")
    parser.add_argument("--sessions", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=[""], type=lambda text: text.split(","), help="words in names of front ends")
    options = parser.parse_args()
    rounds: dict[str, list[Measurement]] = defaultdict(list)
    with systems(options.only) as (postfix, all_fronts):
        for front in all_fronts:
            measure(front, postfix, WARM_UP)
        for front in track(all_fronts * options.rounds, "front ends, round after round"):
            rounds[front.name].append(measure(front, postfix, options.sessions))
    show(rounds)
    haproxy = rounds.get("HAProxy")
    measured = {name: rounds[name] for name in BUDGETS if name in rounds}
    kept = haproxy is None or all(ratio(costs, haproxy) <= BUDGETS[name] for name, costs in measured.items())
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""The flood with DNS lists: five of them, honest, one lying, all silent; known clients must be served in any case.

Run it alone, as root: `python -m tests.bench.flood_lists [--strangers 300] [--seconds 40] [--only lies,silent]`.

The same flood as `tests.bench.flood`, in front of frontproxy alone, once for each kind of DNS. The list that lies lists
everybody, at -25 points, but passes the test of RFC 5782 (as one does that blocks the world by mistake): from the flood
on, or from before anybody became known. Silence begins with the flood. The lists are rbldnsd's, behind unbound; a
forwarder in this process counts the questions. 1 if a known client was not served.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tests.bench.flood import PhaseBar, prepare, run
from tests.bench.flood_report import Run, about_the_load, summarise, table
from tests.bench.flood_systems import behind_frontproxy
from tests.real.dns_trouble import SILENT
from tests.real.dns_world import EVERYBODY_BUT_THE_TEST, World, world

LIAR = "liar.example"
ZONES = (*(f"list{number}.example" for number in range(1, 5)), LIAR)
_LIST = """
[[dnslist]]
zone = "{zone}"
replies = {{ "127.0.0.2" = -25 }}
"""
_TTL = 1
"""Seconds: a lie is heard at once."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of DNS: lines of a configuration that asks it, and what befalls it at the start and before the flood."""

    config: Callable[[World], str]
    at_start: Callable[[World], object]
    before_flood: Callable[[World], object]


def _asks(dns: World) -> str:
    lists = "".join(_LIST.format(zone=zone) for zone in ZONES)
    return f'[dns]\nservers = ["127.0.0.1:{dns.trouble.port}"]\n{lists}'


def _nothing(_dns: World) -> None:
    """It goes on as before."""


def _lie(dns: World) -> None:
    dns.rbldnsd.write(LIAR, EVERYBODY_BUT_THE_TEST)


def _fall_silent(dns: World) -> None:
    dns.trouble.conduct("", SILENT)


KINDS: Mapping[str, Kind] = {
    "no DNS": Kind(lambda _dns: "[dns]\nnames = false\n", _nothing, _nothing),
    "five lists": Kind(_asks, _nothing, _nothing),
    "one lies, as the flood comes": Kind(_asks, _nothing, _lie),
    "one has always lied": Kind(_asks, _lie, _nothing),
    "all silent": Kind(_asks, _nothing, _fall_silent),
}


@contextmanager
def counted(name: str, questions: dict[str, int]) -> Iterator[tuple[World, Kind]]:
    """The DNS of one run; afterwards `questions` has how many were asked in it."""
    with world({zone: {} for zone in ZONES}, ttl=_TTL, negative_ttl=_TTL) as dns:
        yield dns, KINDS[name]
        questions[name] = dns.trouble.queries()


def flood(name: str, options: argparse.Namespace, bar: PhaseBar, questions: dict[str, int]) -> Run:
    """One flood with one kind of DNS."""
    with counted(name, questions) as (dns, kind):
        kind.at_start(dns)
        system = behind_frontproxy(kind.config(dns))
        return run(name, system, options.strangers, options.seconds, bar, before_flood=lambda: kind.before_flood(dns))


def main() -> int:
    """Every kind of DNS; then the table."""
    parser = argparse.ArgumentParser(description="the flood with DNS lists")
    parser.add_argument("--strangers", type=int, default=300)
    parser.add_argument("--seconds", type=int, default=40, help="of flood")
    parser.add_argument("--only", default=[""], type=lambda text: text.split(","), help="words in kinds of DNS")
    options = parser.parse_args()
    prepare()
    questions: dict[str, int] = {}
    runs = []
    with Progress(TextColumn("{task.description:56}"), BarColumn(), TimeElapsedColumn()) as progress:
        for name in KINDS:
            if any(word in name for word in options.only):
                bar = PhaseBar(progress, name)
                runs.append(flood(name, options, bar, questions))
                bar.close()
    Console().print(table(runs), *about_the_load(runs), sep="\n", highlight=False, soft_wrap=True)
    print(", ".join(f"{name}: {count} questions" for name, count in questions.items()))
    return 0 if all(summarise(one.flooded).served == 1 for one in runs) else 1


if __name__ == "__main__":
    raise SystemExit(main())

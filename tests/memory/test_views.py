"""The history as people read it: plain columns, and what is left now."""

import math
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.address import client_text
from frontproxy.core.history import ClientRecord, KnownName
from frontproxy.core.level import Level
from frontproxy.core.provider import ProviderRecord
from frontproxy.memory.half_lives import HalfLives
from frontproxy.memory.rows import ASN, CLIENT, NETWORK, Record, provider_key
from frontproxy.memory.schema import SCHEMA
from frontproxy.memory.table import Table

DAY = 86400.0
HALF_LIVES = HalfLives(30 * DAY, 7 * DAY)
LEVEL = Level(1.7e9, 9.0, 8.5, 0.25)


def read(path: Path, records: Mapping[bytes, Record], question: str) -> list[tuple[object, ...]]:
    """What a person gets who asks this of a file with these records."""
    with closing(Table(path)) as table:
        table.keep_under(HALF_LIVES, 1.7e9, print)
        table.write(records)
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(question).fetchall()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite3"


def test_a_client_is_an_address_a_time_and_what_is_known(path: Path) -> None:
    now = time.time()
    record = ClientRecord(Level(now - 3600, 9.0, 8.5, 0.25), name=KnownName("mx.example.com", "example.com", now))
    [row] = read(path, {CLIENT + b"\xc0\x00\x02\xff": record}, "SELECT client, sessions, good, bad, name FROM clients")

    assert row == ("192.0.2.255", 9.0, 8.49, 0.25, "mx.example.com")


def test_last_seen_is_in_utc(path: Path) -> None:
    rows = read(path, {CLIENT + b"\xc0\x00\x02\xff": ClientRecord(LEVEL)}, "SELECT last_seen FROM clients")

    assert rows == [("2023-11-14 22:13:20",)]


@pytest.mark.parametrize(
    "name", [KnownName("dsl-1.example.net", "", 1.7e9), KnownName("example.net", "example.net", 0), None]
)
def test_a_name_is_whole(path: Path, name: KnownName | None) -> None:
    rows = read(path, {CLIENT + b"\xc0\x00\x02\xff": ClientRecord(LEVEL, name=name)}, "SELECT name FROM clients")

    assert rows == [(name.name if name else "",)]


def test_each_level_has_its_view(path: Path) -> None:
    records: dict[bytes, Record] = {
        CLIENT + b"\xc0\x00\x02\xff": ClientRecord(LEVEL),
        NETWORK + b"\xc0\x00\x02": LEVEL,
        NETWORK + b"\x20\x01\x0d\xb8\x00\x00": LEVEL,
        provider_key(4200000000, "example.com"): ProviderRecord(LEVEL),
        ASN + (64500).to_bytes(4, "big"): LEVEL,
    }
    assert read(path, records, "SELECT network FROM networks") == [("2001:db8::/48",), ("192.0.2.0/24",)]
    assert read(path, records, "SELECT domain, asn FROM providers") == [("example.com", 4200000000)]
    assert read(path, records, "SELECT asn FROM asns") == [(64500,)]
    assert len(read(path, records, "SELECT * FROM clients")) == 1


@pytest.fixture(scope="module")
def memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in SCHEMA:
        connection.execute(statement)
    connection.executemany("INSERT INTO meta VALUES (?, ?)", [("good_half_life", 1e5), ("bad_half_life", 1e4)])
    return connection


@given(
    client=st.binary(min_size=4, max_size=4)
    | st.binary(min_size=8, max_size=8)
    | st.from_regex(rb"\A\x20\x01[\0\x01\xf0]{6}\Z")
)
def test_every_client_is_written_as_we_write_it(memory: sqlite3.Connection, client: bytes) -> None:
    memory.execute("INSERT INTO history VALUES (?, 1, 1, 1, 0, NULL, NULL)", (CLIENT + client,))
    try:
        assert memory.execute("SELECT client FROM clients").fetchall() == [(client_text(client),)]
    finally:
        memory.execute("DELETE FROM history")


@given(age=st.floats(0, 1e7))
def test_what_is_left_is_what_time_has_left(memory: sqlite3.Connection, age: float) -> None:
    memory.execute(
        "INSERT INTO history VALUES (?, strftime('%s', 'now') - ?, 2e6, 1e6, 1e5, NULL, NULL)", (b"cabcd", age)
    )
    try:
        [(good, bad)] = memory.execute("SELECT good, bad FROM clients").fetchall()
        assert good == pytest.approx(1e6 * math.exp2(-age / 1e5), rel=1e-3, abs=0.006)
        assert bad == pytest.approx(1e5 * math.exp2(-age / 1e4), rel=1e-3, abs=0.006)
    finally:
        memory.execute("DELETE FROM history")

"""Clients for the tests of the handover."""

from collections.abc import Iterator
from socket import socket

import pytest

from frontproxy.handover.backends import Given
from frontproxy.handover.relay import Relay
from frontproxy.handover.ways import Ways
from tests.fakes import Recorder, Visitors, no_notices


@pytest.fixture
def visitors() -> Iterator[Visitors]:
    with Visitors() as visitors:
        yield visitors


class _NoRelayed:
    """Nothing is relayed in these tests."""

    def relay_began(self, item: Given, now: float) -> None:
        raise AssertionError(item)

    def relay_failed(self, item: Given, client: socket, why: str, *, was_reached: bool) -> None:
        raise AssertionError(item)

    def relay_ended(self, item: Given, to_server: int, to_client: int, why: str) -> None:
        raise AssertionError(item)


@pytest.fixture
def ways() -> Iterator[Ways]:
    relay: Relay[Given] = Relay(_NoRelayed(), Recorder().bug)
    yield Ways(relay, no_notices())
    relay.close()

"""Clients for the tests of the handover."""

from collections.abc import Iterator

import pytest

from tests.fakes import Visitors


@pytest.fixture
def visitors() -> Iterator[Visitors]:
    with Visitors() as visitors:
        yield visitors

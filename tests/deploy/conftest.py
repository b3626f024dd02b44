"""Fixtures of the deployment's tests."""

from pathlib import Path

import pytest

from tests.deploy.postfix_etc import MAIN, MASTER
from tests.real.need import need


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """A folder with a configuration of Postfix."""
    need("postconf")
    (tmp_path / "main.cf").write_text(MAIN)
    (tmp_path / "master.cf").write_text(MASTER)
    return tmp_path

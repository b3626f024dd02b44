"""What a real test needs from this machine: without it the test is skipped by name; in CI that is a failure."""

import os

import pytest

from tests.real.install import find


def need(*programs: str, root: bool = False) -> None:
    """End the test here unless these programs are installed and, if `root`, we are root."""
    lacking = [f"{program} is not installed" for program in programs if find(program) is None]
    if root and os.geteuid() != 0:
        lacking.append("root is needed")
    if lacking and os.environ.get("CI"):
        pytest.fail("; ".join(lacking))
    if lacking:
        pytest.skip("; ".join(lacking))

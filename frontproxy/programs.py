"""Programs of our own that we start as child processes: how to call them so that they find this very frontproxy."""

import os
import sys
from pathlib import Path

import frontproxy


def command(module: str, *arguments: str) -> list[str]:
    """`python -m module arguments`; -P, so that nothing that lies in the working folder is imported."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """An environment in which they import what we are, installed or not."""
    home = str(Path(frontproxy.__file__).parent.parent)
    others = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{home}{os.pathsep}{others}" if others else home}

"""A folder with main.cf and master.cf, read and edited by postconf."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

FILES = ("main.cf", "master.cf")


class CannotSetUp(Exception):
    """Nothing was changed; the text says why, and what to do."""


class Folder:
    """A service's key is its name and its type, as in postconf: smtp/inet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._services: dict[str, str] | None = None  # what postconf said of them since the last edit

    def copied(self, path: Path) -> "Folder":
        """A copy in a new folder, to be edited."""
        path.mkdir()
        for name in FILES:
            shutil.copyfile(self.path / name, path / name)
        copy = Folder(path)
        copy.settle()
        return copy

    def postconf(self, *arguments: str) -> str:
        """Its output; raises CannotSetUp with its words if it fails."""
        command = ["postconf", "-c", str(self.path), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
        if done.returncode:
            raise CannotSetUp(done.stderr.strip())
        return done.stdout.strip()

    def edit(self, *arguments: str) -> None:
        """Let postconf change a file."""
        self.postconf(*arguments)
        self.settle()

    def settle(self) -> None:
        """Let the files look old: postconf reads none until it has been left alone for two seconds."""
        for name in FILES:
            os.utime(self.path / name, (0, 0))
        self._services = None

    def services(self) -> dict[str, str]:
        """The services of master.cf by their keys, each in one line."""
        if self._services is None:
            self._services = {key_of(line): line for line in self.postconf("-M").splitlines()}
        return self._services

    def service(self, key: str) -> str:
        """A service in one line; empty if there is none."""
        return self.services().get(key, "")

    def options(self, key: str) -> dict[str, str]:
        """The parameters that a service sets by -o."""
        if not self.service(key):
            return {}
        lines = [line.removeprefix(f"{key}/") for line in self.postconf("-P", key).splitlines()]
        return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}

    def add_options(self, key: str, options: Mapping[str, str]) -> None:
        """Let a service set parameters that it has not set yet, with blanks too, which `postconf -P` refuses."""
        added = [
            f"-o {{{name}={value}}}" if re.search(r"\s", value) else f"-o {name}={value}"
            for name, value in options.items()
        ]
        if added:
            command = self.postconf("-Fh", f"{key}/command")
            self.edit("-F", f"{key}/command={' '.join([command, *added])}")

    def parameter(self, name: str) -> str:
        """A parameter's value as written."""
        return self.postconf("-h", name)

    def is_set(self, name: str) -> bool:
        """The parameter stands in main.cf."""
        return bool(self.postconf("-n", name))

    def texts(self) -> dict[str, str]:
        """Both files."""
        return {name: (self.path / name).read_text(errors="surrogateescape") for name in FILES}

    def write_master(self, text: str) -> None:
        """Put another text into master.cf."""
        (self.path / "master.cf").write_text(text, errors="surrogateescape")
        self.settle()


def key_of(line: str) -> str:
    """The key of a service, from its line in master.cf."""
    return "/".join(line.split()[:2])


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin", "LC_ALL": "C"}

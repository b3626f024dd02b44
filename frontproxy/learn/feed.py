"""What a feed program is told when it is started."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from frontproxy.lifeline import BadOrders, read_line


@dataclass(frozen=True, slots=True)
class Orders:
    """What frontproxy says at the start."""

    report: Path
    """The report socket."""
    admin: Path | None = None
    """The admin socket, for a feed that answers questions about clients."""
    file: Path | None = None
    """The log that is followed."""
    classes: dict[str, str] = field(default_factory=dict)
    """Answers of the policy service, see `core.config_values.PolicyService`."""

    def line(self) -> bytes:
        """As it is written to a feed program; what it does not need is left out."""
        said = {"report": self.report, "admin": self.admin, "file": self.file}
        values: dict[str, object] = {key: str(path) for key, path in said.items() if path is not None}
        if self.classes:
            values["classes"] = self.classes
        return json.dumps(values).encode() + b"\n"


def read_orders(descriptor: int) -> Orders:
    """Read the first line. Raises BadOrders, OSError."""
    values = read_line(descriptor)
    if not isinstance(values, dict) or (report := _path(values, "report")) is None:
        raise BadOrders('"report", the path of the report socket, is missing')
    classes = values.get("classes", {})
    if not isinstance(classes, dict) or not all(isinstance(action, str) for action in classes.values()):
        raise BadOrders('"classes" is no table of texts')
    return Orders(report, _path(values, "admin"), _path(values, "file"), classes)


def _path(values: dict[str, object], key: str) -> Path | None:
    """A path that was named. Raises BadOrders."""
    value = values.get(key, "")
    if not isinstance(value, str):
        raise BadOrders(f'"{key}" is no path')
    return Path(value) if value else None

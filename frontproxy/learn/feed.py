"""What a feed program is told when it is started."""

import json
from dataclasses import dataclass
from pathlib import Path

from frontproxy.lifeline import BadOrders, read_line


@dataclass(frozen=True, slots=True)
class Orders:
    """What frontproxy says at the start."""

    report: Path
    """The report socket."""

    def line(self) -> bytes:
        """As it is written to a feed program."""
        return json.dumps({"report": str(self.report)}).encode() + b"\n"


def read_orders(descriptor: int) -> Orders:
    """Read the first line. Raises BadOrders, OSError."""
    match read_line(descriptor):
        case {"report": str(report)} if report:
            return Orders(Path(report))
    raise BadOrders('"report", the path of the report socket, is missing')

"""The records that are in memory: those read lately, and those that the disk does not have yet.

Every touched record goes unwritten -> writing -> read. What was read is dropped oldest first, since the disk has it.
What is unwritten exists nowhere else: while the disk takes nothing it collects here, up to a limit, and then the least
telling of the longest untouched and of the latest go: in a flood these are strangers, whoever came before it.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import Enum
from math import inf

from frontproxy.memory.rows import Record, level_of

_SAMPLE = 32  # records, of the longest untouched and as many of the latest, that are compared when room must be made
_DROPPED = 16  # how many of them go


class Absent(Enum):
    """Nothing is known here; the disk must be asked. (None says that the disk has nothing either.)"""

    ABSENT = 0


ABSENT = Absent.ABSENT


class Recent:
    """A bounded map from a row's key to its record; None stands for one that the disk does not have, or must delete."""

    def __init__(self, *, read_limit: int, unwritten_limit: int) -> None:
        self._read_limit = read_limit
        self._unwritten_limit = unwritten_limit
        self._read: OrderedDict[bytes, Record | None] = OrderedDict()
        self._unwritten: OrderedDict[bytes, Record | None] = OrderedDict()
        self._writing: Mapping[bytes, Record | None] = {}
        self.dropped = 0
        """Records lost for want of room while the disk took nothing, or by a bug."""

    def find(self, key: bytes) -> Record | Absent | None:
        """The newest state of a record."""
        if key in self._unwritten:
            return self._unwritten[key]
        if key in self._writing:
            return self._writing[key]
        if key in self._read:
            self._read.move_to_end(key)
            return self._read[key]
        return ABSENT

    def keep_read(self, key: bytes, record: Record | None) -> None:
        """Remember what the disk said."""
        self._read[key] = record
        if len(self._read) > self._read_limit:
            self._read.popitem(last=False)

    def put(self, key: bytes, record: Record | None) -> None:
        """Take a new state, to be written; None if it is to be deleted."""
        self._unwritten[key] = record
        self._unwritten.move_to_end(key)
        if len(self._unwritten) > self._unwritten_limit:
            self._make_room()

    def take(self) -> Mapping[bytes, Record | None]:
        """What is to be written now. It stays findable until `written`, `give_back` or `drop_taken`."""
        self._writing, self._unwritten = self._unwritten, OrderedDict()
        return self._writing

    def written(self) -> None:
        """What was taken is on disk."""
        written, self._writing = self._writing, {}
        for key, record in written.items():
            self.keep_read(key, record)

    def give_back(self) -> None:
        """What was taken could not be written; it waits again, before what came since."""
        if not self._writing:
            return
        newer = self._unwritten
        self._unwritten = OrderedDict(self._writing)
        self._writing = {}
        for key, record in newer.items():
            self.put(key, record)

    def drop_taken(self) -> None:
        """What was taken can never be written; the disk is asked again."""
        self.dropped += len(self._writing)
        self._writing = {}

    def clear(self) -> None:
        """Nothing in memory holds any more, written or not; the disk is asked again."""
        self.dropped += len(self)
        self._read.clear()
        self._unwritten.clear()
        self._writing = {}

    def unwritten(self) -> dict[bytes, Record | None]:
        """What the disk does not have yet."""
        return {**self._writing, **self._unwritten}

    def replace_all(self, change: Callable[[Record], Record]) -> None:
        """Every record has become another, on disk too; what was read of it is read again."""
        self._read.clear()
        for key, record in self._unwritten.items():
            if record is not None:
                self._unwritten[key] = change(record)

    def __len__(self) -> int:
        """How many records the disk does not have yet."""
        return len(self._unwritten) + len(self._writing)

    def _make_room(self) -> None:
        count = min(_SAMPLE, len(self._unwritten) // 2)
        sample = [self._unwritten.popitem(last=False) for _record in range(count)]
        sample += reversed([self._unwritten.popitem() for _record in range(count)])
        sample.sort(key=lambda item: _worth(item[1]))  # equals stay in order, so the longest untouched of them go
        self._unwritten.update(sample[_DROPPED:])
        self.dropped += len(sample[:_DROPPED])


def _worth(record: Record | None) -> float:
    """What would be lost with a record; `table` weighs alike.

    A friend is what must never go. A foe is caught again by what it does next, so that the bad counts half a unit at
    most: else a flood of strangers who did one bad thing each would outweigh friends.
    """
    if record is None:
        return inf  # an operator's word
    level = level_of(record)
    return level.good + level.bad / (2.0 * (level.bad + 1.0))

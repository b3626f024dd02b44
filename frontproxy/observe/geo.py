"""ASN, organisation, country and any other field about an address, from MaxMind databases."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from frontproxy.core.config_shapes import meant
from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.observe.geo_check import DAMAGE
from frontproxy.observe.geo_database import Database, GeoFile, open_database
from frontproxy.observe.geo_record import NOWHERE, Field, Place, complete

__all__ = ["Database", "GeoBook", "GeoFile", "Place"]

_SHOWN_FIELDS = 8


class GeoBook:
    """Any number of databases, asked in order. Books may share databases; each is let go of with its last book."""

    def __init__(self, databases: Sequence[Database], wanted: Collection[str] = ()) -> None:
        """`wanted`: paths of the fields that `find` looks for, beside those it always does."""
        self.files = tuple(database.file for database in databases)
        self.wanted = tuple(dict.fromkeys(wanted))
        self.errors = 0
        """Look-ups that met damage, and so were no evidence."""
        self._databases = tuple(databases)
        self._fields = tuple(map(Field.at, self.wanted))

    @classmethod
    def open(cls, files: Sequence[Path], wanted: Collection[str] = ()) -> "GeoBook":
        """Copy, check and open these files; blocks for as long. Raises Mistaken with what is wrong with each."""
        databases: list[Database] = []
        mistakes: list[Mistake] = []
        for path in files:
            try:
                databases.append(open_database(path, wanted))
            except Mistaken as error:
                mistakes += error.mistakes
        if mistakes:
            raise Mistaken(mistakes)
        return cls(databases, wanted)

    def renewed(self, fresh: Mapping[str, Database]) -> "GeoBook":
        """Another book, with these databases in the place of those whose paths they have. This one stays as it is."""
        return GeoBook([fresh.get(old.file.path, old) for old in self._databases], self.wanted)

    def find(self, address: str) -> Place:
        """Where an address belongs; the first database that knows a field gives it. Never raises."""
        place = NOWHERE
        for database in self._databases:
            if ":" in address and not database.file.ipv6:
                continue
            try:
                record = database.reader.get(address)
            except DAMAGE:
                self.errors += 1
                continue
            if isinstance(record, dict):
                place = complete(place, record, self._fields)
        return place

    def remarks(self, file: str) -> Iterator[Mistake]:
        """For `check` of the configuration in `file`: fields that are wanted, and that no database has."""
        if not self._databases:  # then there is more to remark, and others do
            return
        offers = sorted({path for database in self._databases for path in database.offers})
        some = ", ".join(offers[:_SHOWN_FIELDS]) + " ..." * (len(offers) > _SHOWN_FIELDS)
        otherwise = f"they have {some}" if offers else "add a [[geo]] that has it"
        for path in self.wanted:
            if all(path in database.unseen for database in self._databases):
                what = f'no record of your databases has the field "{ascii(path)[1:-1]}"'
                yield Mistake(file, 0, "network.where", what, meant(path, offers, otherwise))

    def status(self) -> list[dict[str, object]]:
        """For `status`, as JSON can hold it."""
        return [
            {"file": file.path, "kind": file.kind, "built": file.built, "bytes": file.size, "complete": file.complete}
            for file in self.files
        ]

    def close(self) -> None:
        """Let go of the databases; everything is unknown afterwards. May be called twice."""
        self._databases = ()

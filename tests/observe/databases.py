"""Writes small MaxMind databases for tests."""

from collections.abc import Mapping
from pathlib import Path

from mmdb_writer import MMDBWriter
from netaddr import IPSet

Record = Mapping[str, object]


def write_database(path: Path, records: Mapping[str, Record], *, kind: str = "Test-ASN", version: int = 6) -> Path:
    """A database of `records`, each under its network; gives `path` back."""
    writer = MMDBWriter(ip_version=version, ipv4_compatible=version == 6, database_type=kind, description="for tests")
    for network, record in records.items():
        writer.insert_network(IPSet([network]), dict(record))
    writer.to_db_file(str(path))
    return path


def asn(number: int, organisation: str = "Example Net") -> Record:
    """A record as in GeoLite2-ASN."""
    return {"autonomous_system_number": number, "autonomous_system_organization": organisation}

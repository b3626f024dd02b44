"""The history as plain columns, for the sqlite3 command: `SELECT * FROM clients ORDER BY good DESC LIMIT 10`.

The same columns in all four views (`clients`, `networks`, `providers`, `asns`): who it is, when it was last seen (UTC),
units of evidence seen in all, and the units of good and bad that are left now. They need nothing that an older SQLite
does not have: 2^-x is taken as its series for what x has beyond whole numbers (0.03 % off at most), and the digits of
addresses are those of hex().
"""

from string import Template

from frontproxy.memory.rows import ASN, CLIENT, DOMAIN_AT, HOST_AT, NAME_AT, NETWORK, PROVIDER

_LN_2 = "0.6931471805599453"
_VIEW = Template("""
    CREATE VIEW IF NOT EXISTS $name AS
    SELECT $columns, datetime(t, 'unixepoch') AS last_seen, round(n, 2) AS sessions,
        $good AS good, $bad AS bad$more
    FROM (
        SELECT *, hex(substr(key, 2)) AS digits,
            age / (SELECT value FROM meta WHERE name = 'good_half_life') AS good_ages,
            age / (SELECT value FROM meta WHERE name = 'bad_half_life') AS bad_ages
        FROM (
            SELECT *, max(0.0, strftime('%s', 'now') - t) AS age
            FROM history WHERE key >= x'$first' AND key < x'$end'))
""")


def _left(units: str, ages: str) -> str:
    """What is left of these units after so many half-lives."""
    part = f"(({ages} - CAST({ages} AS INTEGER)) * {_LN_2})"
    series = f"1 - {part} * (1 - {part} / 2 * (1 - {part} / 3 * (1 - {part} / 4 * (1 - {part} / 5))))"
    return f"round({units} * ({series}) / (1 << min(CAST({ages} AS INTEGER), 62)), 2)"


def _number(first: int, count: int) -> str:
    """So many bytes of the subject as a number, the most significant first."""
    digits = range(2 * first, 2 * (first + count))
    values = [
        f"(instr('123456789ABCDEF', substr(digits, {digit + 1}, 1)) << {4 * (digits[-1] - digit)})" for digit in digits
    ]
    return f"({' + '.join(values)})"


def _ipv4(octets: int) -> str:
    return " || '.' || ".join(_number(octet, 1) for octet in range(octets))


def _ipv6(groups: int) -> str:
    """So many groups; what is zero at their end belongs to the `::` behind them."""
    texts = [
        f"coalesce(nullif(ltrim(lower(substr(digits, {4 * group + 1}, 4)), '0'), ''), '0')" for group in range(groups)
    ]
    cases = [
        f"WHEN substr(digits, {4 * count - 3}, 4) <> '0000' THEN {_COLON.join(texts[:count])} || '::'"
        for count in range(groups, 0, -1)
    ]
    return f"CASE {' '.join(cases)} ELSE '::' END"


_COLON = " || ':' || "
_CLIENT = f"CASE length(digits) WHEN 8 THEN {_ipv4(4)} ELSE {_ipv6(4)} || '/64' END"
_NETWORK = f"CASE length(digits) WHEN 6 THEN {_ipv4(3)} || '.0/24' ELSE {_ipv6(3)} || '/48' END"
_DOMAIN = f"CAST(substr({{}}, {DOMAIN_AT + 1}) AS TEXT)"
_NAME = (
    f"CASE WHEN provider IS NULL THEN CAST(substr(more, {NAME_AT + 1}) AS TEXT)"
    f" ELSE CAST(substr(more, {HOST_AT + 1}) AS TEXT) || {_DOMAIN.format('provider')} END"
)


def _view(name: str, level: bytes, columns: str, more: str = "") -> str:
    good, bad = _left("good", "good_ages"), _left("bad", "bad_ages")
    first, end = level.hex(), f"{level[0] + 1:02x}"
    return _VIEW.substitute(name=name, columns=columns, good=good, bad=bad, more=more, first=first, end=end)


VIEWS = (
    _view("clients", CLIENT, f"{_CLIENT} AS client", f", {_NAME} AS name"),
    _view("networks", NETWORK, f"{_NETWORK} AS network"),
    _view("providers", PROVIDER, f"{_DOMAIN.format('key')} AS domain, {_number(0, 4)} AS asn"),
    _view("asns", ASN, f"{_number(0, 4)} AS asn"),
)
"""Statements that make the views."""
